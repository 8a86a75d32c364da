"""Where the crops of a recording lie, and what decides that they are these.

An entry is a folder whose name ends on a digest of the recording's bytes, the aligner's settings
and the versions of what aligns. Not from the papers.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from microspot.engines.commands.version import installed_version, package_versions
from microspot.engines.data.aligned.recordings import DIGEST_DIGITS
from microspot.engines.specs import SpotterSpec

from ..config import Settings
from ..errors import DataError
from ..sinks.base import reason

FORMAT = 1  # of what is kept; to be raised where aligner or format change within a version
PACKAGES = ("mediapipe", "opencv-contrib-python", "av", "numpy")  # that crops depend on
CHUNK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class CropCache:
    """A folder of entries; `dataset` begins the names of those of one data set."""

    folder: Path
    dataset: str

    def make(self) -> None:
        """Make the folder, for its owner alone. Raises DataError where it cannot be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DataError(f"cannot write {self.folder}: {reason(error)}") from error

    def entry(
        self, video: str, path: Path, fps: float | None, spec: SpotterSpec, settings: Settings
    ) -> Entry:
        """The entry of a recording, whether it is there or not.

        video: what its folder of results is called; path: of the file or the folder of images; fps:
        of images. Raises OSError where the recording cannot be read.
        """
        made_from = {
            "format": FORMAT,
            "version": installed_version(),
            "packages": package_versions(PACKAGES),
            "recording": _digest_of(path),
            "fps": fps,
            "side": spec.side,
            "grid_hz": spec.grid_hz,
            "align": asdict(settings.align),
            "bridge": asdict(settings.bridge),
            "faces": settings.faces,
            "clock_reset_frames": settings.clock_reset_frames,
        }
        text = json.dumps(made_from, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
        return Entry(self.folder, f"{self.dataset}-{video}", digest, made_from)


@dataclass(frozen=True)
class Entry:
    """The crops of one recording as one aligner gives them. made_from: what the digest is of."""

    cache: Path
    name: str
    digest: str
    made_from: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.cache / f"{self.name}-{self.digest}"

    @property
    def is_there(self) -> bool:
        """Whether it is whole: its folder has its name only then."""
        return self.folder.is_dir()

    def remove_others(self) -> None:
        """Remove what other settings or an earlier version left of the same recording."""
        digest = re.compile(rf"[0-9a-f]{{{DIGEST_DIGITS}}}")
        for path in self.cache.glob(f"{_literal(self.name)}-*"):
            if path != self.folder and digest.fullmatch(path.name[len(self.name) + 1 :]):
                shutil.rmtree(path)


def _literal(name: str) -> str:
    """A name as a pattern of file names that fits itself alone."""
    return re.sub(r"([\[*?])", r"[\1]", name)


def _digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and bytes of the files right in a folder."""
    digest = hashlib.sha256()
    files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(
                f"{file.name}\0{file.stat().st_size}\0".encode("utf-8", "surrogateescape")
            )
        with file.open("rb") as opened:
            while block := opened.read(CHUNK):
                digest.update(block)
    return digest.hexdigest()
