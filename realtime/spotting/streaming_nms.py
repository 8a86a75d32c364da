"""Streaming non-maximum suppression: it decides as soon as nothing later can change the result.

Candidates that overlap at all form a cluster. A later window's refined interval cannot start
earlier than `reach` ticks before that window's end. Once a cluster lies before that horizon, it is
released: NMS decides which of its candidates become final. A cluster that would span more than
`limit` ticks meets a barrier: what came before is suppressed together, later candidates without it.
`engines.reference` applies the same rules to a whole segment at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from microspot.engines.intervals import Candidate, Intervals, nms
from microspot.engines.specs import SpotterSpec

from ..records import Status


class Key(NamedTuple):
    """Names an event within a segment, by the last tick and the scale of its first window.

    turn: tells apart events that are named after the same window.
    """

    end: int
    scale: int
    turn: int = 0


class Decision(NamedTuple):
    """What became of the event named `key`."""

    status: Status
    key: Key
    candidate: Candidate


def compile_nms(spec: SpotterSpec) -> None:
    """Compile NMS, which takes Numba about a second, so that no event of a stream waits for it."""
    nms(Intervals.of([0.0], [1.0], [1.0]), spec.t_nms, spec.nms_rule)


@dataclass(eq=False)
class _Cluster:
    """Candidates connected by overlap, and what was announced of them."""

    members: list[Candidate]
    key: Key
    announced: Candidate | None  # the candidate of the last provisional decision
    used_keys: set[Key]  # of the events that were announced of it

    @property
    def start(self) -> float:
        return min(c.start for c in self.members)

    @property
    def stop(self) -> float:
        return max(c.stop for c in self.members)

    @property
    def best(self) -> Candidate:
        return min(self.members, key=lambda c: c.rank)


class StreamingNms:
    """push / flush / reset over the candidates of one segment, in order of window end."""

    def __init__(self, spec: SpotterSpec, limit: int) -> None:
        self.spec = spec
        self.limit = limit
        self.reset()

    def reset(self) -> None:
        """Forget the segment."""
        self._open: list[_Cluster] = []
        # behind a barrier, until their last tick has been captured
        self._closed: list[_Cluster] = []

    def push(self, end: int, candidates: list[Candidate]) -> list[Decision]:
        """Take the candidates of all windows that end at tick `end`; every tick, in order."""
        decisions: list[Decision] = []
        if candidates:
            decisions += self._admit(candidates)
        horizon = end + 2 - self.spec.reach  # no window after `end` can start earlier than this
        past = [cluster for cluster in self._open if cluster.stop <= horizon]
        past += [cluster for cluster in self._closed if cluster.stop <= end + 1]
        return decisions + self._release(past)

    def flush(self, ticks: int) -> list[Decision]:
        """The segment ended after `ticks` ticks: clip to it and release everything."""
        for cluster in self._open + self._closed:
            inside = [c._replace(stop=min(c.stop, float(ticks))) for c in cluster.members]
            cluster.members = [c for c in inside if c.stop - c.start >= self.spec.min_ticks]
        decisions = self._release(self._open + self._closed)
        self.reset()
        return decisions

    def _admit(self, candidates: list[Candidate]) -> list[Decision]:
        """Add candidates to the clusters they overlap; the decisions are what changed by that."""
        fresh = []
        for candidate in candidates:
            key = Key(candidate.end, candidate.scale)
            fresh.append(_Cluster([candidate], key, None, {key}))
        decisions: list[Decision] = []
        merged: list[_Cluster] = []
        for group in _components([*self._open, *fresh]):
            old = [cluster for cluster in group if cluster in self._open]
            new = [cluster for cluster in group if cluster not in self._open]
            span = max(c.stop for c in group) - min(c.start for c in group)
            if old and new and span > self.limit:  # the barrier
                self._closed += old
                merged += [self._merge(part, decisions) for part in _components(new)]
            else:
                merged.append(self._merge(group, decisions))
        self._open = merged
        for cluster in self._open:
            best = cluster.best
            if cluster.announced != best:
                cluster.announced = best
                decisions.append(Decision("provisional", cluster.key, best))
        return decisions

    def _merge(self, group: list[_Cluster], decisions: list[Decision]) -> _Cluster:
        """One cluster of several.

        The key of the one that was announced with the best candidate survives; the events of the
        others are withdrawn.
        """
        if len(group) == 1:
            return group[0]
        announced = [cluster for cluster in group if cluster.announced is not None]
        survivor = min(announced or group, key=lambda cluster: (cluster.best.rank, cluster.key))
        used_keys = {survivor.key}
        for cluster in announced:
            used_keys |= cluster.used_keys
            if cluster is not survivor and cluster.announced is not None:
                decisions.append(Decision("withdrawn", cluster.key, cluster.announced))
        members = [candidate for cluster in group for candidate in cluster.members]
        return _Cluster(members, survivor.key, survivor.announced, used_keys)

    def _release(self, clusters: list[_Cluster]) -> list[Decision]:
        """Decide the clusters by NMS and forget them; decisions by start, then by key."""
        self._open = [cluster for cluster in self._open if cluster not in clusters]
        self._closed = [cluster for cluster in self._closed if cluster not in clusters]
        decisions: list[Decision] = []
        for cluster in sorted(clusters, key=lambda cluster: cluster.key):
            kept = suppress(cluster.members, self.spec)
            for rank, candidate in enumerate(kept):
                key = cluster.key if rank == 0 else _unused_key(candidate, cluster.used_keys)
                decisions.append(Decision("final", key, candidate))
            if not kept and cluster.announced is not None:
                decisions.append(Decision("withdrawn", cluster.key, cluster.announced))
        return sorted(decisions, key=lambda decision: (decision.candidate.start, decision.key))


def suppress(members: list[Candidate], spec: SpotterSpec) -> list[Candidate]:
    """What NMS keeps of one cluster, best first, with (soft: decayed) scores."""
    # in this order, of several equal intervals the earliest window is kept
    members = sorted(members, key=lambda c: (c.rank, c.end, c.scale))
    starts = [candidate.start for candidate in members]
    stops = [candidate.stop for candidate in members]
    intervals = Intervals.of(starts, stops, [candidate.score for candidate in members])
    floors = [max(candidate.floor, spec.t_crn) for candidate in members]
    keep, scores = nms(intervals, spec.t_nms, spec.nms_rule, floors)
    return [members[i]._replace(score=float(score)) for i, score in zip(keep, scores, strict=True)]


def _unused_key(candidate: Candidate, used_keys: set[Key]) -> Key:
    """The key of another event of a cluster, which is then used too."""
    key = Key(candidate.end, candidate.scale)
    while key in used_keys:
        key = key._replace(turn=key.turn + 1)
    used_keys.add(key)
    return key


def _components(clusters: Iterable[_Cluster]) -> list[list[_Cluster]]:
    """Connected components under positive overlap of the clusters' spans.

    Each span is itself connected, so that sorting the spans suffices.
    """
    groups: list[list[_Cluster]] = []
    last_stop = float("-inf")
    for cluster in sorted(clusters, key=lambda c: (c.start, c.stop, c.key)):
        if cluster.start < last_stop:
            groups[-1].append(cluster)
        else:
            groups.append([cluster])
            last_stop = float("-inf")
        last_stop = max(last_stop, cluster.stop)
    return groups
