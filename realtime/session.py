"""Session: the state of one face. Read this first.

    crop -> rings -> encoder -> ticks -> scores -> windows that pass T_CPN -> refiner
         -> streaming NMS -> recognizer -> Event

`push`, `flush` and `reset` are the only verbs; `view` is what the overlay draws. Each verb is
written once, as steps that yield their inference requests (see `spotting.batching`): `push` runs
the steps of this session alone, the pipeline runs those of many sessions in shared batches.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microspot.engines.intervals import Candidate
from microspot.engines.rejected_memory import Memory
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.text.redaction import printable

from .config import Settings
from .overlay.event_text import face_small
from .records import Crop, Event, KeptTick, PersonalState, Pixels, TickScores, View
from .spotting.batching import InferenceRequest, InferenceSteps, run_batched
from .spotting.event_builder import EventBuilder
from .spotting.gil_copy import concatenate
from .spotting.nuisance_history import NuisanceHistory
from .spotting.personal_threshold import PersonalThreshold
from .spotting.refinement import Refinement
from .spotting.rejected_events import RejectedEvents
from .spotting.ring import Ring
from .spotting.scorer import IncrementalScorer, Scores
from .spotting.streaming_nms import Decision, StreamingNms
from .spotting.time_grid import Placement, TimeGrid

SHOWN_EVENTS = 32  # events kept for the overlay

Floats32 = NDArray[np.float32]


class Session:
    """One face of one source, from its crops to its events.

    source: redacted name; epoch: 0 for files, the UTC start of a live connection (part of every
    event id). memory: of events that a person rejected.
    """

    def __init__(
        self,
        engines: EngineSet,
        source: str,
        face: int = 0,
        settings: Settings | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.engines = engines
        self.source = printable(source)
        self.face = face
        self.settings = settings or Settings()
        self.spec = self.settings.spotter(engines.spotter)
        self.epoch = 0
        self.seen_ns = 0  # time of the newest crop, kept across resets
        capacity = self.settings.ring_ticks
        side = self.spec.side
        self._crops = Ring(capacity, (3, side, side), np.uint8, mirrored=False)
        self._times = Ring(capacity, (2,), np.int64)  # captured_ns, source index
        self._features = Ring(capacity, (self.spec.feature,), np.float32)
        self._encoder_input = np.empty((1, self.spec.channels, side, side), np.uint8)
        self._grid = TimeGrid(self.spec.grid_hz)
        self._scorer = IncrementalScorer(self.spec)
        self._nuisances = NuisanceHistory(self.spec.nuisance, capacity)
        self._personal = PersonalThreshold(self.spec, self.settings.alarms_per_min)
        passing = self._personal.passing
        self._refinement = Refinement(passing, self._features, self.settings.refine)
        self._kept: Refinement | None = None
        self._nms = StreamingNms(passing, self.settings.cluster_ticks)
        self._rejected = RejectedEvents(self._features, memory)
        self._builder = EventBuilder(
            engines,
            self.source,
            face,
            self._grid,
            self._times,
            self._crops,
            self._nuisances,
            self.settings,
        )
        self._history: deque[Floats32] = deque(maxlen=capacity)  # scores and best refined score
        self._scored: deque[TickScores] = deque(maxlen=capacity)  # not taken yet
        self._events: deque[Event] = deque(maxlen=SHOWN_EVENTS)
        self.reset()

    @property
    def ticks(self) -> int:
        """Ticks of the open segment; 0 while none is open."""
        return self._grid.ticks

    @property
    def newest_crop(self) -> Crop | None:
        """The newest crop of the open segment."""
        return self._last

    @property
    def boundaries_lost(self) -> int:
        """Final events whose boundary had left the ring."""
        return self._builder.boundaries_lost

    @property
    def suppressed(self) -> int:
        """Final events that the memory of rejected ones suppressed."""
        return self._rejected.suppressed

    def push(self, crop: Crop) -> list[Event]:
        """Take the next crop; raises ValueError when its time does not rise."""
        return run_batched([self.push_steps(crop)], self.engines.engine)[0]

    def flush(self) -> list[Event]:
        """End the segment: every event still open becomes final or withdrawn.

        Call `reset` before the next push.
        """
        return run_batched([self.flush_steps()], self.engines.engine)[0]

    def reset(self) -> None:
        """Forget the segment; the next crop opens a new one."""
        self._grid.reset()
        self._scorer.reset()
        self._nms.reset()
        self._rejected.reset()
        self._personal.end_segment()  # what is known of the face stays
        for ring in (self._crops, self._times, self._features):
            ring.clear()
        self._nuisances.clear()
        self._history.clear()
        self._pending: list[Floats32] = []  # features of ticks that are not scored yet
        self._undecided: deque[tuple[int, float]] = deque()  # time and quality of such ticks
        self._previous: Floats32 | None = None  # feature of the crop before
        self._last: Crop | None = None
        self._decided_ticks = 0  # ticks whose windows have been decided

    def keep_windows(self, t_cpn: float, t_crn: float) -> None:
        """Give with the scores of a tick all windows that pass these lower thresholds, refined.

        Events do not depend on it.
        """
        lower = replace(
            self.spec, t_cpn=min(t_cpn, self.spec.t_cpn), t_crn=min(t_crn, self.spec.t_crn)
        )
        self._kept = Refinement(lower, self._features, self.settings.refine)

    def retune(self, settings: Settings) -> None:
        """Take other thresholds, from the next tick on; the open segment goes on."""
        self.settings = settings
        self.spec = settings.spotter(self.engines.spotter)
        self._personal.retune(self.spec)
        passing = self._personal.passing
        self._refinement.spec = passing
        self._nms.spec = passing
        self._builder.label_floor = settings.label_floor

    def push_steps(self, crop: Crop) -> InferenceSteps[list[Event]]:
        """`push` as steps."""
        placements = self._grid.place(crop.captured_ns)  # raises before anything is stored
        self._store(crop)
        feature = yield from self._encode()
        self._place(feature, placements, crop)
        scored = len(self._pending) - len(self._pending) % self.settings.hop
        return (yield from self._score(scored))

    def flush_steps(self) -> InferenceSteps[list[Event]]:
        """`flush` as steps."""
        if self.ticks == 0:
            return []
        events = yield from self._score(len(self._pending))
        last_scores = yield from self._scorer.flush()
        events += yield from self._decide(last_scores)
        events += yield from self._announce(self._nms.flush(self.ticks))
        return events

    def _store(self, crop: Crop) -> None:
        self._crops.append(crop.pixels)
        self._times.append(np.array([crop.captured_ns, crop.index]))
        self._last = crop
        self.seen_ns = crop.captured_ns

    def _encode(self) -> InferenceSteps[Floats32]:
        """The feature (L,) of the newest crop."""
        out = yield InferenceRequest("encoder", {"pixels": self._with_earlier_crops()})
        feature: Floats32 = out["features"][0].copy()
        return feature

    def _with_earlier_crops(self) -> Pixels:
        """(1, 3 (1 + D), S, S): the newest crop, then for each lag the nearest at or before it.

        Valid until the next call.
        """
        newest = self._crops.stop - 1
        times = self._times.slice(self._times.start, self._times.stop)[:, 0]
        lagged = times[-1] - np.array(self.spec.lags_ns)
        earlier = np.maximum(np.searchsorted(times, lagged, side="right") - 1, 0)
        indices = [newest, *(self._crops.start + earlier).tolist()]
        concatenate([self._crops[index] for index in indices], out=self._encoder_input[0])
        return self._encoder_input

    def _place(self, feature: Floats32, placements: list[Placement], crop: Crop) -> None:
        """The features of the ticks that the newest crop decides, interpolated in time."""
        previous = feature if self._previous is None else self._previous
        for placement in placements:
            weight = np.float32(placement.weight)
            column = feature if weight == 1 else (1 - weight) * previous + weight * feature
            self._features.append(column)
            self._pending.append(column)
            is_crop = weight == 1
            at_ns = crop.captured_ns if is_crop else self._grid.time(placement.tick)
            self._undecided.append((at_ns, crop.quality))
        self._previous = feature

    def _score(self, ticks: int) -> InferenceSteps[list[Event]]:
        """Score the first `ticks` pending ticks and decide what they complete."""
        if not ticks:
            return []
        columns = np.stack(self._pending[:ticks], axis=1)
        self._pending = self._pending[ticks:]
        scores = yield from self._scorer.push(columns)
        return (yield from self._decide(scores))

    def _decide(self, scores: Scores) -> InferenceSteps[list[Event]]:
        """Refine the windows that pass T_CPN; let candidates compete, tick by tick."""
        self._nuisances.append(scores)
        candidates = yield from self._refinement.candidates(scores)
        kept = {} if self._kept is None else (yield from self._kept.candidates(scores))
        events: list[Event] = []
        for column in range(scores.values.shape[1]):
            end = scores.first + column
            ending_here = candidates.get(end, [])
            if end >= 0:
                ending_here = self._personal.admit(ending_here, scores.values[:, column])
                best = max((candidate.score for candidate in ending_here), default=np.nan)
                self._history.append(np.append(scores.values[:, column], np.float32(best)))
                self._keep_scores(end, kept.get(end, []))
                self._decided_ticks = end + 1
            events += yield from self._announce(self._nms.push(end, ending_here))
        return events

    def _announce(self, decisions: list[Decision]) -> InferenceSteps[list[Event]]:
        """The events of decisions, kept for the overlay as well."""
        events = []
        for decision in decisions:
            left, vector = self._rejected.judge(decision)
            if left is None:
                continue
            event = yield from self._builder.build(left, self.epoch)
            if vector is not None:
                event = replace(event, vector=vector)
            events.append(event)
            self._keep_for_view(event)
        return events

    def _keep_scores(self, tick: int, windows: list[Candidate]) -> None:
        """Keep the newest column of the history, with its time, for who takes it."""
        at_ns, quality = self._undecided.popleft()
        column = self._history[-1]
        kept = None
        if self._kept is not None:
            kept = KeptTick(tick, self._builder.frame_at(tick), tuple(windows))
        taken = TickScores(
            self.source,
            self.face,
            at_ns,
            scores=column[:-1],
            refined=float(column[-1]),
            quality=quality,
            kept=kept,
            confounders=self._nuisances.at(tick),
        )
        self._scored.append(taken)

    def take_scores(self) -> list[TickScores]:
        """The scores of the ticks decided since the last call, at most `ring_ticks`, in order."""
        taken = list(self._scored)
        self._scored.clear()
        return taken

    def forget_scores(self) -> None:
        """Give no scores of the ticks decided until now."""
        self._scored.clear()

    def _keep_for_view(self, event: Event) -> None:
        kept = [other for other in self._events if other.id != event.id]
        if event.status != "withdrawn":
            kept.append(event)
        self._events = deque(kept, SHOWN_EVENTS)

    def view(self, measured_hz: float = 0.0, latency_ms: float = 0.0, note: str = "") -> View:
        """What the overlay draws now: score history, events, outline; all owned by the caller.

        note: why the face is not used now.
        """
        crop = self._last
        history = self._score_history()
        return View(
            source=self.source,
            face=self.face,
            now_ns=self.seen_ns,
            grid_hz=self.spec.grid_hz,
            measured_hz=measured_hz,
            windows=self.spec.windows,
            scores=history[:-1],
            refined=history[-1],
            events=tuple(self._events),
            outline=crop.outline if crop else np.empty((0, 2), np.float32),
            quality=crop.quality if crop else 0.0,
            latency_ms=latency_ms,
            thresholds=self._personal.thresholds,
            note=note or self._small_face_note(),
            personal=self.personal_state(),
            nuisances=self._nuisances.newest(),
            affine=crop.affine if crop else None,
            crop_side=self.spec.side,
        )

    def personal_state(self) -> PersonalState | None:
        """The face's own threshold; None where `alarms_per_min` is not set."""
        return self._personal.state(self.source, self.face, self.seen_ns)

    def _score_history(self) -> Floats32:
        """(M + 1, H) scores and best refined score up to the newest tick, NaN where undecided."""
        rows = self.spec.scales + 1
        if not self._history:
            return np.empty((rows, 0), np.float32)
        lagging = self.ticks - self._decided_ticks  # scores lag the newest tick
        undecided = [np.full(rows, np.nan, np.float32)] * lagging
        return np.stack([*self._history, *undecided], axis=1)

    def _small_face_note(self) -> str:
        """A note on a face that is used, and so small that movements are easily missed."""
        width_px = self._last.width_px if self._last else 0.0
        return face_small(width_px) if 0 < width_px < self.settings.small_face_px else ""
