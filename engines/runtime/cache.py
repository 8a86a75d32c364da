"""Where built things live: graphs and engines, each in a folder that says what it is and proves it.

    <cache>/<name>/<key>/ model.onnx  golden.safetensors  manifest.json  parity.json     a graph, for any GPU
    <cache>/<name>/<key>/ model.onnx  engine.plan         manifest.json  parity.json     an engine of it, for one kind

The key is a digest of everything that shapes the content (`fields`), so nothing stale is ever found; the manifest holds
the fields and the SHA-256 of every file, checked on every load. An entry is written aside and moved into place under a
lock: a reader sees a whole entry or none, and two processes that want the same one build it once. An engine is as good
as code, so a folder that somebody else owns or may write to is refused. Needs no torch and no TensorRT.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, EngineError

FORMAT = 1
KEY_DIGITS = 32  # of a SHA-256: 128 bits, and paths stay short enough for Windows
VARIABLE = "MICROSPOT_CACHE"
MANIFEST, PARITY, MODEL, PLAN, GOLDEN = (
    "manifest.json", "parity.json", "model.onnx", "engine.plan", "golden.safetensors"
)  # fmt: skip
ASIDE = ".tmp-"

Fields = Mapping[str, Any]
Say = Callable[[str], None]


def cache_folder() -> Path:
    """$MICROSPOT_CACHE, else the user's cache folder as the system has it."""
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "microspot"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "microspot"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "microspot"


def key_of(fields: Fields) -> str:
    """Digest of what shapes an entry."""
    return digest(json.dumps(fields, sort_keys=True).encode())[:KEY_DIGITS]


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One graph or engine, its manifest verified against its files. `built`: made by this call."""

    folder: Path
    manifest: Mapping[str, Any]
    built: bool = False

    @property
    def fields(self) -> Fields:
        fields: Fields = self.manifest["fields"]
        return fields

    def sha256(self, file: str) -> str:
        """Of a file of the entry; EngineError where the manifest names no such file."""
        if file not in self.manifest["files"]:
            raise EngineError(f"{self.folder} holds no {file}: run microspot-engines clean, then build")
        return str(self.manifest["files"][file]["sha256"])

    def read(self, file: str) -> bytes:
        """Content of a file, verified. Raises EngineError where it is gone or changed."""
        expected = self.sha256(file)
        try:
            content = (self.folder / file).read_bytes()
        except OSError as error:
            raise EngineError(f"{self.folder / file} cannot be read ({error}): build it again") from error
        if digest(content) != expected:
            raise EngineError(f"{self.folder / file} has changed since it was built: build it again")
        return content

    def parity(self) -> dict[str, Any]:
        """Results of the parity ladder so far, by rung; empty where there are none or the file is malformed."""
        try:
            found = json.loads((self.folder / PARITY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def record(self, results: Mapping[str, Any]) -> None:
        """Add results of rungs to parity.json."""
        text = json.dumps(self.parity() | dict(results), indent=1, sort_keys=True) + "\n"
        with _writable(self.folder):
            aside = self.folder / f"{ASIDE}{os.getpid()}"
            aside.write_text(text, encoding="utf-8")
            aside.chmod(0o600)
            os.replace(aside, self.folder / PARITY)


@dataclass(frozen=True)
class Cache:
    """Entries under `root`; `say` gets one line whenever one is made or made again."""

    root: Path
    say: Say = lambda line: None

    def entry(
        self, name: str, fields: Fields, make: Callable[[], Mapping[str, bytes]], label: str, again: bool = False
    ) -> Entry:
        """The entry of `name` and `fields`; `make` gives its files where it is missing, broken or asked for `again`.

        label: what it is, in words, for the line that says that it is built.

        Raises EngineError where the folder belongs to another user or is writable by others, DataError where it
        cannot be written, and whatever `make` raises.
        """
        fields = json.loads(json.dumps(fields))  # as the manifest will give them back
        folder = self.root / name / key_of(fields)
        with _writable(self.root):
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder.with_suffix(".lock")):
            found, fault = _examine(folder, fields)
            if found is not None and not again:
                return found
            self.say(f"{label}: {'asked for again' if found else fault}; building it")
            return _write(folder, fields, make())

    def entries(self) -> Iterator[tuple[Path, Entry | None, str]]:
        """Every folder of the cache: (folder, entry or None, what is wrong with it)."""
        for path in sorted(self.root.glob(f"*/*/{MANIFEST}")):
            if path.parent.name.startswith(ASIDE):
                continue
            yield path.parent, *_examine(path.parent, None)

    def clean(self) -> int:
        """Remove all entries and what a killed build left; the number of folders removed. Nothing else is touched."""
        folders = [folder for folder, _, _ in self.entries()]
        for folder in folders:
            with _writable(folder), _locked(folder.with_suffix(".lock")):
                shutil.rmtree(folder)
        left = list(self.root.glob(f"*/{ASIDE}*"))
        with _writable(self.root):
            for folder in left:
                shutil.rmtree(folder)
        return len(folders) + len(left)


def _examine(folder: Path, fields: Fields | None) -> tuple[Entry | None, str]:
    """(entry, "") or (None, what is wrong). Raises EngineError for a folder that others can write to."""
    if not folder.exists():
        return None, "not built yet"
    _refuse_foreign(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or key_of(manifest["fields"]) != folder.name:
            return None, "its manifest belongs to something else"
        if fields is not None and manifest["fields"] != fields:
            return None, "it was built for something else"
        entry = Entry(folder, manifest)
        for file in manifest["files"]:
            entry.read(file)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return None, f"its manifest cannot be read ({type(error).__name__})"
    except EngineError as error:
        return None, str(error).partition(":")[0]
    return entry, ""


def _refuse_foreign(folder: Path) -> None:
    if sys.platform == "win32":  # profile folders are private there, and st_uid says nothing
        return
    for path in (folder, *folder.iterdir()):
        status = path.stat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise EngineError(f"{path} can be written by others: an engine from there is not loaded; remove it")


def _write(folder: Path, fields: Fields, files: Mapping[str, bytes]) -> Entry:
    listed = {name: {"sha256": digest(content), "bytes": len(content)} for name, content in sorted(files.items())}
    manifest = {"format": FORMAT, "name": folder.parent.name, "fields": fields, "files": listed}
    with _writable(folder):
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=folder.parent))
        try:
            text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
            for name, content in {**files, MANIFEST: text.encode()}.items():
                (aside / name).write_bytes(content)
                (aside / name).chmod(0o600)
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return Entry(folder, manifest, built=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the system frees the lock of one that dies."""
    from filelock import FileLock  # not at the top: a base install has no use for it and does not have it

    with FileLock(path):
        yield


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}): set {VARIABLE} to another folder") from error
