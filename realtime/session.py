"""Session: the state of one face. Read this first.

    crop -> rings -> encoder -> ticks -> scores -> windows >= T_CPN -> refiner -> settler -> recognizer -> Event

`push`, `flush` and `reset` are the only verbs; `view` is what the overlay draws. Each is written once, as a step that
yields its network calls (see `calls`): `push` runs the step alone, the pipeline runs many at once.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microspot.engines.clips import nearest_frames, resample
from microspot.engines.intervals import Candidate, decode, rounded
from microspot.engines.redaction import printable
from microspot.engines.runtime.engine import EngineSet

from .config import Settings
from .overlay.event_text import face_small
from .records import UNCERTAIN, Crop, Event, Pixels, View
from .spotting.batching import InferenceRequest, InferenceSteps, run_batched
from .spotting.gil_copy import joined
from .spotting.ring import Ring
from .spotting.scorer import IncrementalScorer, Scores
from .spotting.streaming_nms import Decision, Key, StreamingNms
from .spotting.time_grid import TimeGrid

SHOWN_EVENTS = 32  # events kept for the overlay


class Session:
    """One face of one source, from its crops to its events.

    source: redacted name; epoch: 0 for files, the UTC start of a live connection (part of every event id).
    """

    def __init__(
        self, engines: EngineSet, source: str, face: int = 0, settings: Settings | None = None
    ) -> None:
        self.engines, self.source, self.face = engines, printable(source), face
        self.settings = settings or Settings()
        self.spec = self.settings.spotter(engines.spotter)
        self.epoch = 0
        self.seen_ns = 0  # time of the newest crop, kept across resets
        self.clipped = 0  # events whose boundary had left the ring
        capacity = self.settings.ring_ticks
        self._grid = TimeGrid(self.spec.grid_hz)
        self._scorer = IncrementalScorer(self.spec)
        self._nms = StreamingNms(self.spec, self.settings.cluster_ticks)
        self._crops = Ring(capacity, (3, self.spec.side, self.spec.side), np.uint8, mirrored=False)
        self._times = Ring(capacity, (2,), np.int64)  # captured_ns, source index
        self._features = Ring(capacity, (self.spec.feature,), np.float32)
        self._stacked = np.empty((1, self.spec.channels, self.spec.side, self.spec.side), np.uint8)
        self._history: deque[NDArray[np.float32]] = deque(maxlen=capacity)
        self._events: deque[Event] = deque(maxlen=SHOWN_EVENTS)
        self.reset()

    @property
    def ticks(self) -> int:
        """Ticks of the open segment; 0 while none is open."""
        return self._grid.ticks

    def push(self, crop: Crop) -> list[Event]:
        """Take the next crop; raises ValueError when its time does not rise."""
        return run_batched([self.push_steps(crop)], self.engines.engine)[0]

    def flush(self) -> list[Event]:
        """End the segment: every event still open becomes final or withdrawn. Call `reset` before the next push."""
        return run_batched([self.flush_steps()], self.engines.engine)[0]

    def reset(self) -> None:
        """Forget the segment; the next crop opens a new one."""
        self._grid.reset()
        self._scorer.reset()
        self._nms.reset()
        for ring in (self._crops, self._times, self._features):
            ring.clear()
        self._history.clear()
        self._pending: list[NDArray[np.float32]] = []
        self._previous: NDArray[np.float32] | None = None
        self._last: Crop | None = None
        self._settled = 0  # ticks whose windows have been decided

    def push_steps(self, crop: Crop) -> InferenceSteps[list[Event]]:
        """`push` as a step."""
        placements = self._grid.place(
            crop.captured_ns
        )  # first, since it refuses times that do not rise
        self._crops.append(crop.pixels)
        self._times.append(np.array([crop.captured_ns, crop.index]))
        self._last, self.seen_ns = crop, crop.captured_ns
        out = yield InferenceRequest("encoder", {"pixels": self._stack()})
        feature = out["features"][0].copy()
        previous = feature if self._previous is None else self._previous
        for placement in placements:
            weight = np.float32(placement.weight)
            column = feature if weight == 1 else (1 - weight) * previous + weight * feature
            self._features.append(column)
            self._pending.append(column)
        self._previous = feature
        ready = len(self._pending) - len(self._pending) % self.settings.hop
        if not ready:
            return []
        columns, self._pending = np.stack(self._pending[:ready], axis=1), self._pending[ready:]
        return (yield from self._advance((yield from self._scorer.push(columns))))

    def flush_steps(self) -> InferenceSteps[list[Event]]:
        """`flush` as a step."""
        if self.ticks == 0:
            return []
        events: list[Event] = []
        if self._pending:
            columns, self._pending = np.stack(self._pending, axis=1), []
            events += yield from self._advance((yield from self._scorer.push(columns)))
        events += yield from self._advance((yield from self._scorer.flush()))
        decisions = self._nms.flush(self.ticks)
        return events + (yield from self._announce(decisions))

    def view(self, measured_hz: float = 0.0, latency_ms: float = 0.0, note: str = "") -> View:
        """What the overlay draws now: score history, events, outline; all owned by the caller.

        note: why the face is not used now.
        """
        crop = self._last
        rows = self.spec.scales + 1
        undecided = [np.full(rows, np.nan, np.float32)] * (
            self.ticks - self._settled
        )  # scores lag the newest tick
        history = (
            np.stack([*self._history, *undecided], axis=1)
            if self._history
            else np.empty((rows, 0), np.float32)
        )
        return View(
            source=self.source, face=self.face, now_ns=self.seen_ns, grid_hz=self.spec.grid_hz,
            measured_hz=measured_hz, windows=self.spec.windows, scores=history[:-1], refined=history[-1],
            events=tuple(self._events), outline=crop.outline if crop else np.empty((0, 2), np.float32),
            quality=crop.quality if crop else 0.0, latency_ms=latency_ms,
            thresholds=(self.spec.t_cpn, self.spec.t_crn), note=note or self._small(),
        )  # fmt: skip

    def _small(self) -> str:
        """A word on a face that is used, and so small that movements are easily missed."""
        width = self._last.width_px if self._last else 0.0
        return face_small(width) if 0 < width < self.settings.small_face_px else ""

    def _stack(self) -> Pixels:
        """(1, 3 (1 + D), S, S): the newest crop, then for each lag the nearest at or before it; until the next call."""
        newest = self._crops.stop - 1
        times = self._times.window(self._times.start, self._times.stop)[:, 0]
        earlier = np.searchsorted(times, times[-1] - np.array(self.spec.lags_ns), side="right") - 1
        indices = [newest, *(self._crops.start + np.maximum(earlier, 0)).tolist()]
        joined([self._crops[i] for i in indices], out=self._stacked[0])
        return self._stacked

    def _advance(self, scores: Scores) -> InferenceSteps[list[Event]]:
        """Refine the windows that pass T_CPN, settle every tick of `scores` in order."""
        candidates = yield from self._refine(scores)
        events: list[Event] = []
        for column in range(scores.values.shape[1]):
            end = scores.first + column
            here = candidates.get(end, [])
            if end >= 0:
                self._settled = end + 1
                best = max((c.score for c in here), default=np.nan)
                self._history.append(np.append(scores.values[:, column], np.float32(best)))
            events += yield from self._announce(self._nms.push(end, here))
        return events

    def _refine(self, scores: Scores) -> InferenceSteps[dict[int, list[Candidate]]]:
        """The candidates by window end: [S1 M28-M32]."""
        found: dict[int, list[Candidate]] = {}
        passed = np.argwhere(
            (scores.values >= self.spec.t_cpn).T
        )  # column-major: by end, then by scale
        if not len(passed):
            return found
        ends, scales = scores.first + passed[:, 0], passed[:, 1]
        widths = np.asarray(self.spec.windows)[scales]
        starts = ends + 1 - widths
        if self.settings.refine:
            clips = [self._clip(int(a), int(a + w)) for a, w in zip(starts, widths, strict=True)]
            out = yield InferenceRequest("refiner", {"clips": np.stack(clips)})
            values, (onsets, offsets) = (
                out["classes"][:, 1],
                decode(starts, ends + 1, out["offsets"]),
            )
        else:
            values, (onsets, offsets) = (
                scores.values.T[tuple(passed.T)],
                decode(starts, ends + 1, np.zeros((len(ends), 2))),
            )
        for row in range(len(ends)):
            end = int(ends[row])
            if values[row] >= self.spec.t_crn and self.spec.keeps(
                end + 1, onsets[row], offsets[row]
            ):
                candidate = Candidate(
                    end,
                    int(scales[row]),
                    float(onsets[row]),
                    float(offsets[row]),
                    float(values[row]),
                )
                found.setdefault(end, []).append(candidate)
        return found

    def _clip(self, start: int, stop: int) -> NDArray[np.float32]:
        """(L, N_CR) spatial features of ticks [start, stop), resampled [S1 M30]."""
        return resample(
            self._features.window(start, stop).T, 0, stop - start, self.spec.refine_length
        )

    def _announce(self, decisions: list[Decision]) -> InferenceSteps[list[Event]]:
        events = []
        for decision in decisions:
            event = yield from self._event(decision)
            events.append(event)
            self._show(event)
        return events

    def _event(self, decision: Decision) -> InferenceSteps[Event]:
        candidate = decision.candidate
        onset = max(rounded(candidate.start), 0)
        offset = max(rounded(candidate.stop) - 1, onset)
        times = (self._grid.time(onset), self._grid.time(offset))
        frames = self._nearest(np.array(times))
        sources = self._source_frames(frames)
        event = Event(
            id=self._id(decision.key), source=self.source, face=self.face, status=decision.status,
            onset_ns=times[0], offset_ns=times[1], onset_frame=sources[0], offset_frame=sources[1],
            score=candidate.score, emitted_ns=self._grid.time(self._grid.ticks - 1),
        )  # fmt: skip
        if decision.status == "final" and times[0] < int(self._times[self._times.start][0]):
            self.clipped += 1
        if decision.status != "final" or self.engines.recognizer is None:
            return event
        return (yield from self._recognize(event))

    def _recognize(self, event: Event) -> InferenceSteps[Event]:
        """Name the emotion of a final event by CMNet [S2]; its apex is where the intensity peaks."""
        spec = self.engines.recognizer_spec
        assert spec is not None
        at = np.linspace(event.onset_ns, event.offset_ns, spec.frames, dtype=np.float64)
        frames = self._nearest(at)
        clip = np.stack([self._crops[int(i)] for i in frames])
        out = yield InferenceRequest("recognizer", {"clip": clip[None]})
        probabilities, intensity = out["classes"][0], out["intensity"][0]
        floor = spec.label_floor if self.settings.label_floor is None else self.settings.label_floor
        best, peak = int(probabilities.argmax()), int(intensity.argmax())
        return replace(
            event,
            apex_ns=rounded(at[peak]),
            apex_frame=self._source_frames(frames[peak : peak + 1])[0],
            label=spec.labels[best] if probabilities[best] >= floor else UNCERTAIN,
            label_scores={
                name: float(p) for name, p in zip(spec.labels, probabilities, strict=True)
            },
            intensity=tuple(float(x) for x in intensity),
        )

    def _nearest(self, times_ns: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.int64]:
        """Indices of the captured crops nearest in time, within the ring."""
        held = self._times.window(self._times.start, self._times.stop)[:, 0]
        return self._times.start + nearest_frames(held, times_ns)

    def _source_frames(self, indices: NDArray[np.int64]) -> list[int]:
        return [int(self._times[int(i)][1]) for i in indices]

    def _id(self, key: Key) -> str:
        window_ns = self._grid.time(key.end)
        name = f"{self.source}|{self.epoch}|{self.face}|{window_ns}|{key.scale}|{key.turn}"
        return hashlib.sha256(name.encode()).hexdigest()[:16]

    def _show(self, event: Event) -> None:
        others = [e for e in self._events if e.id != event.id]
        self._events = deque(
            others if event.status == "withdrawn" else [*others, event], SHOWN_EVENTS
        )
