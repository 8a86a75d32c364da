"""Markers among the records of a run.

A marker comes with its time on the host's clock; the frames say which stream time that is. It waits
for the first frame that is later, since frames take longer to come than markers do, and then has a
time and a nearest frame. Every source has a time axis of its own, so each gets the marker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, Self

from ..pipeline import Record, SourceEnd
from ..records import FrameTime, Marker

KEPT_FRAMES = 9000  # of a source, among which the nearest one is looked for; 5 minutes at 30 Hz
# Further ahead than this no frame is late: the time is wrong, and is not waited for.
AHEAD_NS = 60_000_000_000


class Stimulus(NamedTuple):
    """A marker as it came: the name of its stream, what was sent, when on the host's clock."""

    name: str
    value: str
    host_ns: int


class MarkerInput(Protocol):
    """Where markers come from; a context manager.

    remark: what a person should know of it once it is closed.
    """

    remark: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def take(self) -> list[Stimulus]:
        """The markers that have come since the last call; waits for none."""
        ...


class MarkerPlacement:
    """Adds the markers of an input to records; without an input it adds nothing."""

    def __init__(self, markers: MarkerInput | None) -> None:
        self._markers = markers
        self._came: deque[Stimulus] = deque(maxlen=KEPT_FRAMES)  # before some source began
        self._sources: dict[str, _Source] = {}

    def among(self, records: Iterable[Record]) -> Iterator[Record | Marker]:
        """The records, each marker before the first frame that is later, or a source's end.

        The records must hold the FrameTime of every frame.
        """
        for record in records:
            if self._markers is not None and isinstance(record, FrameTime | SourceEnd):
                self._take(self._markers)
                if isinstance(record, FrameTime):
                    yield from self._source(record.source).frame(record)
                elif record.source in self._sources:
                    yield from self._sources[record.source].end()
            yield record

    def _take(self, markers: MarkerInput) -> None:
        for stimulus in markers.take():
            self._came.append(stimulus)
            for source in self._sources.values():
                source.waiting.append(stimulus)

    def _source(self, name: str) -> _Source:
        if name not in self._sources:
            self._sources[name] = _Source(name, list(self._came))
        return self._sources[name]


class _Source:
    """The newest frames of one source, and the markers that wait for later ones."""

    def __init__(self, name: str, waiting: list[Stimulus]) -> None:
        self.name = name
        self.waiting = waiting
        self._frames: deque[FrameTime] = deque(maxlen=KEPT_FRAMES)

    def frame(self, newest: FrameTime) -> list[Marker]:
        """The markers that a frame decides, by time."""
        self._frames.append(newest)
        if not self.waiting:
            return []
        late = newest.host_ns + AHEAD_NS
        due = [s for s in self.waiting if not newest.host_ns < s.host_ns <= late]
        self.waiting = [s for s in self.waiting if newest.host_ns < s.host_ns <= late]
        return self._placed(due)

    def end(self) -> list[Marker]:
        """The markers after the last frame, by time."""
        due = self.waiting
        self.waiting = []
        return self._placed(due)

    def _placed(self, due: list[Stimulus]) -> list[Marker]:
        return [self._place(s) for s in sorted(due, key=lambda s: s.host_ns)]

    def _place(self, stimulus: Stimulus) -> Marker:
        near = self._nearest(stimulus.host_ns)
        at_ns = near.captured_ns + stimulus.host_ns - near.host_ns
        return Marker(self.name, stimulus.name, stimulus.value, at_ns, near.index)

    def _nearest(self, host_ns: int) -> FrameTime:
        """The kept frame nearest in time; from the newest back, since markers are mostly new."""
        best = self._frames[-1]
        for frame in reversed(self._frames):
            if abs(frame.host_ns - host_ns) < abs(best.host_ns - host_ns):
                best = frame
            if frame.host_ns <= host_ns:
                break
        return best
