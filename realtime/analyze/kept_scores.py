"""Collects what thresholds that are chosen later need of a video, from the records of its run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from microspot.engines.evaluation.stored_scores import SegmentScores, VideoScores
from microspot.engines.intervals import Candidate

from ..pipeline import Record
from ..records import FrameTime, TickScores


@dataclass(eq=False)
class _OpenSegment:
    origin_ns: int
    frames: list[int] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    windows: list[Candidate] = field(default_factory=list)

    def closed(self) -> SegmentScores:
        frames = np.array(self.frames, np.int32)
        scores = np.stack(self.scores).astype(np.float32)
        return SegmentScores(self.origin_ns, frames, scores, tuple(self.windows))


class KeptScores:
    """Takes the records of one source; `video` is what it has of it."""

    def __init__(self, grid_hz: int) -> None:
        self._grid_hz = grid_hz
        self._frames: list[tuple[int, int]] = []
        self._segments: list[_OpenSegment] = []
        self._of_face: dict[int, _OpenSegment] = {}

    def take(self, record: Record) -> None:
        """Keep what there is of it; other records are passed over."""
        if isinstance(record, FrameTime):
            self._frames.append((record.index, record.captured_ns))
        elif isinstance(record, TickScores) and record.kept is not None:
            if record.kept.tick == 0:
                segment = _OpenSegment(record.at_ns)  # tick 0 is the segment's first frame
                self._of_face[record.face] = segment
                self._segments.append(segment)
            segment = self._of_face[record.face]
            segment.frames.append(record.kept.frame)
            segment.scores.append(record.scores)
            segment.windows += record.kept.windows

    def video(self) -> VideoScores:
        """All that was taken."""
        frames = np.array(self._frames, np.int64).reshape(-1, 2)
        segments = tuple(segment.closed() for segment in self._segments)
        return VideoScores(self._grid_hz, frames[:, 0], frames[:, 1], segments)
