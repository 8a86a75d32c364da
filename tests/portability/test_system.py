"""What differs between systems, with the answers of another one put in its place."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import missing_library
from microspot.engines.system import folders, locks, processes, processor, replacement
from microspot.engines.system.signals import ENDINGS, HANGUP
from microspot.realtime.errors import DataError
from microspot.realtime.sinks import atomic_file
from microspot.realtime.sinks.text_files import StandardOutput
from microspot.realtime.supervision import reload
from tests.portability.stripped_child import run

READERS = [
    ("linux", errno.EPIPE, True),
    ("linux", errno.EINVAL, False),
    ("win32", errno.EINVAL, True),
    ("win32", errno.EPIPE, True),
    ("win32", errno.ENOSPC, False),
]
WITH_BREAK = """
import signal
signal.SIGBREAK = signal.SIGUSR1
signal.Signals = {**signal.Signals.__members__, "SIGBREAK": signal.SIGUSR1}
from microspot.engines.commands import entry_point
entry_point._end_as_by_ctrl_c()
try:
    signal.raise_signal(signal.SIGUSR1)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


def held_open(source: Path, target: Path) -> None:
    """What Windows says to a move over a file that somebody reads."""
    error = PermissionError(13, "Access is denied", str(source))
    error.winerror = 5  # type: ignore[attr-defined,unused-ignore]
    raise error


def test_a_file_that_is_read_is_replaced_when_its_reader_has_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "new").write_text("new")
    calls = []
    really = os.replace

    def busy(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) < 3:
            held_open(source, target)
        really(source, target)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(replacement, "PAUSE_S", 0.0)
    replacement.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new"
    assert len(calls) == 3


def test_a_file_that_stays_open_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "replace", held_open)
    monkeypatch.setattr(replacement, "PAUSE_S", 0.0)
    (tmp_path / "report.html").write_text("before")
    with pytest.raises(DataError, match=r"Permission denied|Access is denied"):
        atomic_file.replace_file(tmp_path / "report.html", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "before"


def test_a_folder_that_is_forbidden_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []

    def forbidden(source: Path, target: Path) -> None:
        calls.append(target)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", forbidden)
    with pytest.raises(PermissionError):
        replacement.replace(tmp_path / "new", tmp_path / "old")
    assert len(calls) == 1


def test_ctrl_break_ends_a_command_as_ctrl_c_does() -> None:
    assert run("-c", WITH_BREAK).stdout == "ended\n"


@pytest.mark.parametrize(
    ("system", "cache", "state"),
    [
        ("linux", ".cache/microspot", ".local/state/microspot"),
        ("darwin", "Library/Caches/microspot", "Library/Application Support/microspot"),
        ("win32", "AppData/Local/microspot/cache", "AppData/Local/microspot/state"),
    ],
)
def test_folders_are_where_the_system_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, cache: str, state: str
) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", system)
    assert folders.cache_home() == tmp_path / cache
    assert folders.state_home() == tmp_path / state
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    moved = {"linux": "elsewhere/microspot", "win32": "local/microspot/state"}
    assert folders.state_home() == tmp_path / moved.get(system, state)


@pytest.mark.parametrize(("system", "code", "left"), READERS)
def test_a_reader_that_leaves_is_no_failure_on_any_system(
    monkeypatch: pytest.MonkeyPatch, system: str, code: int, left: bool
) -> None:
    class Closed:
        def write(self, line: str) -> None:
            raise OSError(code, "refused")

        def fileno(self) -> int:
            return os.open(os.devnull, os.O_WRONLY)

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError if left else DataError):
        StandardOutput().append("an event\n")


def test_hangups_are_endings_where_there_are_any() -> None:
    assert {signal.SIGINT, signal.SIGTERM} <= set(ENDINGS)
    assert (HANGUP in ENDINGS) == hasattr(signal, "SIGHUP")


def test_without_a_name_for_it_no_terminal_controls_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "ctermid", raising=False)
    assert not reload.has_terminal()


def test_a_process_that_has_ended_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        assert processes.is_running(child.pid)
        child.wait()
    assert not processes.is_running(child.pid)
    assert processes.is_running(os.getpid())


def test_what_is_not_told_is_none_and_no_error() -> None:
    code = (
        "from microspot.engines.system.processes import *; import json;"
        "print(json.dumps([peak_memory_mb(), open_files_limit(), user_number()]));"
        "from microspot.realtime.sinks.run_log import user; import getpass;"
        "getpass.getuser = lambda: exec('import pwd'); print(user())"
    )
    told, user = run("-c", code).stdout.splitlines()
    assert json.loads(told) == [None, None, None]
    assert user == "user unknown"


def test_the_processor_has_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: A CPU @ 2 GHz\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    assert processor.processor() == "A CPU @ 2 GHz"
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "nothing")
    assert processor.processor()


class Msvcrt:
    """The locks of Windows, as far as one process needs them."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: set[int] = set()

    def locking(self, handle: int, mode: int, size: int) -> None:
        assert (mode, size) == (self.LK_NBLCK, 1)
        inode = os.fstat(handle).st_ino
        if inode in self.held:
            raise PermissionError(13, "Permission denied")
        self.held.add(inode)


def test_windows_locks_a_file_in_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", Msvcrt())
    with pytest.raises(FileNotFoundError):
        locks.hold(tmp_path, new=False)  # what has no such file was not made by us
    os.close(locks.hold(tmp_path, new=True))
    with pytest.raises(PermissionError):
        locks.hold(tmp_path, new=False)


def test_where_there_are_no_locks_nothing_is_swept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", None)
    with pytest.raises(OSError, match="no locks"):
        locks.hold(tmp_path, new=True)


def test_a_library_that_windows_lacks_is_named() -> None:
    told: Any = missing_library(ImportError("DLL load failed while importing cv2: not found"))
    assert "Media Feature Pack" in str(told)
    assert missing_library(ImportError("No module named 'x'")) is None
