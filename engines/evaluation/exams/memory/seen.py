"""What is seen of a person: a segment scored once for all thresholds, and counted at one of them.

Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....clips import to_ticks
from ....intervals import Candidate, Intervals, iou
from ....reference import propose, refine, suppress_clusters, window_margins
from ....rejected_memory import Memory
from ....running_neutral import LOWEST_SHIFT, lowered
from ....runtime.engine import EngineSet
from ....specs import SpotterSpec
from ...calibration import Spans, clip_features, judged, overlaps
from ...metrics import HIT_IOU, one_to_one
from ..clusters import Counts, interval, ratio
from ..recordings import Recording
from .habits import KIND

HITS, TRUTHS, FALSE, OF_HABIT, SECONDS = range(5)  # columns of the counts


@dataclass(frozen=True, eq=False)
class Seen:
    """A segment of a person, scored once for all thresholds from the lowest one on.

    features (L, T); windows and their margins above the weights' thresholds (P,); the MEs, doubtful
    movements and habits in ticks.
    """

    features: NDArray[np.float32]
    windows: list[Candidate]
    above: NDArray[np.float64]
    micros: Spans
    doubtful: Spans
    habits: Spans


def see(recording: Recording, engines: EngineSet, lowest: float = LOWEST_SHIFT) -> Seen:
    """Score a segment; lowest: of the shifts that it is looked at with."""
    spec = engines.spotter
    features = clip_features(recording.crops, recording.times_ns, engines)
    scores = propose(features, engines)
    windows = refine(features, scores, replace(engines, spotter=lowered(spec, lowest)))
    habits = [(m.onset_ns, m.offset_ns) for m in recording.movements if m.kind == KIND]
    spans = (recording.micro_spans(), recording.doubtful_spans(), np.array(habits, np.int64))
    origin = int(recording.times_ns[0])
    ticks = []
    for span in spans:
        onset, offset = span.reshape(-1, 2).T
        ticks.append(to_ticks(onset, offset, origin, spec.grid_hz))
    return Seen(features, windows, window_margins(windows, scores, spec), *ticks)


def found_at(seen: Seen, spec: SpotterSpec, shift: float) -> Intervals:
    """What is spotted at thresholds `shift` logits above the weights'."""
    both = zip(seen.windows, seen.above.tolist(), strict=True)
    passing = [window for window, margin in both if margin >= shift]
    return suppress_clusters(passing, seen.features.shape[1], spec)


def counts_of(seen: Seen, spec: SpotterSpec, shift: float, memory: Memory | None = None) -> Counts:
    """The counts (5,) of a segment at thresholds `shift` logits above the weights'."""
    found = found_at(seen, spec, shift)
    if memory is not None:
        found = memory.without(found, seen.features)
    found = found[judged(found, seen.micros, seen.doubtful)]
    hits = {index for index, _ in one_to_one(overlaps(found, seen.micros), HIT_IOU)}
    false = [index for index in range(len(found.start)) if index not in hits]
    of_habit = touches(found, seen.habits)[false]
    seconds = seen.features.shape[1] / spec.grid_hz
    return np.array([len(hits), len(seen.micros[0]), len(false), of_habit.sum(), seconds])


def touches(found: Intervals, spans: Spans) -> NDArray[np.bool_]:
    """Which of the found intervals overlap one of the spans."""
    overlap = iou(found.start[:, None], found.stop[:, None], *spans)
    return np.asarray(overlap.max(1, initial=0) > 0)


def figures(counts: Counts) -> dict[str, Any]:
    """Recall and false alarms, those that touch a habit among them."""
    minutes = counts[:, SECONDS].sum() / 60
    return {
        "recall": round(float(counts[:, HITS].sum() / max(counts[:, TRUTHS].sum(), 1)), 3),
        "recall_interval": interval(counts, ratio(HITS, TRUTHS)),
        "truths": int(counts[:, TRUTHS].sum()),
        "false_alarms": int(counts[:, FALSE].sum()),
        "of_habits": int(counts[:, OF_HABIT].sum()),
        "false_alarms_per_min": round(float(counts[:, FALSE].sum() / minutes), 2),
    }
