"""Python programs run as a user starts them, without paying for their imports at every run.

The first run starts a process that imports what the commands import and compiles NMS, 3 s of CPU.
Each run is a fork of it that goes through the program's own `__main__`, with arguments,
environment, folder and outputs of its own, and ends as Python ends. The seed of Python's hashes is
that of the process: what must not depend on it is run with `subprocess`. So is what a signal ends,
and what shall find a fault that only a first import shows. Elsewhere than on Linux every run is a
subprocess.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "mediapipe",
    "microspot.engines.commands.app",
    "microspot.engines.loading",
    "microspot.engines.runtime.onnxruntime_import",
    "microspot.realtime.commands.app",
    "microspot.realtime.pipeline",
    "microspot.realtime.sources.open",
)
MESSAGE = 1 << 17  # bytes; Linux allows a single argument as many


def run_python(
    *arguments: object, cwd: Path | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` (-m MODULE ..., or PATH ...) ends with, its output as text.

    Raises subprocess.TimeoutExpired after killing it.
    """
    words = [str(each) for each in arguments]
    if sys.platform != "linux":
        return subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, cwd=cwd, timeout=timeout
        )
    return _parent().run(words, str(cwd or Path.cwd()), timeout)


class Parent:
    """The process that is forked, as seen by the tests; one run at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,  # no terminal: sys.stdout of a run is buffered
            )

    def run(self, words: list[str], cwd: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        message = json.dumps({"words": words, "cwd": cwd, "environment": dict(os.environ)}).encode()
        assert len(message) <= MESSAGE
        with self._lock, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            self._ours.settimeout(None)  # the first fork comes once all is imported
            socket.send_fds(self._ours, [message], [out.fileno(), err.fileno()])
            pid = int(self._ours.recv(MESSAGE))
            self._ours.settimeout(timeout)
            try:
                status = int(self._ours.recv(MESSAGE))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._ours.settimeout(None)
                self._ours.recv(MESSAGE)
                raise subprocess.TimeoutExpired(words, timeout) from None
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), *texts)

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.wait()


@functools.cache
def _parent() -> Parent:
    parent = Parent()
    atexit.register(parent.close)
    return parent


def serve(ours: socket.socket) -> list[str]:
    """Fork for every message and tell the child's pid and its end; in the child, its words."""
    while True:
        message, files, _, _ = socket.recv_fds(ours, MESSAGE, 2)
        if not message:
            sys.exit()  # the tests have ended
        pid = os.fork()
        if pid == 0:
            ours.close()
            for number, file in enumerate(files, start=1):
                os.dup2(file, number)
                os.close(file)
            return become(**json.loads(message))
        for file in files:
            os.close(file)
        ours.send(str(pid).encode())
        ours.send(str(os.waitpid(pid, 0)[1]).encode())


def become(words: list[str], cwd: str, environment: dict[str, str]) -> list[str]:
    """Make this process what Python is when it starts with these words; the words."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    module = words[0] == "-m"
    sys.argv[:] = words[1:] if module else words
    sys.path[0] = cwd if module else str(Path(words[0]).parent)
    return words


def load() -> None:
    """Import and compile what the runs need; no run looks through it for garbage."""
    from microspot.engines.intervals import Intervals, nms

    for name in IMPORTED:
        importlib.import_module(name)
    nms(Intervals.of([0.0], [1.0], [1.0]), 0.5)
    gc.collect()
    gc.freeze()


def main() -> None:
    """Serve the tests; in a fork, be the program that was asked for."""
    load()
    words = serve(socket.socket(fileno=int(sys.argv[1])))
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")
