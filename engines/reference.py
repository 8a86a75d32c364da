"""Offline spotting of a whole segment: the oracle that the stream must equal (law 1).

Nothing here is incremental: the proposer sees the segment in one call, or in as few as an engine on
a GPU takes, and clusters are sought among all candidates. A segment is run whole; the papers split
long videos into overlapping clips for training [S1 M8, M38].
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from .clips import resample
from .intervals import Candidate, Intervals, decode, nms, rounded
from .running_neutral import Neutral, lowered, margins, peaks_of, shift_of, shifted
from .runtime.engine import EngineSet
from .specs import CLUSTER_TICKS, FREE_SIZES, SpotterSpec

PIECE = FREE_SIZES["n"].largest  # ticks that any engine takes at once

Cluster = list[Candidate]


def spot(
    features: NDArray[np.float32], engines: EngineSet, limit: int = CLUSTER_TICKS
) -> Intervals:
    """Intervals of one whole segment in ticks, not rounded, ordered by start.

    features: (L, T) at the grid rate. limit: the longest cluster in ticks before a barrier.
    """
    candidates = refine(features, propose(features, engines), engines)
    return suppress_clusters(candidates, features.shape[1], engines.spotter, limit)


def spot_personally(
    features: NDArray[np.float32],
    engines: EngineSet,
    per_min: float,
    neutral: Neutral | None = None,
    limit: int = CLUSTER_TICKS,
) -> tuple[Intervals, Neutral]:
    """`spot` with a threshold of the face's own, for about `per_min` alarms a minute.

    neutral: what earlier segments showed of the face; returned is what it is after this one. The
    threshold at a tick depends on peaks that no window from that tick on can change. Not from the
    papers.
    """
    before = neutral or Neutral()
    spec = lowered(engines.spotter)
    scores = propose(features, engines)
    windows = refine(features, scores, replace(engines, spotter=spec))
    above = window_margins(windows, scores, engines.spotter)
    best = best_margins(windows, above, features.shape[1])
    passing = admitted(windows, above, best, per_min, before, engines.spotter)
    found = suppress_clusters(passing, features.shape[1], spec, limit)
    return found, before.after(best, engines.spotter)


def admitted(
    windows: list[Candidate],
    above: NDArray[np.float64],
    best: NDArray[np.float64],
    per_min: float,
    before: Neutral,
    spec: SpotterSpec,
) -> list[Candidate]:
    """The windows of a segment that reach the threshold of their face at their last tick.

    It is their floor in soft suppression too.

    above: their margins (P,); best: the best ones by tick (T,); before: what earlier segments
    showed of the face.
    """
    peaks = [peak._replace(tick=before.ticks + peak.tick) for peak in peaks_of(best, spec)]
    passing = []
    both = zip(windows, above.tolist(), strict=True)
    for end, ending in groupby(both, key=lambda pair: pair[0].end):
        now = before.ticks + end
        certain = [peak for peak in peaks if peak.tick + spec.max_ticks < now]
        shift = shift_of(Neutral(now, (*before.peaks, *certain)), per_min, spec.grid_hz)
        threshold = shifted(spec.t_crn, shift)
        passing += [
            window._replace(floor=min(threshold, window.score))
            for window, margin in ending
            if margin >= shift
        ]
    return passing


def best_margins(
    windows: list[Candidate], above: NDArray[np.float64], ticks: int
) -> NDArray[np.float64]:
    """The best of the margins (P,) by last tick (T,), -inf where no window ends."""
    best = np.full(ticks, -np.inf)
    np.maximum.at(best, [window.end for window in windows], above)
    return best


def window_margins(
    windows: list[Candidate], scores: NDArray[np.float32], spec: SpotterSpec
) -> NDArray[np.float64]:
    """The margins (P,) of refined windows whose proposals are in `scores` (M, T)."""
    proposed = [scores[window.scale, window.end] for window in windows]
    return margins(proposed, [window.score for window in windows], spec)


def propose(
    features: NDArray[np.float32], engines: EngineSet, piece: int = PIECE
) -> NDArray[np.float32]:
    """Scores (M, T) of the windows by last tick, NaN where they leave the segment; features (L, T).

    piece: ticks in one call of the proposer, whose state goes on to the next; the scores do not
    depend on it.
    """
    spec = engines.spotter
    scores = _proposer_output("scores", features, engines, piece)
    inside = np.arange(features.shape[1]) + 1 >= np.asarray(spec.windows)[:, None]
    return np.where(inside, scores, np.float32(np.nan))


def nuisances(
    features: NDArray[np.float32], engines: EngineSet, piece: int = PIECE
) -> NDArray[np.float32]:
    """What else moves at every tick, (K, T) by the K names of the spec; features (L, T)."""
    if not engines.spotter.nuisance:
        return np.empty((0, features.shape[1]), np.float32)
    return _proposer_output("nuisance", features, engines, piece)


def confounders(
    found: Intervals, moves: NDArray[np.float32], spec: SpotterSpec
) -> list[dict[str, float] | None]:
    """The highest of `moves` (K, T) by name over the ticks of each interval; None without names."""
    if not spec.nuisance:
        return [None] * len(found.start)
    highest: list[dict[str, float] | None] = []
    for start, stop in zip(found.start, found.stop, strict=True):
        onset = max(rounded(start), 0)
        offset = max(rounded(stop) - 1, onset)
        values = moves[:, onset : offset + 1].max(1)
        highest.append({name: float(v) for name, v in zip(spec.nuisance, values, strict=True)})
    return highest


def _proposer_output(
    name: str, features: NDArray[np.float32], engines: EngineSet, piece: int
) -> NDArray[np.float32]:
    """An output of the proposer for all ticks of a segment, (rows, T); features (L, T)."""
    spec = engines.spotter
    ticks = features.shape[1]
    padded = np.pad(features, ((0, 0), (0, spec.radius)))
    valid = (np.arange(ticks + spec.radius) < ticks).astype(np.float32)
    state = np.zeros((1, spec.state), np.float32)
    found = []
    for start in range(0, len(valid), piece):
        at = slice(start, start + piece)
        out = engines.proposer(features=padded[None, :, at], valid=valid[None, at], state=state)
        found.append(out[name][0].copy())
        state = out["state_out"].copy()
    return np.concatenate(found, axis=1)[:, spec.radius :]


def refine(
    features: NDArray[np.float32], scores: NDArray[np.float32], engines: EngineSet
) -> list[Candidate]:
    """Windows that pass T_CPN and, refined by CRN, T_CRN [S1 M28-M32], by end, then scale."""
    spec = engines.spotter
    candidates = []
    for end in np.flatnonzero((scores >= spec.t_cpn).any(0)):
        scales = np.flatnonzero(scores[:, end] >= spec.t_cpn)
        starts = end + 1 - np.asarray(spec.windows)[scales]
        stops = np.full(len(scales), end + 1)
        out = engines.refiner(clips=resample(features, starts, stops, spec.refine_length))
        onsets, offsets = decode(starts, stops, out["offsets"])
        refined = zip(scales, onsets, offsets, out["classes"][:, 1], strict=True)
        for scale, onset, offset, score in refined:
            if score >= spec.t_crn and spec.keeps(int(end) + 1, onset, offset):
                candidates.append(
                    Candidate(int(end), int(scale), float(onset), float(offset), float(score))
                )
    return candidates


def suppress_clusters(
    candidates: list[Candidate], ticks: int, spec: SpotterSpec, limit: int = CLUSTER_TICKS
) -> Intervals:
    """What NMS keeps of the candidates of a segment of `ticks` ticks, ordered by start.

    NMS sees one cluster at a time, with its candidates clipped to the segment.
    """
    found: list[Candidate] = []
    for members in clusters(candidates, limit):
        clipped = [c._replace(stop=min(c.stop, float(ticks))) for c in members]
        found += _suppress([c for c in clipped if c.stop - c.start >= spec.min_ticks], spec)
    found.sort(key=lambda c: (c.start, c.stop, -c.score))
    return Intervals.of([c.start for c in found], [c.stop for c in found], [c.score for c in found])


def clusters(candidates: list[Candidate], limit: int) -> list[Cluster]:
    """Connected components under positive overlap, cut by a barrier at `limit` ticks."""
    found = []
    for component in _connected(candidates):
        found += [component] if _span([component]) <= limit else _barred(component, limit)
    return found


def _connected(candidates: list[Candidate]) -> list[Cluster]:
    """Connected components, without a barrier."""
    components: list[Cluster] = []
    reach = float("-inf")
    for candidate in sorted(candidates, key=lambda c: c.start):
        if candidate.start >= reach:
            components.append([])
        components[-1].append(candidate)
        reach = max(reach, candidate.stop)
    return components


def _barred(candidates: list[Candidate], limit: int) -> list[Cluster]:
    """Clusters as they grow tick by tick, cut where one would pass `limit` ticks."""
    open_: list[Cluster] = []
    closed: list[Cluster] = []
    ordered = sorted(candidates, key=lambda c: (c.end, c.scale))
    for _, arriving in groupby(ordered, key=lambda c: c.end):
        joined = []
        for group in _touching(open_ + [[candidate] for candidate in arriving]):
            old = [cluster for cluster in group if cluster in open_]
            new = [cluster for cluster in group if cluster not in open_]
            if old and new and _span(group) > limit:
                closed += old
                joined += [_flat(part) for part in _touching(new)]
            else:
                joined.append(_flat(group))
        open_ = joined
    return closed + open_


def _touching(clusters: list[Cluster]) -> list[list[Cluster]]:
    """Groups of clusters that touch, directly or through others of the group."""
    groups: list[list[Cluster]] = []
    for cluster in clusters:
        near = [group for group in groups if any(_touch(cluster, other) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([cluster, *chain.from_iterable(near)])
    return groups


def _touch(one: Cluster, other: Cluster) -> bool:
    return any(a.start < b.stop and b.start < a.stop for a in one for b in other)


def _flat(group: list[Cluster]) -> Cluster:
    return list(chain.from_iterable(group))


def _span(group: list[Cluster]) -> float:
    members = _flat(group)
    return max(c.stop for c in members) - min(c.start for c in members)


def _suppress(members: Cluster, spec: SpotterSpec) -> Cluster:
    """What NMS keeps of one cluster, with their (soft: decayed) scores."""
    intervals = Intervals.of(
        [c.start for c in members], [c.stop for c in members], [c.score for c in members]
    )
    floors = [max(c.floor, spec.t_crn) for c in members]
    keep, scores = nms(intervals, spec.t_nms, spec.nms_rule, floors)
    return [members[i]._replace(score=float(s)) for i, s in zip(keep, scores, strict=True)]
