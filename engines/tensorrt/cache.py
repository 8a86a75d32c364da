"""Where built things live: graphs and engines, each in a folder that says what it is and proves it.

    <cache>/<name>/<key>/ model.onnx  golden.safetensors  manifest.json  parity.json
        a graph, for any GPU
    <cache>/<name>/<key>/ model.onnx  engine.plan         manifest.json  parity.json
        an engine of it, for one kind of GPU

The key is a digest of everything that shapes the content (`fields`), so nothing stale is ever
found; the manifest holds the fields and the SHA-256 of every file, checked on every load. An entry
is loaded, built (in a temporary folder, then moved into place) and given results under one lock,
<key>.lock: two processes that want the same one build it once, and whoever has loaded one keeps
what it read, whatever becomes of the folder. Loading an engine is as good as running code, so a
folder that somebody else owns or may write to is refused. Needs no torch and no TensorRT.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError, EngineError, missing_library
from ..system.folders import cache_home
from ..system.processes import user_number
from ..system.replacement import replace
from .builder import INSTALL

FORMAT = 1
KEY_DIGITS = 32  # of a SHA-256: 128 bits, and paths stay short enough for Windows
VARIABLE = "MICROSPOT_CACHE"
MANIFEST = "manifest.json"
PARITY = "parity.json"
MODEL = "model.onnx"
PLAN = "engine.plan"
GOLDEN = "golden.safetensors"
FILES = {MANIFEST, PARITY, MODEL, PLAN, GOLDEN}
# suffixes of what is being written, and of what keeps others out meanwhile
ASIDE = ".tmp"
LOCK = ".lock"

Fields = Mapping[str, Any]
Say = Callable[[str], None]


def cache_folder() -> Path:
    """$MICROSPOT_CACHE, else the user's cache folder as the system has it."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else cache_home()


