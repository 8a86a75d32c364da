"""Scores of a whole video as the stream made them, for thresholds that are chosen afterwards.

A video is spotted once at low thresholds. What higher ones would have found follows from what was
stored: which windows pass, and what NMS leaves of them, by the rules of `calibration` and
`reference`. Shape letters: T ticks of a segment, M scales, N captured frames, G true intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..clips import SECOND_NS, nearest_frames, to_ticks
from ..errors import DataError
from ..intervals import Candidate, rounded
from ..specs import SpotterSpec
from .calibration import NOTHING, Scored, spotted_at

KEPT_T_CPN = 0.3  # thresholds that a video is spotted at once; not from the papers
KEPT_T_CRN = 0.05

Spans = Sequence[tuple[int, int]]  # onsets and offsets in inclusive source frames
Found = tuple[int, int, float]  # onset and offset in inclusive source frames, score


@dataclass(frozen=True, eq=False)
class SegmentScores:
    """A face that was seen without a gap.

    origin_ns: time of its tick 0; frames (T,): index of the captured frame nearest to each tick;
    scores (T, M): CPN's, by last tick; windows: those that pass the low thresholds, refined.
    """

    origin_ns: int
    frames: NDArray[np.int32]
    scores: NDArray[np.float32]
    windows: tuple[Candidate, ...]

    def end_ns(self, grid_hz: int) -> int:
        """When its last tick ends."""
        return self.origin_ns + len(self.frames) * SECOND_NS // grid_hz

    def clip(self, micros_ns: NDArray[np.int64], grid_hz: int) -> Scored:
        """The segment as calibration takes it; micros_ns (G, 2): onset and offset of its MEs."""
        truth = to_ticks(micros_ns[:, 0], micros_ns[:, 1], self.origin_ns, grid_hz)
        return Scored(self.scores.T, list(self.windows), *truth)


@dataclass(frozen=True, eq=False)
class VideoScores:
    """The segments of a video; frame_index, frame_ns (N,): its captured frames and their times."""

    grid_hz: int
    frame_index: NDArray[np.int64]
    frame_ns: NDArray[np.int64]
    segments: tuple[SegmentScores, ...]

    def clips(self, truth: Spans) -> list[Scored]:
        """The video as calibration takes it, a clip for each segment.

        A true interval counts in the segment that it shares most time with. One that no segment
        shares any with is missed at every threshold: a clip of no ticks holds these.
        """
        times = self._times_ns(truth)
        homes = np.array([self._home(onset, offset) for onset, offset in times.tolist()], np.int64)
        clips = [
            segment.clip(times[homes == place], self.grid_hz)
            for place, segment in enumerate(self.segments)
        ]
        unseen = times[homes < 0]
        if len(unseen):
            scales = self.segments[0].scores.shape[1] if self.segments else 0
            nothing = np.empty((scales, 0), np.float32)
            clips.append(
                Scored(nothing, [], *to_ticks(unseen[:, 0], unseen[:, 1], 0, self.grid_hz))
            )
        return clips

    def found_at(self, spec: SpotterSpec) -> list[Found]:
        """What is found at the thresholds of `spec`, in source frames, as an Event has them."""
        found = []
        for segment in self.segments:
            clip = Scored(segment.scores.T, list(segment.windows), NOTHING, NOTHING)
            spotted = spotted_at(clip, spec)
            for start, stop, score in zip(spotted.start, spotted.stop, spotted.score, strict=True):
                onset = max(rounded(start), 0)
                offset = max(rounded(stop) - 1, onset)
                frames = segment.frames[[onset, offset]].tolist()
                found.append((frames[0], frames[1], float(score)))
        return found

    def _times_ns(self, spans: Spans) -> NDArray[np.int64]:
        """(G, 2) times of the captured frames nearest in number."""
        frames = np.array(spans, np.int64).reshape(-1, 2)
        if not len(self.frame_index):
            return np.zeros_like(frames)
        places = [nearest_frames(self.frame_index, column) for column in frames.T]
        return np.stack([self.frame_ns[place] for place in places], 1)

    def _home(self, onset_ns: int, offset_ns: int) -> int:
        """The segment that shares most time with an interval, -1 where none does."""
        shared = [
            min(offset_ns + 1, segment.end_ns(self.grid_hz)) - max(onset_ns, segment.origin_ns)
            for segment in self.segments
        ]
        best = max(shared, default=0)
        return shared.index(best) if best > 0 else -1


def write_scores(path: Path, video: VideoScores) -> None:
    """Write the scores as arrays in one file, the same bytes for the same scores. Raises OSError.

    segment_origin_ns, segment_ticks (segments,); frames (T,), scores (T, M) of all segments one
    after the other; window_segment, window_end, window_scale, window_start, window_stop,
    window_score (windows,); frame_index, frame_ns (N,); grid_hz.
    """
    segments = video.segments
    windows = [(place, each) for place, one in enumerate(segments) for each in one.windows]
    arrays: dict[str, Any] = {
        "segment_origin_ns": np.array([one.origin_ns for one in segments], np.int64),
        "segment_ticks": np.array([len(one.frames) for one in segments], np.int64),
        "frames": _joined([one.frames for one in segments], np.int32),
        "scores": _joined([one.scores for one in segments], np.float32),
        "window_segment": np.array([place for place, _ in windows], np.int64),
        "window_end": np.array([each.end for _, each in windows], np.int64),
        "window_scale": np.array([each.scale for _, each in windows], np.int64),
        "window_start": np.array([each.start for _, each in windows], np.float64),
        "window_stop": np.array([each.stop for _, each in windows], np.float64),
        "window_score": np.array([each.score for _, each in windows], np.float64),
        "frame_index": video.frame_index,
        "frame_ns": video.frame_ns,
        "grid_hz": np.array(video.grid_hz, np.int64),
    }
    np.savez_compressed(path, **arrays)


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def read_scores(path: Path) -> VideoScores:
    """What `write_scores` wrote. Raises DataError for any other file."""
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            found = {name: file[name] for name in file.files}
        edges = [0, *np.cumsum(found["segment_ticks"]).tolist()]
        segments = [
            SegmentScores(
                int(found["segment_origin_ns"][place]),
                found["frames"][start:stop],
                found["scores"][start:stop],
                _windows(found, place),
            )
            for place, (start, stop) in enumerate(pairwise(edges))
        ]
        grid_hz = int(found["grid_hz"])
        return VideoScores(grid_hz, found["frame_index"], found["frame_ns"], tuple(segments))
    except (OSError, ValueError, LookupError, TypeError, BadZipFile) as error:
        raise DataError(f"{path}: no scores that can be read ({error}); make them anew") from error


def _windows(found: dict[str, NDArray[Any]], segment: int) -> tuple[Candidate, ...]:
    own = found["window_segment"] == segment
    columns = [found[f"window_{name}"][own].tolist() for name in Candidate._fields[:5]]
    return tuple(Candidate(*row) for row in zip(*columns, strict=True))
