"""The name of the processor, which every system tells in its own way."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

if sys.platform == "win32":
    from . import windows

CPUINFO = Path("/proc/cpuinfo")
SYSCTL = ("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
ANSWER_S = 5.0


def processor() -> str:
    """The name of the processor, as the system gives it; where it gives none, its architecture."""
    return _told() or platform.processor() or platform.machine()


def _told() -> str:
    """The name by the way of this system; empty where that leads nowhere."""
    try:
        if sys.platform == "win32":
            return windows.processor()
        if sys.platform == "darwin":
            answer = subprocess.run(SYSCTL, capture_output=True, timeout=ANSWER_S, check=True)
            return answer.stdout.decode(errors="replace").strip()
        return _of_cpuinfo(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except (OSError, subprocess.SubprocessError):
        return ""


def _of_cpuinfo(text: str) -> str:
    """The first model name in what Linux tells of its processors; empty where there is none."""
    for line in text.splitlines():
        if "model name" in line:
            return line.split(":")[1].strip()
    return ""
