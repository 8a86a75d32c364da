"""The truth about gaps: from the last frame of a face that was used to the first one used after it.

An outage gives a Gap as soon as it is certain, which ends the segment, and further ones for the rest, when the face
comes back or the source ends: they touch, and `joined` makes one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from microspot.engines.alignment.aligner import Rejection
from microspot.engines.alignment.bridge import Bridge

from .records import Gap, GapReason


@dataclass
class SegmentTracker:
    """Which faces of a source are open, since when unseen; turns absence into Gaps.

    last: face -> time of the last frame used; unseen: face -> why it was not used since; away: face -> the last Gap
    told of an outage that is not over.
    """

    source: str
    bridge: Bridge
    last: dict[int, int] = field(default_factory=dict)
    unseen: dict[int, str] = field(default_factory=dict)
    away: dict[int, Gap] = field(default_factory=dict)

    def see(self, now_ns: int, faces: set[int], reason: str | None) -> list[Gap]:
        """Gaps that are certain at `now_ns`, given the faces used in this frame and why the first other was not."""
        self.bridge.see(now_ns)
        gaps = self._returned(now_ns, faces)
        for face in self.last.keys() - faces:
            self.unseen[face] = reason or Rejection.NO_FACE
        for face, last in list(self.last.items()):
            if not self.bridge.spans(last, now_ns):
                gaps.append(
                    Gap(
                        self.source,
                        face,
                        last,
                        now_ns,
                        self.unseen.get(face, GapReason.FRAMES_MISSING),
                    )
                )
                del self.last[face]
                if face not in faces:
                    self.away[face] = gaps[-1]
        for face in faces:
            self.last[face] = now_ns
            self.unseen.pop(face, None)
        return gaps

    def _returned(self, now_ns: int, faces: set[int]) -> list[Gap]:
        """The rest of the outage of every face that is back."""
        known = [self.away.pop(face) for face in sorted(faces & self.away.keys())]
        return [
            replace(gap, start_ns=gap.stop_ns, stop_ns=now_ns)
            for gap in known
            if gap.stop_ns < now_ns
        ]

    def interrupted(self, gap: Gap) -> list[Gap]:
        """The source itself was: `gap` from the last frame used on, and what some face had been missing before that.

        Every face is away from then on.
        """
        since = {face: known.stop_ns for face, known in self.away.items()} | self.last
        start = min(gap.start_ns, max(self.last.values(), default=gap.start_ns))
        whole = Gap(self.source, None, start, gap.stop_ns, gap.reason)
        before = [
            Gap(self.source, face, at, start, self.unseen.get(face) or self._reason(face, gap))
            for face, at in sorted(since.items())
            if at < start
        ]
        self.away = {face: replace(whole, face=face) for face in since}
        self.last.clear()
        self.unseen.clear()
        return [*before, whole]

    def _reason(self, face: int, gap: Gap) -> str:
        return self.away[face].reason if face in self.away else gap.reason


def joined(gaps: Iterable[Gap]) -> list[Gap]:
    """One Gap for each outage of each face, in order of source, face and time; reasons in the order they were told.

    A Gap of every face (None) belongs to the outages of all faces that are named; without any, it stays as it is. A
    single frame used between two outages does not part them: nothing can be spotted in it.
    """
    told = list(gaps)
    named = {(gap.source, gap.face) for gap in told if gap.face is not None}
    apart: dict[tuple[str, int | None], list[Gap]] = {}
    for gap in told:
        faces: set[int | None] = {gap.face}
        if gap.face is None:
            faces = {face for source, face in named if source == gap.source} or faces
        for face in faces:
            apart.setdefault((gap.source, face), []).append(gap)
    order = sorted(apart, key=lambda key: (key[0], -1 if key[1] is None else key[1]))
    return [outage for key in order for outage in _merged(key[1], apart[key])]


def _merged(face: int | None, gaps: list[Gap]) -> list[Gap]:
    """Those that touch as one."""
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
