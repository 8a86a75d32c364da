"""A recording of a synthetic person, reviewed by its truth, as `microspot review --crops` has it.

Spotted at thresholds so low that there are events enough; some of them are drawn and decided. What
touches a micro-expression (ME) is accepted and mended to it, what touches none is rejected. The
rest stays undecided, as what fits a doubtful movement does. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..clips import SECOND_NS
from ..data.aligned.recordings import CROPS, REVIEWED, AlignedRecording, AlignedSegment
from ..data.aligned.reviewed import LEAST_FRAMES, Span, is_kept
from ..data.annotations import Interval
from ..data.generator.timeline import Movement
from ..evaluation.calibration import judged, overlaps
from ..evaluation.exams.memory.seen import Seen, found_at
from ..evaluation.exams.recordings import Recording
from ..rejected_memory import Memory, Vector, event_vector, ticks_of
from ..specs import SpotterSpec
from ..training.crops import Indices

# Of the thresholds, logits from the weights': the first at which there are enough events is taken.
REVIEW_SHIFTS = (0.0, -1.0, -2.0, -3.0, -4.0)


class Spotted(NamedTuple):
    """An event: its interval in s, its vector (E,), and the ME that it touches, if any.

    decidable: whether it fits no doubtful movement.
    """

    span: Span
    vector: Vector
    micro: Movement | None
    decidable: bool


@dataclass(frozen=True)
class Review:
    """Decided and undecided events of a recording, spotted `shift` logits from the weights'."""

    accepted: tuple[Spotted, ...]
    rejected: tuple[Spotted, ...]
    undecided: tuple[Spotted, ...]
    shift: float

    def keeps(self, at_s: float) -> bool:
        """Whether `review --crops` would keep a frame."""
        decided = [event.span for event in (*self.accepted, *self.rejected)]
        return is_kept(at_s, decided, (event.span for event in self.undecided))

    def wrongly_none(self, recording: Recording) -> int:
        """How many MEs nobody accepted, in what is kept: training takes them for none."""
        known = [event.micro for event in self.accepted]
        return sum(
            self.keeps(micro.apex_ns / SECOND_NS)
            for micro in recording.micros()
            if micro not in known
        )

    def memory(self, width: int) -> Memory:
        """The memory of the decided events; width: E."""
        rejected, accepted = (
            np.array([event.vector for event in events], np.float32).reshape(-1, width)
            for events in (self.rejected, self.accepted)
        )
        return Memory(rejected, accepted, "")


def reviewed(
    parts: Sequence[Recording],
    seeing: Sequence[Seen],
    spec: SpotterSpec,
    count: int,
    rng: np.random.Generator,
) -> Review:
    """Decide `count` events of a recording, drawn by `rng`; all where there are fewer.

    parts, seeing: its segments, and what is seen of each from the lowest of REVIEW_SHIFTS on.
    """
    for shift in REVIEW_SHIFTS:
        both = zip(parts, seeing, strict=True)
        events = [event for part, seen in both for event in spotted(part, seen, spec, shift)]
        pool = [event for event in events if event.decidable]
        if len(pool) >= count:
            break
    drawn = set(rng.choice(len(pool), min(count, len(pool)), replace=False).tolist())
    decided = [event for place, event in enumerate(pool) if place in drawn]
    left = [event for place, event in enumerate(pool) if place not in drawn]
    left += [event for event in events if not event.decidable]
    return Review(
        tuple(event for event in decided if event.micro is not None),
        tuple(event for event in decided if event.micro is None),
        tuple(left),
        shift,
    )


def spotted(part: Recording, seen: Seen, spec: SpotterSpec, shift: float) -> list[Spotted]:
    """The events of a segment; of several that touch one ME the one that overlaps it most.

    The span of an event that touches an ME is the ME's.
    """
    found = found_at(seen, spec, shift)
    decidable = set(judged(found, seen.micros, seen.doubtful).tolist())
    shared = overlaps(found, seen.micros)
    events = []
    for i in range(len(found.start)):
        onset, offset = (
            int(part.times_ns[0]) + float(tick) * SECOND_NS / spec.grid_hz
            for tick in (found.start[i], found.stop[i])
        )
        micro = None
        if shared[i].max(initial=0) > 0:
            place = int(shared[i].argmax())
            if shared[:, place].argmax() != i:
                continue
            micro = part.micros()[place]
            onset, offset = micro.onset_ns, micro.offset_ns
        first, last = ticks_of(found.start[i], found.stop[i], seen.features.shape[1])
        vector = event_vector(seen.features[:, first:last])
        span = (onset / SECOND_NS, offset / SECOND_NS)
        events.append(Spotted(span, vector, micro, i in decidable))
    return events


def write_reviewed(
    recording: Recording, parts: Sequence[Recording], review: Review, folder: Path
) -> AlignedRecording:
    """Write the crops that are kept of a recording; what training reads of it. Raises OSError."""
    kept = []
    segments = []
    start = 0
    for part in parts:
        for rows in _pieces(part, review):
            kept.append(part.crops[rows])
            segments.append(AlignedSegment(start, part.times_ns[rows]))
            start += len(rows)
    side = recording.crops.shape[2:]
    crops = np.concatenate(kept) if kept else np.empty((0, 3, *side), np.uint8)
    np.save(folder / CROPS, crops)
    times = recording.times_ns
    seconds = float(times[-1] - times[0]) / SECOND_NS
    return AlignedRecording(
        folder,
        REVIEWED,
        recording.name,
        recording.name,
        (len(times) - 1) / seconds,
        seconds,
        tuple(_interval(recording, event.micro) for event in review.accepted if event.micro),
        np.arange(len(times), dtype=np.int64),
        times,
        tuple(segments),
    )


def _pieces(part: Recording, review: Review) -> list[Indices]:
    """The rows of each piece that is kept of a segment."""
    rows = np.array([review.keeps(at / SECOND_NS) for at in part.times_ns.tolist()], bool)
    edges = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), len(rows)]
    pieces = [np.arange(first, last) for first, last in pairwise(edges) if rows[first]]
    return [piece for piece in pieces if len(piece) >= LEAST_FRAMES]


def _interval(recording: Recording, micro: Movement) -> Interval:
    """An ME in frames counted from 0, the nearest ones."""
    moments = np.array([micro.onset_ns, micro.offset_ns])
    onset, offset = np.abs(recording.times_ns[:, None] - moments).argmin(0).tolist()
    return Interval(recording.name, recording.name, onset, None, offset, "micro")
