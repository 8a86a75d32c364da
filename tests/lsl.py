"""What tests of the Lab Streaming Layer share: what they need, and a sender with another clock.

`lsl_api.cfg`, which `conftest` names, keeps their traffic on this machine.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

AHEAD_S = 1000  # by which the sender's monotonic clock, and so LSL's there, is ahead of ours
SENDER = """
import sys
import pylsl

name, form = sys.argv[1:]
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, form, name))
print(pylsl.local_clock(), flush=True)
for line in sys.stdin:
    text, stamp = line.split()
    outlet.push_sample([text if form == "string" else int(text)], float(stamp))
"""


def required(module: str) -> ModuleType:
    """A module that these tests need: without it they are skipped, but never in CI."""
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # pylsl raises the latter without its liblsl
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{module} cannot be used ({error}): pip install -e '.[test]'")


def unique(name: str) -> str:
    """A name of a stream that no other run of the tests uses."""
    return f"{name}-{os.getpid()}"


class Sender:
    """A program that sends markers, on a clock that is AHEAD_S ahead of this process's."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, text: str, host_s: float) -> None:
        """Send a marker for a time of this process's monotonic clock."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text} {host_s + AHEAD_S!r}\n")
        self._process.stdin.flush()


@contextmanager
def sender(name: str, form: str = "string") -> Iterator[Sender]:
    """A Sender with a stream called `name` of the channel format `form`."""
    required("pylsl")
    command = ["unshare", "--time", "--monotonic", str(AHEAD_S), "--fork", "--kill-child"]
    if os.geteuid() != 0:
        command.insert(1, "--map-root-user")
    process = subprocess.Popen(
        [*command, sys.executable, "-c", SENDER, name, form],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) if shutil.which("unshare") else None  # fmt: skip
    assert process is None or process.stdout is not None
    if process is None or not process.stdout.readline():
        if os.environ.get("CI"):
            raise RuntimeError("no process with a clock of its own: unshare --time failed")
        pytest.skip("no process can have a clock of its own here: unshare --time needs root")
    try:
        yield Sender(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
