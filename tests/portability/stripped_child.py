"""Commands in a Python that lacks what other systems lack, and so do all processes it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = Path(__file__).with_name("prelude")
PATIENCE_S = 240  # for a command, on a machine that does much else


def environment() -> dict[str, str]:
    """The environment of such a child; the modules of the tests can be imported there too."""
    paths = [str(PRELUDE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """Start Python with these arguments; its output is text that the caller reads."""
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        **options,
    )


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end."""
    with start(*arguments) as child:
        out, err = child.communicate(timeout=PATIENCE_S)
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def microspot(*arguments: object, module: str = "realtime") -> subprocess.CompletedProcess[str]:
    """Run a command of the project to its end."""
    return run("-m", f"microspot.{module}", *arguments)