def key_of(fields: Fields) -> str:
    """Digest of what shapes an entry."""
    return digest(json.dumps(fields, sort_keys=True).encode())[:KEY_DIGITS]


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One graph or engine as it was loaded or made.

    contents: its files by name, verified. built: whether this call made it.
    """

    folder: Path
    manifest: Mapping[str, Any]
    contents: Mapping[str, bytes] = field(repr=False)
    built: bool = False

    @property
    def fields(self) -> Fields:
        """What shaped the content, as the manifest has it."""
        fields: Fields = self.manifest["fields"]
        return fields

    def sha256(self, file: str) -> str:
        """SHA-256 of a file of the entry; EngineError where the manifest names no such file."""
        return digest(self.read(file))

    def read(self, file: str) -> bytes:
        """Content of a file, verified; EngineError where the manifest names no such file."""
        if file not in self.contents:
            raise EngineError(
                f"{self.folder} holds no {file}: run microspot-engines clean, then build"
            )
        return self.contents[file]

    def parity(self) -> dict[str, Any]:
        """Results of the parity ladder so far, by rung.

        Empty where there are none or the file is malformed.
        """
        try:
            found = json.loads((self.folder / PARITY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def record(self, results: Mapping[str, Any]) -> None:
        """Add results of rungs to parity.json. Raises DataError where it cannot be written."""
        with _locked(self.folder), _writable(self.folder):
            text = json.dumps(self.parity() | dict(results), indent=1, sort_keys=True) + "\n"
            aside = self.folder / f"{PARITY}{ASIDE}"
            aside.touch(mode=0o600)
            aside.write_text(text, encoding="utf-8")
            replace(aside, self.folder / PARITY)


@dataclass(frozen=True)
class Cache:
    """Entries under `root`; `say` gets one line of text whenever one is built."""

    root: Path
    say: Say = lambda line: None

    def entry(
        self,
        name: str,
        fields: Fields,
        make: Callable[[], Mapping[str, bytes]],
        label: str,
        unwanted: Callable[[Entry], str] = lambda found: "",
    ) -> Entry:
        """The entry of `name` and `fields`, loaded, or built where it is missing or broken.

        make: returns the entry's files by name. label: what it is, in words, for the line that
        says that it is built. unwanted: asked under the lock of an entry that loads, why it must
        be built again all the same; empty where it need not.

        Raises EngineError where the folder belongs to another user or is writable by others or
        `make` wants a system library, DataError where it, or what `make` writes on the way, cannot
        be written, and what else `make` raises.
        """
        fields = json.loads(json.dumps(fields))  # as the manifest will give them back
        folder = self.root / name / key_of(fields)
        with _writable(self.root):
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder):
            found, fault = _examine(folder, fields)
            fault = unwanted(found) if found is not None else fault
            if found is not None and not fault:
                return found
            self.say(f"{label}: {fault}; building it")
            try:
                files = make()
            except OSError as error:
                lacking = missing_library(error)
                raise lacking or DataError(
                    f"{label} cannot be built ({error}): make room, or set TMPDIR"
                ) from error
            return _write(folder, fields, files)

    def entries(self) -> Iterator[tuple[Path, Entry | None, str]]:
        """Every folder of the cache: (folder, entry or None, what is wrong with it).

        Waits for no build.
        """
        for folder in self._folders():
            try:
                found, fault = _examine(folder, None)
            except EngineError as error:
                found = None
                fault = str(error)
            yield folder, found, fault

    def clean(self) -> int:
        """Remove all entries and what a killed build left; the number of folders removed.

        Nothing else is touched.
        """
        removed = 0
        for folder in [*self._folders(), *self._folders(ASIDE)]:
            with _locked(folder), _writable(folder):
                if folder.exists():  # a build may have ended, or another clean
                    shutil.rmtree(folder)
                    removed += 1
        return removed

    def _folders(self, suffix: str = "") -> list[Path]:
        """Folders that are named by a key and hold a file of ours, or nothing.

        A killed build may leave an empty one.
        """
        pattern = f"*/{'[0-9a-f]' * KEY_DIGITS}{suffix}"
        found = []
        for folder in filter(Path.is_dir, sorted(self.root.glob(pattern))):
            # no names in a folder that only others may read
            names = {path.name for path in folder.glob("*")}
            if not names or names & FILES:
                found.append(folder)
        return found


def _examine(folder: Path, fields: Fields | None) -> tuple[Entry | None, str]:
    """Load an entry: (entry, "") or (None, what is wrong with it).

    fields: what it must be built for; None takes any. Raises EngineError for a folder that others
    can write to.
    """
    try:
        if not folder.exists():
            return None, "not built yet"
        _refuse_foreign(folder)
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or key_of(manifest["fields"]) != folder.name:
            return None, "its manifest belongs to something else"
        if fields is not None and manifest["fields"] != fields:
            return None, "it was built for something else"
        contents = {file: (folder / file).read_bytes() for file in manifest["files"]}
        for file, content in contents.items():
            if digest(content) != manifest["files"][file]["sha256"]:
                return None, f"{folder / file} has changed since it was built"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"it cannot be read ({type(error).__name__}: {error})"
    return Entry(folder, manifest, contents), ""


def _refuse_foreign(folder: Path) -> None:
    """Raise EngineError where another user owns the folder or a file of it, or may write to it."""
    user = user_number()
    if user is None:  # Windows: profile folders are private there, and st_uid says nothing
        return
    for path in (folder, *(path for path in folder.iterdir() if path.suffix != ASIDE)):
        status = path.stat()
        if status.st_uid != user or status.st_mode & 0o022:
            raise EngineError(
                f"{path} can be written by others: an engine from there is not loaded; remove it"
            )


def _write(folder: Path, fields: Fields, files: Mapping[str, bytes]) -> Entry:
    """Write an entry in a temporary folder, then move that into place."""
    listed = {
        name: {"sha256": digest(content), "bytes": len(content)}
        for name, content in sorted(files.items())
    }
    manifest = {"format": FORMAT, "name": folder.parent.name, "fields": fields, "files": listed}
    aside = folder.with_suffix(ASIDE)
    with _writable(folder):
        shutil.rmtree(aside, ignore_errors=True)  # what a killed build left
        aside.mkdir(mode=0o700)
        try:
            text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
            for name, content in {**files, MANIFEST: text.encode()}.items():
                (aside / name).write_bytes(content)
                (aside / name).chmod(0o600)
            if folder.exists():
                shutil.rmtree(folder)
            replace(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return Entry(folder, manifest, dict(files), built=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an entry; the system frees that of a process that dies.

    Raises DataError where it is refused, EngineError where the package that locks is not installed.
    """
    try:
        # not at the top: a base install has no use for it and does not have it
        from filelock import FileLock
    except ImportError as error:
        raise EngineError(f"a cache of engines needs filelock: {INSTALL['rtx']}") from error

    with _writable(folder):
        lock = FileLock(folder.with_suffix(LOCK)).acquire()
    with lock:
        yield


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Turn an OSError inside into a DataError that says how to choose another folder."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error}): set {VARIABLE} to another folder"
        ) from error
