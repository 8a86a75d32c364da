"""Frames in, measures of their micro-expressions out.

Each ME is followed from its onset to its offset by an aligner, the one that runs live, that knows
nothing from before: the onset is its reference, so that cut clips and long recordings are measured
alike. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

from ...alignment.aligner import MediaPipeAligner
from ...alignment.registration import Pixels
from .measures import Crop, Floats, Points, measure

Frames = Iterable[tuple[int, int, Pixels]]  # number, time (ns), image (H, W, 3) BGR; rising


class Follower:
    """Follows MEs through frames; a context manager that keeps its aligners for later ones."""

    def __init__(self) -> None:
        self._aligners: list[MediaPipeAligner] = []
        self._free: list[MediaPipeAligner] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for aligner in self._aligners:
            aligner.close()

    def follow(self, frames: Frames, events: Sequence[Points]) -> list[Floats | None]:
        """(7,) the measures of each ME, in the order of `events`.

        None for one that is not measurable, and where a frame at its points is lacking or a frame
        between them shows no face that the aligner takes. No frame after the last offset is asked
        for. Raises EngineError where MediaPipe cannot be loaded.
        """
        followed = [_Followed(each) for each in events]
        last = max((each.offset for each in events if each.measurable), default=-1)
        for index, at_ns, image in frames if last >= 0 else ():
            for one in followed:
                if one.wants(index):
                    one.see(index, at_ns, image, self._take)
                elif one.aligner is not None:
                    self._free.append(one.aligner)
                    one.aligner = None
            if index >= last:
                break
        self._free = list(self._aligners)
        return [one.measures() for one in followed]

    def _take(self) -> MediaPipeAligner:
        """An aligner that no ME has, as new."""
        if not self._free:
            self._aligners.append(MediaPipeAligner())
            return self._aligners[-1]
        aligner = self._free.pop()
        aligner.reset()
        return aligner


class _Followed:
    """One ME while its frames come."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self.aligner: MediaPipeAligner | None = None
        self._crops: dict[int, tuple[int, Crop]] = {}
        self._lost = not points.measurable

    def wants(self, index: int) -> bool:
        """Whether a frame is one of its frames, and may still be of use."""
        return not self._lost and self.points.onset <= index <= self.points.offset

    def see(
        self, index: int, at_ns: int, image: Pixels, take: Callable[[], MediaPipeAligner]
    ) -> None:
        """Align a frame that it wants; take: gives an aligner for the first one."""
        if self.aligner is None:
            self.aligner = take()
        faces = self.aligner(image, at_ns).faces
        if not faces:
            self._lost = True
        elif index in self.points:
            self._crops[index] = (at_ns, faces[0].pixels)

    def measures(self) -> Floats | None:
        """The measures, once all frames were seen."""
        if self._lost or len(self._crops) < len(self.points):
            return None
        times, crops = zip(*(self._crops[index] for index in self.points), strict=True)
        return measure(crops, times)
