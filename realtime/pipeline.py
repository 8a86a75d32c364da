"""Pipeline: K feeds, one engine set, one loop. One camera is K = 1.

Each round takes what the feeds have, at most one item each, and drives all sessions' steps together, so that cameras
share batches and none waits for another. Feeds of plain files are waited for, which makes their batches, and so their
output bytes, the same on every run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from microspot.engines.alignment.aligner import Aligner, MediaPipeAligner, Refused, Rejection
from microspot.engines.redaction import printable
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.specs import SpotterSpec

from .config import Settings
from .cores import one_thread
from .errors import MicrospotError, UsageError
from .feed import End, Feed, Item, Sighting
from .meter import Meter
from .overlay.event_text import face_small
from .records import Crop, DropCause, Event, Frame, Gap, SourceState, SourceWarning, View
from .session import Session
from .sources.open import Source
from .spotting.batching import InferenceSteps, run_batched
from .spotting.streaming_nms import compile_nms

STALE_NS = 2_000_000_000  # a face not seen for longer is no longer drawn
IDLE_S = 0.05  # longest sleep of the loop when nothing came

Draw = Callable[[Frame, list[View]], None]
MakeAligner = Callable[[SpotterSpec, Settings], Aligner]


@dataclass(frozen=True)
class SourceEnd:
    """A source is over, with its counts; `error` if it broke."""

    source: str
    frames: int
    events: int
    drops: dict[str, int]
    error: MicrospotError | None = None
    rejected: dict[str, int] = field(
        default_factory=dict
    )  # frames in which a wanted face was not used, by reason
    face_seen: bool = False  # whether any face was ever aligned


Record = Event | Gap | SourceState | SourceWarning | SourceEnd


@dataclass(eq=False)
class _Line:
    """One source's feed and its sessions by face."""

    feed: Feed
    sessions: dict[int, Session] = field(default_factory=dict)
    frames: int = 0
    events: int = 0
    faces_seen: int = 0
    drops: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    away: dict[int | None, Gap] = field(
        default_factory=dict
    )  # the last of each outage that is not over
    now_ns: int = 0
    over: bool = False
    cut: bool = False  # ended by `seconds`, not by the source

    def lose(self, gap: Gap) -> None:
        """Note an outage; one of every face is one of each that was ever seen."""
        faces: list[int | None] = [gap.face]
        if gap.face is None and self.sessions:
            faces = list(self.sessions)
        self.away |= {face: replace(gap, face=face) for face in faces}

    def lasting(self) -> list[Gap]:
        """What was not told of outages that last to the end."""
        gaps = [gap for gap in self.away.values() if gap.stop_ns < self.now_ns]
        return [replace(gap, start_ns=gap.stop_ns, stop_ns=self.now_ns) for gap in gaps]

    def take(self, sighting: Sighting) -> None:
        """Count a frame when the loop takes it: the feed's thread reads ahead, and a count must not depend on that."""
        self.frames += 1
        self.faces_seen += len(sighting.crops)
        if sighting.dropped != DropCause.NOT_RISING:
            self.now_ns = sighting.frame.captured_ns
        for crop in sighting.crops:
            self.away.pop(crop.face, None)
            self.away.pop(None, None)
        if sighting.dropped:
            self.drops[sighting.dropped] = self.drops.get(sighting.dropped, 0) + 1
        if sighting.rejected:
            self.rejected[sighting.rejected] = self.rejected.get(sighting.rejected, 0) + 1


def mediapipe_aligner(spec: SpotterSpec, settings: Settings) -> Aligner:
    """The aligner of every run that does not bring its own."""
    return MediaPipeAligner(side=spec.side, faces=settings.faces, options=settings.align)


