"""Pipeline: K feeds, one engine set, one loop. One camera is K = 1.

Each round takes what the feeds have, at most one item each, and runs the inference steps of all
sessions together, so that cameras share batches and none waits for another. Feeds of plain files
are waited for, which makes their batches, and so their output bytes, the same on every run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from microspot.engines.alignment.aligner import Aligner, MediaPipeAligner
from microspot.engines.rejected_memory import Memory, read_memory
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.specs import SpotterSpec
from microspot.engines.text.redaction import printable

from .config import Settings
from .cores import one_thread
from .errors import MicrospotError, UsageError
from .feed import End, Feed, Item, Sighting
from .meter import Figures, Meter
from .records import (
    Crop,
    DropCause,
    Event,
    Frame,
    FrameRecord,
    Gap,
    PersonalState,
    SourceState,
    SourceWarning,
    View,
)
from .session import Session
from .sinks.base import NONE_OF_FRAMES
from .source_run import SourceRun
from .sources.open import Source
from .spotting.batching import InferenceSteps, run_batched
from .spotting.streaming_nms import compile_nms
from .start_record import start_record

IDLE_S = 0.05  # longest sleep of the loop when nothing came

Draw = Callable[[Frame, list[View]], None]
MakeAligner = Callable[[SpotterSpec, Settings], Aligner]


@dataclass(frozen=True)
class SourceEnd:
    """A source is over.

    drops: frames and boundaries left out, by cause; error: set if the source failed; rejected:
    frames in which a wanted face was not used, by reason; face_seen: whether any face was ever
    aligned; suppressed: events that resemble rejected ones, None without a memory of these.
    """

    source: str
    frames: int
    events: int
    drops: dict[str, int]
    error: MicrospotError | None = None
    rejected: dict[str, int] = field(default_factory=dict)
    face_seen: bool = False
    suppressed: int | None = None


@dataclass(frozen=True)
class SourcesChanged:
    """Sources have joined or left a pipeline that runs: its `start` record from now on."""

    start: dict[str, Any]


Happening = Gap | PersonalState | SourceState | SourceWarning | SourceEnd | SourcesChanged
Record = Event | Happening | FrameRecord


def mediapipe_aligner(spec: SpotterSpec, settings: Settings) -> Aligner:
    """The aligner of every run that does not bring its own."""
    return MediaPipeAligner(side=spec.side, faces=settings.faces, options=settings.align)


class Pipeline:
    """Runs sources through the engines; a context manager whose `run` yields every record.

    Records come in the order of decision. While the pipeline is open OpenCV uses one thread.
    aligner: makes the aligner of each source; draw: called with every frame and the views of its
    faces; seconds: stream time after which every source ends. between_rounds: called before each
    round, at least every IDLE_S while a live source gives nothing. wants_frames: which of the
    records OF_FRAMES are given: of every frame its FrameTime and the FaceMeasures of each face
    used, of every decided tick of a face TickScores, before the events that they bring; what was
    decided before they were wanted is not told. kept_thresholds: T_CPN and T_CRN below those of the
    run; TickScores then hold all windows that pass them. Raises UsageError for sources of equal
    names.
    """

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
        self.draw = draw
        self.wants_frames: Collection[str] = NONE_OF_FRAMES
        self.kept_thresholds: tuple[float, float] | None = None
        self.between_rounds = nothing
        self._retuned: Settings | None = None
        self._engine = self.meter.wrap(engines.engine)
        self._limit_ns = None if seconds is None else int(seconds * 1e9)
        self._ready = threading.Event()
        self._stopping = False
        self._aligner = aligner
        self._spec = self.settings.spotter(engines.spotter)
        self._memory = memory_of(self.settings, engines)
        self._runs: list[SourceRun] = []
        self._add(sources)

    def _add(self, sources: Sequence[Source]) -> list[SourceRun]:
        """Runs of more sources, whose feeds are not started."""
        together = [*(run.feed.source for run in self._runs), *sources]
        _make_names_printable(together)
        self._waits = not any(source.pace for source in together)
        new = []
        for source in sources:
            aligner = self._aligner(self._spec, self.settings)
            feed = Feed(source, aligner, self._spec.grid_hz, self.settings, self.meter)
            new.append(SourceRun(feed))
        self._runs = [*self._runs, *new]  # a new list: other threads go through the old one
        return new

    def __enter__(self) -> Self:
        self._open = ExitStack()
        self._open.enter_context(one_thread())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._open as closing:
            for run in self._runs:
                closing.callback(run.feed.close)  # one that fails does not keep the others open

    def run(self) -> Iterator[Record]:
        """Yield every record until all sources have ended, provisional and withdrawn events too."""
        compile_nms(self._spec)
        for run in self._runs:
            run.feed.start(self._ready)
        while self._runs_on():
            if self._stopping:
                yield from self.finish()
                return
            self.between_rounds()
            self._take_retuned()
            yield from self._take_changes()
            self._ready.clear()
            items = self._fetch()
            if not items:
                self._ready.wait(IDLE_S)
            yield from self._round(items)

    def stop(self) -> None:
        """End after the current round; may be called from a signal handler.

        Every open segment ends then.
        """
        self._stopping = True

    def retune(self, settings: Settings) -> None:
        """Go on with other thresholds from the next round on; may be called from any thread.

        What else differs in the settings is for sources and faces that come later. Raises
        UsageError where they do not go with the weights.
        """
        settings.spotter(self.engines.spotter)
        self._retuned = settings

    def _runs_on(self) -> bool:
        """Whether the run goes on by itself."""
        return any(not run.over for run in self._runs)

    def _take_changes(self) -> Iterable[Record]:
        """Let sources leave and join between two rounds; here they stay as they are."""
        return ()

    def _take_retuned(self) -> None:
        """Give new settings to every session."""
        settings = self._retuned
        if settings is None:
            return
        self._retuned = None
        self.settings = settings
        self._spec = settings.spotter(self.engines.spotter)
        for run in self._runs:
            for session in run.sessions.values():
                session.retune(settings)

    def finish(self) -> Iterator[Record]:
        """After an interruption: end every open segment, so that nothing already seen is lost."""
        yield from self._round([(run, End()) for run in self._runs if not run.over])

    def describe(self) -> dict[str, Any]:
        """The `start` record: sources, backend, grid, latency bounds derived from the spec.

        With what a run can be told apart by later: version, weights, thresholds, labels.
        """
        sources = [run.feed.source for run in self._runs]
        return start_record(sources, self.engines, self._spec, self.settings.hop)

    def figures(self) -> Figures:
        """What was counted until now; may be called from any thread."""
        return Figures(self.meter.histograms(), tuple(run.figures() for run in self._runs))

    def _fetch(self) -> list[tuple[SourceRun, Item]]:
        """At most one item of every source that is not over."""
        items = []
        for run in self._runs:
            item = None if run.over else run.feed.get(self._waits)
            if item is not None:
                items.append((run, item))
        return items

    def _round(self, fetched: list[tuple[SourceRun, Item]]) -> Iterator[Record]:
        """Run the steps of all items in shared batches; yield events, then the other records."""
        began_ns = time.perf_counter_ns()
        items = [(run, self._limited(run, item)) for run, item in fetched]
        owners: list[SourceRun] = []
        steps: list[InferenceSteps[list[Event]]] = []
        for run, item in items:
            for session_steps in self._steps(run, item):
                owners.append(run)
                steps.append(session_steps)
        found = run_batched(steps, self._engine)
        yield from self._frame_records(items)
        for run, events in zip(owners, found, strict=True):
            run.count_final(events)
            yield from events
        for run, item in items:
            if isinstance(item, Sighting):
                yield from run.due_states()
                if item.dropped != DropCause.NOT_RISING:
                    self._show(run, item, (time.perf_counter_ns() - began_ns) / 1e6)
                run.count_processed(item)
            elif isinstance(item, End):
                yield from run.unreported_outages()
                yield self._close(run, item)
            else:
                if isinstance(item, Gap):
                    run.begin_outage(item)
                elif isinstance(item, SourceState):
                    run.count_state(item)
                yield item

    def _frame_records(self, items: list[tuple[SourceRun, Item]]) -> Iterator[FrameRecord]:
        """Times and faces of frames and scores of ticks, as far as they are wanted."""
        for run, item in items:
            yield from run.frame_records(item, self.wants_frames)

    def _limited(self, run: SourceRun, item: Item) -> Item:
        """The item, or End where its frame lies beyond the time limit."""
        if self._limit_ns is None or not isinstance(item, Sighting):
            return item
        if item.frame.captured_ns < self._limit_ns:
            return item
        run.time_limit_reached = True
        return End()

    def _steps(self, run: SourceRun, item: Item) -> list[InferenceSteps[list[Event]]]:
        """The inference steps that an item asks of the sessions of its source."""
        if isinstance(item, Sighting):
            run.count_frame(item)
            return [self._session(run, crop).push_steps(crop) for crop in item.crops]
        faces = sorted(run.sessions)
        if isinstance(item, Gap):
            return [_end_segment(run.sessions[f]) for f in faces if item.face in (None, f)]
        if isinstance(item, End):
            return [_end_segment(run.sessions[face]) for face in faces]
        return []

    def _session(self, run: SourceRun, crop: Crop) -> Session:
        """The session of a crop's face, made where the face is new."""
        if crop.face not in run.sessions:
            new = Session(self.engines, crop.source, crop.face, self.settings, self._memory)
            if self.kept_thresholds is not None:
                new.keep_windows(*self.kept_thresholds)
            run.sessions[crop.face] = new
        session = run.sessions[crop.face]
        if not session.ticks:  # a new segment; a live source that reconnected has a new epoch
            session.epoch = run.feed.source.epoch
        return session

    def _show(self, run: SourceRun, sighting: Sighting, latency_ms: float) -> None:
        """Draw a frame and the views of its faces, if anything draws."""
        if self.draw is None:
            return
        views = run.views(sighting, self._spec, latency_ms)
        with self.meter.time("draw"):
            self.draw(sighting.frame, views)

    def _close(self, run: SourceRun, end: End) -> SourceEnd:
        """Close a source; raises what ended it where that is no expected error."""
        run.over = True
        if end.error is not None and not isinstance(end.error, MicrospotError):
            raise end.error
        return SourceEnd(
            source=run.feed.source.name,
            frames=run.frames,
            events=run.events,
            drops=run.all_drops(),
            error=end.error,
            rejected=dict(run.rejected),
            face_seen=run.faces_seen > 0,
            suppressed=None if self._memory is None else run.suppressed,
        )


def nothing() -> None:
    """What is done between rounds where nobody asked for anything."""


def memory_of(settings: Settings, engines: EngineSet) -> Memory | None:
    """The memory of rejected events that the settings name.

    Raises DataError where it cannot be read, EngineError where it is of other weights.
    """
    if settings.memory is None:
        return None
    return read_memory(Path(settings.memory), engines.digest, engines.spotter.feature)


def _make_names_printable(sources: Sequence[Source]) -> None:
    """Make every source's name printable, whoever chose it; raises UsageError for equal ones."""
    for source in sources:
        source.name = printable(source.name)
    counts = Counter(source.name for source in sources)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise UsageError(
            f"two sources are called {repeated[0]}: open them with open_sources, "
            "which gives every source a name of its own"
        )


def _end_segment(session: Session) -> InferenceSteps[list[Event]]:
    """Flush and reset a session, as a Gap or the end of its source demands."""
    events = yield from session.flush_steps()
    session.reset()
    return events
