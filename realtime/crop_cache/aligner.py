"""Aligners that keep what another one answers, and that answer what was kept."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from microspot.engines.alignment.aligner import Aligner, Alignment
from microspot.engines.alignment.registration import Pixels
from microspot.engines.specs import SpotterSpec
from microspot.engines.system.processes import is_running
from microspot.engines.system.replacement import replace

from ..config import Settings
from ..errors import DataError
from ..pipeline import mediapipe_aligner
from ..sinks.base import reason
from .entry import Entry
from .stored import CROPS, Answer, CropWriter, read_answers, write_answers

PART = ".{}.{}.part"  # an entry while the process of that number makes it


def _left_behind(cache: Path) -> list[Path]:
    """Unfinished entries of runs that were killed: pictures of people that nothing would read."""
    parts = cache.glob(PART.format("*", "*"))
    return [path for path in parts if not _is_running(path.stem.rpartition(".")[2])]


def _is_running(process: str) -> bool:
    """Whether a process of that number runs here; of what is no number, it counts as running."""
    if not process.isdecimal():
        return True
    try:
        return is_running(int(process))
    except (ValueError, OverflowError):
        return False


class KeepingAligner(Aligner):
    """Answers as `aligner` does, and keeps it for `entry`; `commit` makes the entry whole.

    Raises DataError where the cache cannot be written.
    """

    def __init__(self, aligner: Aligner, entry: Entry, side: int) -> None:
        self._aligner = aligner
        self._entry = entry
        self._part = entry.cache / PART.format(entry.name, os.getpid())
        self._answers: list[Answer] = []
        try:
            for old in (self._part, *_left_behind(entry.cache)):
                shutil.rmtree(old, ignore_errors=True)
            self._part.mkdir(mode=0o700)
            self._crops = CropWriter(self._part / CROPS, side)
        except OSError as error:
            raise self._unwritable(error) from error

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Align one frame (H, W, 3) taken at `captured_ns`."""
        found = self._aligner(image_bgr, captured_ns)
        self._answers.append((captured_ns, found))
        try:
            for face in found.faces:
                self._crops.add(face.pixels)
        except OSError as error:
            raise self._unwritable(error) from error
        return found

    def reset(self, face: int | None = None) -> None:
        """Start a new segment."""
        self._aligner.reset(face)

    def close(self) -> None:
        """Free what the aligner holds."""
        self._aligner.close()

    def commit(self) -> None:
        """Give the entry its name, once the recording has been seen to its end."""
        try:
            self._crops.close()
            write_answers(self._part, self._answers, self._entry.made_from)
            self._entry.remove_others()
            if self._entry.is_there:  # another run was faster
                shutil.rmtree(self._part)
            else:
                replace(self._part, self._entry.folder)
        except OSError as error:
            raise self._unwritable(error) from error

    def discard(self) -> None:
        """Remove what is not whole."""
        self._crops.close()
        shutil.rmtree(self._part, ignore_errors=True)

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(f"cannot write {self._entry.cache}: {reason(error)}")


class RememberedAligner(Aligner):
    """Answers what was kept for the same frames. Raises DataError for other ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers = read_answers(folder)

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """What was answered for the frame taken at `captured_ns`."""
        kept_ns, found = next(self._answers, (None, None))
        if found is None or kept_ns != captured_ns:
            raise DataError(f"{self._folder} is of other frames: remove the folder")
        return found

    def reset(self, face: int | None = None) -> None:
        """Do nothing: what follows from a new segment was kept."""

    def close(self) -> None:
        """Do nothing."""


class CachedAlignment:
    """Makes the aligner of one recording: one that remembers where there is an entry."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._keeping: KeepingAligner | None = None

    def __call__(self, spec: SpotterSpec, settings: Settings) -> Aligner:
        """The aligner, as a Pipeline asks for it."""
        if self._entry.is_there:
            return RememberedAligner(self._entry.folder)
        self._keeping = KeepingAligner(mediapipe_aligner(spec, settings), self._entry, spec.side)
        return self._keeping

    def commit(self) -> None:
        """Keep what was aligned: the recording has been seen to its end."""
        if self._keeping is not None:
            self._keeping.commit()
            self._keeping = None

    def discard(self) -> None:
        """Keep nothing of a recording that was not seen to its end."""
        if self._keeping is not None:
            self._keeping.discard()
            self._keeping = None
