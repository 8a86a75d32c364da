"""Offline spotting of a whole segment, in plain lines: the oracle that the stream must equal (law 1).

Nothing here is incremental: the proposer sees the segment in one call, or in as few as an engine on a GPU takes;
clusters are sought among all candidates.
Splitting a long video into overlapping clips [S1 M8, M38] belongs to training; a segment is run whole.
"""

from __future__ import annotations

from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from .clips import resample
from .intervals import Candidate, Intervals, decode, nms
from .runtime.engine import EngineSet
from .specs import CLUSTER_TICKS, FREE_SIZES, SpotterSpec

PIECE = FREE_SIZES["n"].largest  # ticks that any engine takes at once


def propose(
    features: NDArray[np.float32], engines: EngineSet, piece: int = PIECE
) -> NDArray[np.float32]:
    """Scores (M, T) of the windows by last tick, NaN where they leave the segment; features (L, T).

    piece: ticks in one call of the proposer, whose state goes on to the next; any number gives the same scores.
    """
    spec, ticks = engines.spotter, features.shape[1]
    padded = np.pad(features, ((0, 0), (0, spec.radius)))
    valid = (np.arange(ticks + spec.radius) < ticks).astype(np.float32)
    state, found = np.zeros((1, spec.state), np.float32), []
    for start in range(0, len(valid), piece):
        at = slice(start, start + piece)
        out = engines.proposer(features=padded[None, :, at], valid=valid[None, at], state=state)
        found.append(out["scores"][0].copy())
        state = out["state_out"].copy()
    scores, ends = np.concatenate(found, axis=1)[:, spec.radius :], np.arange(ticks)
    return np.where(ends + 1 >= np.asarray(spec.windows)[:, None], scores, np.float32(np.nan))


def refine(
    features: NDArray[np.float32], scores: NDArray[np.float32], engines: EngineSet
) -> list[Candidate]:
    """The windows that pass T_CPN, refined by CRN, that pass T_CRN [S1 M28-M32], by end, then scale."""
    spec = engines.spotter
    windows = []
    for end in np.flatnonzero((scores >= spec.t_cpn).any(0)):
        scales = np.flatnonzero(scores[:, end] >= spec.t_cpn)
        starts, stops = end + 1 - np.asarray(spec.windows)[scales], np.full(len(scales), end + 1)
        out = engines.refiner(clips=resample(features, starts, stops, spec.refine_length))
        onsets, offsets = decode(starts, stops, out["offsets"])
        for scale, onset, offset, score in zip(
            scales, onsets, offsets, out["classes"][:, 1], strict=True
        ):
            if score >= spec.t_crn and spec.keeps(int(end) + 1, onset, offset):
                windows.append(
                    Candidate(int(end), int(scale), float(onset), float(offset), float(score))
                )
    return windows


def clusters(windows: list[Candidate], limit: int) -> list[list[Candidate]]:
    """Connected components under positive overlap; one that would pass `limit` ticks is cut by a barrier."""
    found = []
    for island in _islands(windows):
        found += [island] if _span([island]) <= limit else _barred(island, limit)
    return found


def _islands(windows: list[Candidate]) -> list[list[Candidate]]:
    """Connected components without a barrier."""
    parts: list[list[Candidate]] = []
    reach = float("-inf")
    for window in sorted(windows, key=lambda w: w.start):
        if window.start >= reach:
            parts.append([])
        parts[-1].append(window)
        reach = max(reach, window.stop)
    return parts


def _barred(windows: list[Candidate], limit: int) -> list[list[Candidate]]:
    """Clusters as they grow window by window, cut where one would pass `limit` ticks."""
    open_: list[list[Candidate]] = []
    closed: list[list[Candidate]] = []
    for _, arriving in groupby(
        sorted(windows, key=lambda w: (w.end, w.scale)), key=lambda w: w.end
    ):
        fresh = [[w] for w in arriving]
        joined = []
        for group in _components(open_ + fresh):
            old, new = [c for c in group if c in open_], [c for c in group if c not in open_]
            if old and new and _span(group) > limit:
                closed += old
                joined += [list(chain.from_iterable(part)) for part in _components(new)]
            else:
                joined.append(list(chain.from_iterable(group)))
        open_ = joined
    return closed + open_


def spot(
    features: NDArray[np.float32], engines: EngineSet, limit: int = CLUSTER_TICKS
) -> Intervals:
    """Intervals of one whole segment, features (L, T) at the grid rate, ordered by start; ticks, not rounded."""
    windows = refine(features, propose(features, engines), engines)
    return settle(windows, features.shape[1], engines.spotter, limit)


def settle(
    windows: list[Candidate], ticks: int, spec: SpotterSpec, limit: int = CLUSTER_TICKS
) -> Intervals:
    """What NMS keeps of the windows of a segment of `ticks` ticks, cluster by cluster, ordered by start."""
    found = []
    for members in clusters(windows, limit):
        inside = [w._replace(stop=min(w.stop, float(ticks))) for w in members]
        found += _judge([w for w in inside if w.stop - w.start >= spec.min_ticks], spec)
    found.sort(key=lambda w: (w.start, w.stop, -w.score))
    return Intervals.of([w.start for w in found], [w.stop for w in found], [w.score for w in found])


def _judge(members: list[Candidate], spec: SpotterSpec) -> list[Candidate]:
    intervals = Intervals.of(
        *np.array([(w.start, w.stop, w.score) for w in members]).reshape(-1, 3).T
    )
    keep, scores = nms(intervals, spec.t_nms, spec.nms_rule, floor=spec.t_crn)
    return [members[i]._replace(score=float(s)) for i, s in zip(keep, scores, strict=True)]


def _span(groups: list[list[Candidate]]) -> float:
    every = list(chain.from_iterable(groups))
    return max(w.stop for w in every) - min(w.start for w in every)


def _components(groups: list[list[Candidate]]) -> list[list[list[Candidate]]]:
    """Put groups together that touch, until none do."""
    parts: list[list[list[Candidate]]] = []
    for group in groups:
        touching = [part for part in parts if any(_touch(group, other) for other in part)]
        parts = [part for part in parts if part not in touching]
        parts.append([group, *chain.from_iterable(touching)])
    return parts


def _touch(one: list[Candidate], other: list[Candidate]) -> bool:
    return any(a.start < b.stop and b.start < a.stop for a in one for b in other)
