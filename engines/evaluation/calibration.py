"""Thresholds by one rule for every engine set, networks or baseline.

The rule is the best F1 at HIT_IOU on clips of unseen faces. An operating point limits the false
alarms a minute. Each window is scored once; the thresholds are then swept over the stored scores.
Not from the papers, which name T_CRN and T_nms but no values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..clips import lag_indices, thin, tick_weights, to_ticks
from ..intervals import Candidate, Intervals, iou
from ..runtime.engine import EngineSet
from ..specs import SpotterSpec
from .metrics import HIT_IOU, one_to_one
from .rates import AlarmLimits, poisson_interval

# Closer where CPN's scores crowd.
T_CPN_GRID = (
    *(0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95),
    *(0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.993, 0.995),
)
T_CRN_GRID = (*(round(0.05 * k, 2) for k in range(6, 20)), 0.97, 0.98, 0.99)
CHUNK = 32  # frames encoded at a time

Floats = NDArray[np.float64]
Spans = tuple[Floats, Floats]  # starts and stops of [start, stop) in ticks
NOTHING = np.empty(0)


@dataclass(frozen=True, eq=False)
class Scored:
    """One clip, scored once for all thresholds.

    scores (M, T): CPN's. windows: those that pass the lowest thresholds, refined. start, stop (G,):
    its MEs as [start, stop) in ticks; doubtful: movements that count nowhere, likewise.
    """

    scores: NDArray[np.float32]
    windows: list[Candidate]
    start: Floats
    stop: Floats
    doubtful: Spans = (NOTHING, NOTHING)


def score_clip(
    engines: EngineSet,
    crops: NDArray[np.uint8],
    times_ns: NDArray[np.int64],
    micro_ns: NDArray[np.int64],
    doubtful_ns: NDArray[np.int64] | None = None,
) -> Scored:
    """Run a clip (N, 3, S, S) as one segment.

    micro_ns (G, 2): onset and offset of its MEs; doubtful_ns (D, 2): of movements that count
    nowhere.
    """
    features = clip_features(crops, times_ns, engines)
    lowest = replace(engines, spotter=replace(engines.spotter, t_cpn=min(T_CPN_GRID), t_crn=0.0))
    scores = reference.propose(features, lowest)
    spans = []
    for span_ns in (micro_ns, np.empty((0, 2), np.int64) if doubtful_ns is None else doubtful_ns):
        spans.append(
            to_ticks(span_ns[:, 0], span_ns[:, 1], int(times_ns[0]), engines.spotter.grid_hz)
        )
    truth, doubtful = spans
    return Scored(scores, reference.refine(features, scores, lowest), *truth, doubtful)


def clip_features(
    crops: NDArray[np.uint8], times_ns: NDArray[np.int64], engines: EngineSet
) -> NDArray[np.float32]:
    """(L, T) tick features of a clip by the rules of the stream: decimated, lagged, on the grid."""
    spec = engines.spotter
    kept = thin(times_ns, spec.grid_hz)
    times = times_ns[kept]
    lags = lag_indices(times, spec.lags_ns)
    features = []
    for start in range(0, len(kept), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(kept)))
        earlier = [crops[kept[lags[rows, d]]] for d in range(lags.shape[1])]
        stack = np.concatenate([crops[kept[rows]], *earlier], axis=1)
        features.append(engines.encoder(pixels=np.ascontiguousarray(stack))["features"].copy())
    ticks = tick_weights(times, spec.grid_hz) @ np.concatenate(features)
    return np.asarray(ticks.T, np.float32)


class Counts(NamedTuple):
    """What a clip has at some thresholds: MEs found, intervals spotted, MEs there, ticks."""

    hits: int
    spotted: int
    truths: int
    ticks: int


Count = Callable[[Scored, SpotterSpec], Counts]


def counts_at(clip: Scored, spec: SpotterSpec) -> Counts:
    """The counts of one clip at the thresholds of `spec`."""
    truth = (clip.start, clip.stop)
    spotted = spotted_at(clip, spec)
    kept = spotted[judged(spotted, truth, clip.doubtful)]
    hits = len(one_to_one(overlaps(kept, truth), HIT_IOU))
    return Counts(hits, len(kept), len(clip.start), clip.scores.shape[1])


def best_thresholds(
    scored: Sequence[Scored],
    spec: SpotterSpec,
    limits: AlarmLimits | None = None,
    allowed: Callable[[Sequence[SpotterSpec]], Sequence[SpotterSpec]] = lambda trials: trials,
    count: Count = counts_at,
) -> dict[str, Any]:
    """The report of the best thresholds: t_cpn, t_crn and what `report_at` gives for them.

    Best is the best F1, or with `limits` the most recall within them. Ties go to fewer false
    alarms; where nothing keeps the limits, the fewest false alarms win. `allowed` says which of the
    trials may be taken at all; where it allows none, the strictest is. count: as of `report_at`.
    """
    trials = [
        replace(spec, t_cpn=t_cpn, t_crn=t_crn) for t_cpn in T_CPN_GRID for t_crn in T_CRN_GRID
    ]
    found = [report_at(scored, trial, count) for trial in allowed(trials) or trials[-1:]]
    if limits is None:
        return max(found, key=lambda report: (report["f1"], -report["false_alarms_per_min"]))
    quiet = [
        report
        for report in found
        if limits.hold(report["false_alarms_per_min"], report["false_alarms_high"])
    ]
    if not quiet:
        fewest = min(report["false_alarms_per_min"] for report in found)
        quiet = [report for report in found if report["false_alarms_per_min"] == fewest]
    return max(quiet, key=lambda report: (report["recall"], -report["false_alarms_per_min"]))


def curve(scored: Sequence[Scored], spec: SpotterSpec) -> list[dict[str, Any]]:
    """What each T_CRN (option `--threshold`) gives at the T_CPN of `spec`.

    One row per value: t_crn, precision, recall, f1, false_alarms_per_min.
    """
    kept = ("t_crn", "precision", "recall", "f1", "false_alarms_per_min")
    reports = (report_at(scored, replace(spec, t_crn=t_crn)) for t_crn in T_CRN_GRID)
    return [{name: report[name] for name in kept} for report in reports]


def spotted_at(clip: Scored, spec: SpotterSpec) -> Intervals:
    """What is found in the clip at the thresholds of `spec`, in ticks."""
    passed = []
    for window in clip.windows:
        proposed = clip.scores[window.scale, window.end] >= spec.t_cpn
        if proposed and window.score >= spec.t_crn:
            passed.append(window)
    return reference.suppress_clusters(passed, clip.scores.shape[1], spec)


def overlaps(found: Intervals, spans: Spans) -> Floats:
    """(P, G) IoU of found intervals with spans in ticks."""
    return iou(found.start[:, None], found.stop[:, None], *spans)


def judged(found: Intervals, micros: Spans, doubtful: Spans) -> NDArray[np.int64]:
    """Indices of the found intervals that count: all but what fits a doubtful movement and no ME.

    Fits: at HIT_IOU. Not from the papers.
    """
    if not len(doubtful[0]):
        return np.arange(len(found))
    hits = {index for index, _ in one_to_one(overlaps(found, micros), HIT_IOU)}
    fits = overlaps(found, doubtful).max(1) >= HIT_IOU
    return np.array([i for i in range(len(found)) if i in hits or not fits[i]], np.int64)


def report_at(
    scored: Sequence[Scored], spec: SpotterSpec, count: Count = counts_at
) -> dict[str, Any]:
    """The figures of all clips together at the thresholds of `spec`.

    Keys: t_cpn, t_crn, f1, precision, recall, false_alarms_per_min, false_alarms_high (the upper
    end of its exact 95 % interval), truths, minutes, clips. count: `counts_at`, or what remembers
    its answers where clips are counted more than once. Clips without a tick have no false alarms.
    """
    counts = [count(clip, spec) for clip in scored]
    hits = sum(each.hits for each in counts)
    spotted = sum(each.spotted for each in counts)
    truths = sum(each.truths for each in counts)
    ticks = sum(each.ticks for each in counts)
    precision = hits / spotted if spotted else 0.0
    recall = hits / truths if truths else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    minutes = ticks / spec.grid_hz / 60
    alarms_high = poisson_interval(spotted - hits)[1]
    return {
        "t_cpn": spec.t_cpn,
        "t_crn": spec.t_crn,
        "f1": round(f1, 4),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "false_alarms_per_min": round((spotted - hits) / minutes, 3) if ticks else 0.0,
        "false_alarms_high": round(alarms_high / minutes, 3) if ticks else 0.0,
        "truths": truths,
        "minutes": round(minutes, 2),
        "clips": len(scored),
    }
