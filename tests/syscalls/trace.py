"""Run a command under strace; the system calls by which data can leave a process, as records."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NETWORK = ("connect", "sendto", "sendmsg", "sendmmsg")
UNSEEN = ("io_uring_setup",)  # what is sent by way of it is no system call of its own
OPENING = ("open", "openat", "openat2", "creat")
NAMING = (
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "truncate",
)
STDERR = "stderr"  # where what a command says there is kept, beside its traces
LAST_S = 10  # that a killed process has to be gone
DATA_BYTES = 512  # shown of what is sent: enough for the name in a look-up

_LINE = re.compile(r"(\w+)\((.*?)(?:\)\s+= (.*)|\s*<unfinished \.\.\.>.*)")
_NAMED = re.compile(r'(?:<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_RESULT = re.compile(r"\d+<((?:[^>\\]|\\.)*)>")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


@dataclass(frozen=True)
class Call:
    """One system call: its name, its arguments and its result as strace writes them."""

    name: str
    arguments: str
    result: str

    @property
    def succeeded(self) -> bool:
        return not self.result.startswith(("-1", "?"))

    def path(self, folder: Path) -> Path | None:
        """The file that an open or a new name is about.

        Relative ones start at `folder` where strace does not say.
        """
        if self.name in OPENING:
            opened = _RESULT.match(self.result)
            return Path(unescape(opened[1])) if opened else None
        if self.name not in NAMING or not (named := _NAMED.findall(self.arguments)):
            return None
        base, name = named[-1]  # the new name comes last
        return (Path(unescape(base)) if base else folder) / unescape(name)


def unescape(text: str) -> str:
    """What strace wrote between quotes, as a path."""

    def plain(found: re.Match[bytes]) -> bytes:
        code = found[1]
        if code[:1] in b"01234567":
            return bytes([int(code, 8)])
        return bytes([int(code[1:], 16)]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(plain, text.encode()).decode(errors="surrogateescape")


def run(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    traces: Path,
    visit: Callable[[subprocess.Popen[str]], None] | None = None,
    patience_s: float = 900,
) -> subprocess.CompletedProcess[str]:
    """Run it in `folder`, with one file of system calls for each of its threads in `traces`.

    visit: called while it runs, with its standard output to read from; what it leaves there is
    returned. The command ends after `patience_s`, also where a visit still reads from it. Raises
    TimeoutExpired then, or what the visit raises; nothing of the command runs any more afterwards.
    """
    optional = ",".join(
        f"?{name}" for name in (*NETWORK, *UNSEEN, *OPENING, *NAMING)
    )  # not all on every processor
    strace = [
        "strace",
        "-ff",
        "--seccomp-bpf",
        "-q",
        "-y",
        "-s",
        str(DATA_BYTES),
        "-e",
        f"trace={optional}",
        "-e",
        "signal=none",
        "-o",
        str(traces / "thread"),
    ]
    with (traces / STDERR).open("w+") as errors:
        process = subprocess.Popen(
            [*strace, *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        too_long = threading.Event()
        timer = threading.Timer(patience_s, lambda: (too_long.set(), _kill(process)))
        timer.daemon = True
        timer.start()
        try:
            if visit is not None:
                visit(process)
            out, _ = process.communicate(timeout=patience_s + LAST_S)
            if too_long.is_set():
                raise subprocess.TimeoutExpired(command, patience_s)
        finally:
            timer.cancel()
            if process.poll() is None:
                _kill(process)
                process.wait(LAST_S)  # of its output nothing is wanted any more
            process.stdout.close()
        errors.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, out, errors.read())


def _kill(process: subprocess.Popen[str]) -> None:
    """Its whole group: without strace its command would go on."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def calls(traces: Path) -> Iterator[Call]:
    """All calls that `run` recorded there."""
    for path in sorted(traces.glob("thread.*")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _LINE.fullmatch(line):
                yield Call(found[1], found[2], found[3] or "?")