class Pipeline:
    """A context manager; `run` yields every record in order of decision. While it is open OpenCV uses one thread."""

    def __init__(
        self,
        sources: Sequence[Source],
        engines: EngineSet,
        settings: Settings | None = None,
        *,
        aligner: MakeAligner = mediapipe_aligner,
        draw: Draw | None = None,
        seconds: float | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.engines = engines
        self.meter = Meter()
        self._engine = self.meter.wrap(engines.engine)
        self.draw, self._limit_ns = draw, None if seconds is None else int(seconds * 1e9)
        self._ready = threading.Event()
        self._stopping = False
        for source in sources:  # whoever made it
            source.name = printable(source.name)
        names = [source.name for source in sources]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(
                f"two sources are called {sorted(twice)[0]}: open them with open_sources, which renames"
            )
        self._waits = not any(source.pace for source in sources)
        self._spec = spec = self.settings.spotter(engines.spotter)
        self._lines = [
            _Line(Feed(s, aligner(spec, self.settings), spec.grid_hz, self.settings, self.meter))
            for s in sources
        ]

    def __enter__(self) -> Self:
        self._open = ExitStack()
        self._open.enter_context(one_thread())
        for line in self._lines:
            self._open.callback(line.feed.close)  # one that fails does not keep the others open
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def run(self) -> Iterator[Record]:
        """Every record, until all sources have ended. Provisional and withdrawn events are included."""
        compile_nms(self.settings.spotter(self.engines.spotter))
        for line in self._lines:
            line.feed.start(self._ready)
        while any(not line.over for line in self._lines):
            if self._stopping:
                yield from self.finish()
                return
            self._ready.clear()
            round_ = [
                (line, item)
                for line in self._lines
                if not line.over and (item := line.feed.get(self._waits))
            ]
            if not round_:
                self._ready.wait(IDLE_S)
            yield from self._round(round_)

    def stop(self) -> None:
        """End after the current round, every open segment with it; may be called from a signal handler."""
        self._stopping = True

    def finish(self) -> Iterator[Record]:
        """After an interruption: end every open segment, so that nothing already seen is lost."""
        yield from self._round([(line, End()) for line in self._lines if not line.over])

    def _round(self, items: list[tuple[_Line, Item]]) -> Iterator[Record]:
        began = time.perf_counter_ns()
        items = [(line, self._limited(line, item)) for line, item in items]
        steps = [(line, step) for line, item in items for step in self._steps(line, item)]
        for (line, _), events in zip(
            steps, run_batched([s for _, s in steps], self._engine), strict=True
        ):
            line.events += sum(event.status == "final" for event in events)
            yield from events
        for line, item in items:
            if isinstance(item, Sighting):
                if item.dropped != DropCause.NOT_RISING:
                    self._show(line, item, (time.perf_counter_ns() - began) / 1e6)
            elif isinstance(item, End):
                yield from line.lasting()
                yield self._close(line, item)
            else:
                if isinstance(item, Gap):
                    line.lose(item)
                yield item

    def _limited(self, line: _Line, item: Item) -> Item:
        over = (
            isinstance(item, Sighting)
            and self._limit_ns is not None
            and item.frame.captured_ns >= self._limit_ns
        )
        line.cut = line.cut or over
        return End() if over else item

    def _steps(self, line: _Line, item: Item) -> list[InferenceSteps[list[Event]]]:
        if isinstance(item, Sighting):
            line.take(item)
            return [self._session(line, crop).push_steps(crop) for crop in item.crops]
        if isinstance(item, Gap):
            return [self._ending(line, f) for f in sorted(line.sessions) if item.face in (None, f)]
        return (
            [self._ending(line, face) for face in sorted(line.sessions)]
            if isinstance(item, End)
            else []
        )

    def _session(self, line: _Line, crop: Crop) -> Session:
        if crop.face not in line.sessions:
            line.sessions[crop.face] = Session(self.engines, crop.source, crop.face, self.settings)
        session = line.sessions[crop.face]
        if not session.ticks:  # a new segment; a live source that reconnected has a new epoch
            session.epoch = line.feed.source.epoch
        return session

    def _ending(self, line: _Line, face: int) -> InferenceSteps[list[Event]]:
        """A Gap flushes and resets."""
        session = line.sessions[face]
        events = yield from session.flush_steps()
        session.reset()
        return events

    def _show(self, line: _Line, sighting: Sighting, latency_ms: float) -> None:
        if self.draw is None:
            return
        frame, hz = sighting.frame, line.feed.rate.hz
        refused = {face.face: face for face in sighting.refused}
        views = []
        for face, session in sorted(line.sessions.items()):
            if frame.captured_ns - session.seen_ns < STALE_NS:
                found = refused.pop(face, None)
                views.append(session.view(hz, latency_ms, _why(found) if found else ""))
        views += [self._unused(frame, face, hz, latency_ms) for face in refused.values()]
        with self.meter.time("draw"):
            self.draw(frame, views)

    def _unused(self, frame: Frame, found: Refused, hz: float, latency_ms: float) -> View:
        """What is drawn of a face that was found and never used."""
        spec = self._spec
        nothing = np.empty((spec.scales, 0), np.float32)
        return View(
            source=frame.source, face=found.face, now_ns=frame.captured_ns, grid_hz=spec.grid_hz, measured_hz=hz,
            windows=spec.windows, scores=nothing, refined=nothing[0], events=(), outline=found.outline, quality=0.0,
            latency_ms=latency_ms, thresholds=(spec.t_cpn, spec.t_crn), note=_why(found),
        )  # fmt: skip

    def _close(self, line: _Line, end: End) -> SourceEnd:
        line.over = True
        if end.error is not None and not isinstance(end.error, MicrospotError):
            raise end.error
        source, drops = line.feed.source, dict(line.drops)
        if not line.cut:
            drops |= source.drops
        if clipped := sum(s.boundaries_lost for s in line.sessions.values()):
            drops[DropCause.OUT_OF_RING] = clipped
        return SourceEnd(
            source.name,
            line.frames,
            line.events,
            drops,
            end.error,
            line.rejected,
            line.faces_seen > 0,
        )

    def describe(self) -> dict[str, Any]:
        """The `start` record: sources, backend, grid, latency bounds derived from the spec."""
        return {
            "type": "start",
            "sources": [
                {"source": source.name, "started_utc": source.started_utc, "fps": source.rate_hz}
                for source in (line.feed.source for line in self._lines)
            ],
            "engines": self.engines.name,
            "backend": self.engines.backend,
            "why": self.engines.backend_reason,
            "grid_hz": self.engines.spotter.grid_hz,
            "latency_ticks": latency(
                self.settings.spotter(self.engines.spotter), self.settings.hop
            ),
        }


def _why(found: Refused) -> str:
    """What a person is told of a face that is not used."""
    return (
        f"{face_small(found.width_px)}, not used"
        if found.reason == Rejection.TOO_SMALL
        else f"not used: {found.reason}"
    )


def latency(spec: SpotterSpec, hop: int) -> dict[str, int]:
    """Bounds in ticks, from receptive field, hop and reach.

    provisional: after the last tick of the first window that passes; final: after the last tick of an isolated event.
    """
    horizon = (
        int(-(-spec.reach // 1)) - 1
    )  # window ends after an interval's last tick until nothing can touch it
    return {"provisional": spec.radius + hop + 1, "final": horizon + spec.radius + hop + 1}
