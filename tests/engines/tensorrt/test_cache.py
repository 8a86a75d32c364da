"""The cache: whole entries or none, whoever builds, dies, edits or owns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import DataError, EngineError
from microspot.engines.tensorrt import cache as module
from microspot.engines.tensorrt.cache import (
    ASIDE,
    LOCK,
    MANIFEST,
    PARITY,
    VARIABLE,
    Cache,
    cache_folder,
    key_of,
)

FIELDS = {"onnx": "abc", "sm": 86}
FILES = {"model.onnx": b"graph", "engine.plan": b"engine"}


class Maker:
    """Gives FILES and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, bytes]:
        self.calls += 1
        return FILES


def test_an_entry_is_made_once_and_read_verified(tmp_path: Path) -> None:
    said: list[str] = []
    cache = Cache(tmp_path, said.append)
    make = Maker()
    first = cache.entry("encoder", FIELDS, make, "engine encoder")
    again = Cache(tmp_path).entry("encoder", dict(reversed(FIELDS.items())), make, "engine encoder")
    assert (make.calls, first.built, again.built) == (1, True, False)
    assert again.read("engine.plan") == b"engine"
    assert again.folder == tmp_path / "encoder" / key_of(FIELDS)
    assert said == ["engine encoder: not built yet; building it"]
    assert {p.name for p in again.folder.iterdir()} == {*FILES, MANIFEST}
    with pytest.raises(EngineError, match=r"holds no golden.*then build"):
        again.read("golden.safetensors")


def test_other_fields_are_another_entry(tmp_path: Path) -> None:
    make = Maker()
    folders = {
        Cache(tmp_path).entry("encoder", FIELDS | {"sm": sm}, make, "e").folder
        for sm in (86, 89, 86)
    }
    assert (len(folders), make.calls) == (2, 2)


def test_an_unwanted_entry_is_replaced_and_its_holders_keep_what_they_read(tmp_path: Path) -> None:
    said: list[str] = []
    cache = Cache(tmp_path, said.append)
    cache.entry("encoder", FIELDS, lambda: FILES, "e")
    held = cache.entry("encoder", FIELDS, Maker(), "e", lambda found: "")
    newer = cache.entry(
        "encoder", FIELDS, lambda: {"engine.plan": b"newer"}, "e", lambda found: "it is odd"
    )
    assert (newer.built, newer.read("engine.plan")) == (True, b"newer")
    assert said[1:] == ["e: it is odd; building it"]
    assert cache.entry("encoder", FIELDS, Maker(), "e").read("engine.plan") == b"newer"
    assert (held.read("engine.plan"), held.sha256("engine.plan")) == (
        b"engine",
        module.digest(b"engine"),
    )


def test_what_cannot_be_made_or_locked_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> dict[str, bytes]:
        raise OSError(28, "No space left on device")

    def bare() -> dict[str, bytes]:
        raise OSError("libGLESv2.so.2: cannot open shared object file: No such file or directory")

    with pytest.raises(
        DataError, match=r"engine encoder cannot be built.*No space left.*make room"
    ):
        Cache(tmp_path).entry("encoder", FIELDS, full, "engine encoder")
    with pytest.raises(EngineError, match=r"libGLESv2.*apt install"):
        Cache(tmp_path).entry("encoder", FIELDS, bare, "engine encoder")
    assert Cache(tmp_path).entry("encoder", FIELDS, lambda: FILES, "engine encoder").built
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(EngineError, match=r"needs filelock: pip install '.\[rtx\]'"):
        Cache(tmp_path).entry("encoder", FIELDS, lambda: FILES, "engine encoder")


def rewritten(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: (f / "engine.plan").write_bytes(b"enginE"), "engine.plan has changed"),
        (lambda f: (f / "engine.plan").write_bytes(b"eng"), "engine.plan has changed"),
        (lambda f: (f / "model.onnx").unlink(), "it cannot be read .*model.onnx"),
        (lambda f: (f / MANIFEST).write_text("{"), "it cannot be read .*JSON"),
        (lambda f: (f / MANIFEST).unlink(), "it cannot be read .*manifest.json"),
        (lambda f: rewritten(f, files=7), "it cannot be read .*int"),
        (lambda f: rewritten(f, format=0), "belongs to something else"),
        (lambda f: rewritten(f, fields={"onnx": "other", "sm": 86}), "belongs to something else"),
    ],
    ids=[
        "corrupt",
        "truncated",
        "incomplete",
        "torn manifest",
        "no manifest",
        "odd manifest",
        "old",
        "foreign",
    ],
)
def test_what_is_broken_is_built_again_with_one_line(
    tmp_path: Path, harm: Callable[[Path], object], said: str
) -> None:
    lines: list[str] = []
    cache = Cache(tmp_path, lines.append)
    make = Maker()
    harm(cache.entry("encoder", FIELDS, make, "e").folder)
    entry = cache.entry("encoder", FIELDS, make, "e")
    assert (make.calls, entry.read("engine.plan")) == (2, b"engine")
    assert len(lines) == 2
    assert re.search(said, lines[1])


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are those of POSIX")
@pytest.mark.parametrize("part", [".", "engine.plan"])
def test_an_entry_that_others_can_write_is_refused(tmp_path: Path, part: str) -> None:
    folder = Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e").folder
    (folder / part).chmod(0o777)
    with pytest.raises(EngineError, match=r"can be written by others.*remove it"):
        Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e")
    (fault,) = [fault for _, entry, fault in Cache(tmp_path).entries() if entry is None]
    assert "can be written by others" in fault
    assert Cache(tmp_path).clean() == 1


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def make() -> dict[str, bytes]:
        raise EngineError("refused")

    with pytest.raises(EngineError, match="refused"):
        Cache(tmp_path).entry("encoder", FIELDS, make, "e")
    assert list(Cache(tmp_path).entries()) == []
    assert not list(tmp_path.glob(f"*/*{ASIDE}"))


