"""Settler: streaming non-maximum suppression that decides as soon as nothing later can change the answer.

Candidates that overlap at all form a cluster. A later window's refined interval cannot start earlier than `reach`
ticks before that window's end, so a cluster is released (judged by NMS, made final) once it lies before that horizon.
A cluster that would span more than `limit` ticks meets a barrier: what came before is judged together, later
candidates without it. `engines.reference` applies the same rules to a whole segment at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from microspot.engines.intervals import Candidate, Intervals, nms
from microspot.engines.specs import SpotterSpec


class Key(NamedTuple):
    """Names an event within a segment: the first window's last tick and scale; `turn` tells apart reused windows."""

    end: int
    scale: int
    turn: int = 0


class Decision(NamedTuple):
    """What became of the event `key` at window end `end`."""

    status: Literal["provisional", "final", "withdrawn"]
    key: Key
    candidate: Candidate


def warm(spec: SpotterSpec) -> None:
    """Load NMS now: Numba takes a second or two, and the first event of a live stream must not wait for it."""
    nms(Intervals.of([0.0], [1.0], [1.0]), spec.t_nms, spec.nms_rule)


@dataclass(eq=False)
class _Cluster:
    members: list[Candidate]
    key: Key
    shown: Candidate | None  # the candidate of the last provisional decision
    used_keys: set[Key]

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
        self.spec, self.limit = spec, limit
        self.reset()

    def reset(self) -> None:
        """Forget the segment."""
        self._open: list[_Cluster] = []
        self._closed: list[
            _Cluster
        ] = []  # behind a barrier, until their last tick has been captured

    def push(self, end: int, candidates: list[Candidate]) -> list[Decision]:
        """Take the candidates of all windows that end at tick `end`; call for every tick, in order."""
        decisions: list[Decision] = []
        if candidates:
            decisions += self._admit(candidates)
        horizon = end + 2 - self.spec.reach  # no window after `end` can start earlier than this
        past = [c for c in self._open if c.stop <= horizon] + [
            c for c in self._closed if c.stop <= end + 1
        ]
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
        fresh = [
            _Cluster([c], Key(c.end, c.scale), None, {Key(c.end, c.scale)}) for c in candidates
        ]
        decisions: list[Decision] = []
        merged: list[_Cluster] = []
        for group in _components([*self._open, *fresh]):
            old = [c for c in group if c in self._open]
            new = [c for c in group if c not in self._open]
            span = max(c.stop for c in group) - min(c.start for c in group)
            if old and new and span > self.limit:  # the barrier
                self._closed += old
                merged += [self._merge(part, decisions) for part in _components(new)]
            else:
                merged.append(self._merge(group, decisions))
        self._open = merged
        for cluster in self._open:
            if cluster.shown != (best := cluster.best):
                cluster.shown = best
                decisions.append(Decision("provisional", cluster.key, best))
        return decisions

    def _merge(self, group: list[_Cluster], decisions: list[Decision]) -> _Cluster:
        """One cluster of several: the id of the one that was announced with the best candidate goes on."""
        if len(group) == 1:
            return group[0]
        announced = [c for c in group if c.shown is not None]
        survivor_of_merge = min(announced or group, key=lambda c: (c.best.rank, c.key))
        used_keys: set[Key] = set()
        for cluster in announced:
            used_keys |= cluster.used_keys
            if cluster is not survivor_of_merge and cluster.shown is not None:
                decisions.append(Decision("withdrawn", cluster.key, cluster.shown))
        members = [c for cluster in group for c in cluster.members]
        return _Cluster(
            members,
            survivor_of_merge.key,
            survivor_of_merge.shown,
            used_keys | {survivor_of_merge.key},
        )

    def _release(self, clusters: list[_Cluster]) -> list[Decision]:
        self._open = [c for c in self._open if c not in clusters]
        self._closed = [c for c in self._closed if c not in clusters]
        decisions: list[Decision] = []
        for cluster in sorted(clusters, key=lambda c: c.key):
            survivors = suppress(cluster.members, self.spec)
            for rank, survivor in enumerate(survivors):
                key = cluster.key if rank == 0 else _unused_key(survivor, cluster.used_keys)
                decisions.append(Decision("final", key, survivor))
            if not survivors and cluster.shown is not None:
                decisions.append(Decision("withdrawn", cluster.key, cluster.shown))
        return sorted(decisions, key=lambda d: (d.candidate.start, d.key))


def suppress(members: list[Candidate], spec: SpotterSpec) -> list[Candidate]:
    """The survivors of one cluster under NMS, best first, with their (soft: decayed) scores."""
    members = sorted(
        members, key=lambda c: (c.rank, c.end, c.scale)
    )  # so that merging duplicates keeps the earliest
    intervals = Intervals.of(
        [c.start for c in members], [c.stop for c in members], [c.score for c in members]
    )
    keep, scores = nms(intervals, spec.t_nms, spec.nms_rule, floor=spec.t_crn)
    return [members[i]._replace(score=float(score)) for i, score in zip(keep, scores, strict=True)]


def _unused_key(survivor: Candidate, used_keys: set[Key]) -> Key:
    key = Key(survivor.end, survivor.scale)
    while key in used_keys:
        key = key._replace(turn=key.turn + 1)
    used_keys.add(key)
    return key


def _components(clusters: Iterable[_Cluster]) -> list[list[_Cluster]]:
    """Connected components under positive overlap of the clusters' spans (each span is itself connected)."""
    groups: list[list[_Cluster]] = []
    reach = float("-inf")
    for cluster in sorted(clusters, key=lambda c: (c.start, c.stop, c.key)):
        if cluster.start < reach:
            groups[-1].append(cluster)
        else:
            groups.append([cluster])
            reach = float("-inf")
        reach = max(reach, cluster.stop)
    return groups
