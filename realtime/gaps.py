"""Gaps: from the last frame of a face that was used to the first one used after it.

An outage gives a Gap as soon as it is certain, which ends the segment, and further ones for the
rest, when the face comes back or the source ends. These Gaps touch, and `joined` makes one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from microspot.engines.alignment.aligner import Rejection
from microspot.engines.alignment.bridge import Bridge

from .records import Gap, GapReason


@dataclass
class SegmentTracker:
    """The faces of a source with an open segment; turns the absence of one into Gaps.

    last: face -> time of the last frame used; unseen: face -> why it was not used since;
    outages: face -> the last Gap reported of an outage that is not over.
    """

    source: str
    bridge: Bridge
    last: dict[int, int] = field(default_factory=dict)
    unseen: dict[int, str] = field(default_factory=dict)
    outages: dict[int, Gap] = field(default_factory=dict)

    def see(self, now_ns: int, faces: set[int], reason: str | None) -> list[Gap]:
        """The Gaps that are certain at `now_ns`.

        faces: those used in this frame; reason: why the first other face was not.
        """
        self.bridge.see(now_ns)
        gaps = self._returned(now_ns, faces)
        for face in self.last.keys() - faces:
            self.unseen[face] = reason or Rejection.NO_FACE
        for face, last_ns in list(self.last.items()):
            if self.bridge.spans(last_ns, now_ns):
                continue
            why = self.unseen.get(face, GapReason.FRAMES_MISSING)
            gap = Gap(self.source, face, last_ns, now_ns, why)
            gaps.append(gap)
            del self.last[face]
            if face not in faces:
                self.outages[face] = gap
        for face in faces:
            self.last[face] = now_ns
            self.unseen.pop(face, None)
        return gaps

    def _returned(self, now_ns: int, faces: set[int]) -> list[Gap]:
        """The rest of the outage of every face that is back."""
        reported = [self.outages.pop(face) for face in sorted(faces & self.outages.keys())]
        return [
            replace(gap, start_ns=gap.stop_ns, stop_ns=now_ns)
            for gap in reported
            if gap.stop_ns < now_ns
        ]

    def interrupted(self, gap: Gap) -> list[Gap]:
        """End every segment, since the source itself was interrupted by `gap`.

        Returns `gap`, begun at the last frame used, and before it the Gaps of faces that had been
        missing earlier. An outage of every face is open from then on.
        """
        since = {face: reported.stop_ns for face, reported in self.outages.items()} | self.last
        start = min(gap.start_ns, max(self.last.values(), default=gap.start_ns))
        whole = Gap(self.source, None, start, gap.stop_ns, gap.reason)
        before = [
            Gap(self.source, face, since_ns, start, self._reason(face, gap))
            for face, since_ns in sorted(since.items())
            if since_ns < start
        ]
        self.outages = {face: replace(whole, face=face) for face in since}
        self.last.clear()
        self.unseen.clear()
        return [*before, whole]

    def _reason(self, face: int, gap: Gap) -> str:
        """Why `face` was not used before `gap`, as far as it is known."""
        if self.unseen.get(face):
            return self.unseen[face]
        return self.outages[face].reason if face in self.outages else gap.reason


def joined(gaps: Iterable[Gap]) -> list[Gap]:
    """One Gap for each outage of each face, in order of source, face and time.

    Reasons stand in the order in which they were reported. A Gap of every face (None) belongs to
    the outages of all faces that are named; without any, it stays as it is. A single frame used
    between two outages does not separate them: nothing can be spotted in it.
    """
    reported = list(gaps)
    named = {(gap.source, gap.face) for gap in reported if gap.face is not None}
    by_face: dict[tuple[str, int | None], list[Gap]] = {}
    for gap in reported:
        faces: set[int | None] = {gap.face}
        if gap.face is None:
            faces = {face for source, face in named if source == gap.source} or faces
        for face in faces:
            by_face.setdefault((gap.source, face), []).append(gap)
    outages: list[Gap] = []
    for source, face in sorted(by_face, key=_source_then_face):
        outages += _merged(face, by_face[source, face])
    return outages


def _source_then_face(key: tuple[str, int | None]) -> tuple[str, int]:
    """Sort key: a Gap of every face stands before those of the faces."""
    source, face = key
    return source, -1 if face is None else face


def _merged(face: int | None, gaps: list[Gap]) -> list[Gap]:
    """The gaps of one face, those that touch made one."""
    outages: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: (gap.start_ns, gap.stop_ns)):
        last = outages[-1] if outages else None
        if last is None or gap.start_ns > last.stop_ns:
            outages.append(replace(gap, face=face))
            continue
        reasons = last.reason.split(", ")
        reason = last.reason if gap.reason in reasons else f"{last.reason}, {gap.reason}"
        outages[-1] = replace(last, stop_ns=max(last.stop_ns, gap.stop_ns), reason=reason)
    return outages