BUILD = """
import os, sys, time
from pathlib import Path
from microspot.engines.tensorrt.cache import Cache

root, log = Path(sys.argv[1]), Path(sys.argv[2])

def make():
    with log.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.5)  # long enough for the other to come
    return {"engine.plan": bytes(1_000_000)}

print("ready", flush=True)
sys.stdin.readline()
print(len(Cache(root).entry("encoder", {"sm": 86}, make, "e").read("engine.plan")))
"""


def test_two_processes_build_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", BUILD, str(tmp_path / "cache"), str(log)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as one, subprocess.Popen(command, **pipes) as other:
        for process in (one, other):
            assert process.stdout.readline() == "ready\n"
        for process in (one, other):
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[0] for process in (one, other)] == ["1000000\n"] * 2
    assert len(log.read_text().split()) == 1


def test_parity_adds_up_and_survives_nonsense(tmp_path: Path) -> None:
    entry = Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e")
    assert entry.parity() == {}
    entry.record({"A": {"passed": True}})
    entry.record({"C": {"passed": False}})
    assert entry.parity() == {"A": {"passed": True}, "C": {"passed": False}}
    assert Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e").parity() == entry.parity()
    (entry.folder / PARITY).write_text("[1")
    assert entry.parity() == {}


def test_entries_and_clean_touch_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    good = cache.entry("encoder", FIELDS, Maker(), "e").folder
    bad = cache.entry("refiner", FIELDS, Maker(), "e").folder
    (bad / "engine.plan").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "photos" / "2026").mkdir(parents=True)
    gone = cache.entry("head", FIELDS, Maker(), "e").folder
    (gone / MANIFEST).unlink()
    good.with_suffix(ASIDE).mkdir()
    others = [tmp_path / "shaders" / key_of(FIELDS), good.parent / f"killed{ASIDE}"]
    for folder in others:
        folder.mkdir(parents=True)
        (folder / "theirs.bin").write_text("")
    found = {folder: fault for folder, _, fault in cache.entries()}
    assert found.pop(gone).startswith("it cannot be read")
    assert found == {good: "", bad: f"{bad / 'engine.plan'} has changed since it was built"}
    assert cache.clean() == 4
    assert all((folder / "theirs.bin").exists() for folder in others)
    assert not good.exists()
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "photos" / "2026").exists()
    assert Cache(tmp_path / "nowhere").clean() == 0


def test_a_killed_build_is_no_hindrance(tmp_path: Path) -> None:
    aside = (tmp_path / "encoder" / key_of(FIELDS)).with_suffix(ASIDE)
    aside.mkdir(parents=True)
    (aside / "engine.plan").write_bytes(b"half")
    entry = Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e")
    assert {path.name for path in entry.folder.parent.iterdir()} == {
        entry.folder.name,
        f"{entry.folder.name}{LOCK}",
    }


def test_clean_waits_for_a_build_and_takes_only_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "encoder" / key_of(FIELDS)
    folder.with_suffix(ASIDE).mkdir(parents=True)

    @contextmanager
    def ends(path: Path) -> Iterator[None]:
        path.rename(folder)  # as the build does that held the lock
        yield

    monkeypatch.setattr(module, "_locked", ends)
    assert Cache(tmp_path).clean() == 0
    assert folder.exists()


def test_results_are_written_under_the_lock_and_never_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e")
    real = module._locked
    held = []

    @contextmanager
    def locked(folder: Path) -> Iterator[None]:
        with real(folder):
            held.append(folder)
            if len(held) == 1:  # what another process wrote just before
                (folder / PARITY).write_text('{"D": {}}')
            yield

    def replace(source: Path, to: Path) -> None:
        assert source.stat().st_mode & 0o077 == 0
        os.rename(source, to)

    monkeypatch.setattr(module, "_locked", locked)
    monkeypatch.setattr(module.os, "replace", replace)
    entry.record({"A": {}})
    assert (held, entry.parity()) == ([entry.folder], {"A": {}, "D": {}})


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are those of POSIX")
def test_what_another_process_is_writing_is_not_judged(tmp_path: Path) -> None:
    entry = Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e")
    # as a file that vanishes between listing and looking
    (entry.folder / f"{PARITY}{ASIDE}").symlink_to("gone")
    assert [fault for _, _, fault in Cache(tmp_path).entries()] == [""]
    assert not Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e").built


def test_a_lock_that_cannot_be_had_says_what_to_set(tmp_path: Path) -> None:
    entry = Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e")
    entry.folder.with_suffix(LOCK).unlink(missing_ok=True)
    entry.folder.with_suffix(LOCK).mkdir()
    for use in (
        lambda: Cache(tmp_path).entry("encoder", FIELDS, Maker(), "e"),
        lambda: entry.record({}),
        Cache(tmp_path).clean,
    ):
        with pytest.raises(DataError, match=f"cannot be written .*set {VARIABLE}"):
            use()


def test_a_folder_that_cannot_be_written_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=f"cannot be written .*set {VARIABLE}"):
        Cache(tmp_path / "file").entry("encoder", FIELDS, Maker(), "e")


def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv(VARIABLE)
    assert cache_folder().name == "microspot"
