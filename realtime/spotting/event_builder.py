"""EventBuilder: a decision becomes an Event; a final one gets emotion, intensity, what moved.

Without a recognizer no emotion is computed, and the displacement of the face gives its intensity.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.displacement import block_flow, displacement, relative
from microspot.engines.clips import nearest_frames
from microspot.engines.intervals import rounded
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.specs import RecognizerSpec
from microspot.engines.units.reading import read_region, read_units

from ..config import Settings
from ..records import UNCERTAIN, Event
from .batching import InferenceRequest, InferenceSteps
from .nuisance_history import NuisanceHistory
from .ring import Ring
from .streaming_nms import Decision, Key
from .time_grid import TimeGrid

PLAIN_FRAMES = RecognizerSpec().frames  # crops of the curve where there is no recognizer


class EventBuilder:
    """Makes the events of one face of one source, which share its grid and its rings.

    times: ring of (captured_ns, source index) by crop; crops: ring of (3, S, S) uint8 by crop;
    nuisances: what else moved, by tick, up to the last tick of every final decision; settings: for
    whose face it is, and how probable a label must be.
    """

    def __init__(
        self,
        engines: EngineSet,
        source: str,
        face: int,
        grid: TimeGrid,
        times: Ring,
        crops: Ring,
        nuisances: NuisanceHistory,
        settings: Settings,
    ) -> None:
        self.engines = engines
        self.source = source
        self.face = face
        self.subject = settings.subject
        self.boundaries_lost = 0  # final events whose boundary had left the ring
        self._grid = grid
        self._times = times
        self._crops = crops
        self._nuisances = nuisances
        self.label_floor = settings.label_floor

    def build(self, decision: Decision, epoch: int) -> InferenceSteps[Event]:
        """The event of a decision; a final one with intensity, apex and, by a recognizer, emotion.

        epoch: UTC start of a live connection, 0 for files (part of the id).
        """
        event = self._timed(decision, epoch)
        if event.status != "final":
            return event
        oldest_ns = int(self._times[self._times.start][0])
        if event.onset_ns < oldest_ns:
            self.boundaries_lost += 1
        if self.engines.recognizer is None:
            return self._measured(event)
        return (yield from self._recognized(event))

    def frame_at(self, tick: int) -> int:
        """The source index of the captured crop that is nearest to a tick, within the ring."""
        return self._source_frames(self._nearest(np.array([self._grid.time(tick)])))[0]

    def _timed(self, decision: Decision, epoch: int) -> Event:
        """The event in time: its interval is rounded to whole ticks here, and nowhere else."""
        candidate = decision.candidate
        onset = max(rounded(candidate.start), 0)
        offset = max(rounded(candidate.stop) - 1, onset)
        onset_ns = self._grid.time(onset)
        offset_ns = self._grid.time(offset)
        frames = self._source_frames(self._nearest(np.array([onset_ns, offset_ns])))
        final = decision.status == "final"
        return Event(
            id=self._id(decision.key, epoch),
            source=self.source,
            face=self.face,
            subject=self.subject,
            status=decision.status,
            onset_ns=onset_ns,
            offset_ns=offset_ns,
            onset_frame=frames[0],
            offset_frame=frames[1],
            score=candidate.score,
            emitted_ns=self._grid.time(self._grid.ticks - 1),
            confounders=self._nuisances.highest(onset, offset) if final else None,
        )

    def _recognized(self, event: Event) -> InferenceSteps[Event]:
        """The event with its emotion by CMNet [S2]; its apex is where the intensity peaks."""
        spec = self.engines.recognizer_spec
        assert spec is not None
        times_ns, indices, clip = self._clip(event, spec.frames)
        out = yield InferenceRequest("recognizer", {"clip": clip[None]})
        probabilities = out["classes"][0]
        best = int(probabilities.argmax())
        label_floor = spec.label_floor if self.label_floor is None else self.label_floor
        named = self._peaked(event, times_ns, indices, clip, out["intensity"][0])
        if spec.units:
            units = read_units(out, spec)
            named = replace(named, action_units=units, region=read_region(out, spec))
        if not self.engines.emotions:
            return named
        return replace(
            named,
            label=spec.labels[best] if probabilities[best] >= label_floor else UNCERTAIN,
            label_scores=dict(zip(spec.labels, map(float, probabilities), strict=True)),
        )

    def _measured(self, event: Event) -> Event:
        """The event with the displacement of the face as its intensity, relative to its peak."""
        times_ns, indices, clip = self._clip(event, PLAIN_FRAMES)
        return self._peaked(event, times_ns, indices, clip, relative(displacement(clip)))

    def _clip(
        self, event: Event, length: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8]]:
        """Even times on the event's interval (N,), the crops nearest to them (N,) and (N, 3, S, S).

        Nothing is blended [S2].
        """
        times_ns = np.linspace(event.onset_ns, event.offset_ns, length, dtype=np.float64)
        indices = self._nearest(times_ns)
        return times_ns, indices, np.stack([self._crops[int(index)] for index in indices])

    def _peaked(
        self,
        event: Event,
        times_ns: NDArray[np.float64],
        indices: NDArray[np.int64],
        clip: NDArray[np.uint8],
        intensity: NDArray[np.float32],
    ) -> Event:
        """The event with its intensity (N,), whose peak is the apex, and the flow until then."""
        peak = int(intensity.argmax())
        return replace(
            event,
            apex_ns=rounded(times_ns[peak]),
            apex_frame=self._source_frames(indices[peak : peak + 1])[0],
            intensity=tuple(float(value) for value in intensity),
            flow=block_flow(clip[0], clip[peak]),
        )

    def _nearest(self, times_ns: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.int64]:
        """Indices of the captured crops nearest in time, within the ring."""
        captured_ns = self._times.slice(self._times.start, self._times.stop)[:, 0]
        return self._times.start + nearest_frames(captured_ns, times_ns)

    def _source_frames(self, indices: NDArray[np.int64]) -> list[int]:
        return [int(self._times[int(index)][1]) for index in indices]

    def _id(self, key: Key, epoch: int) -> str:
        window_ns = self._grid.time(key.end)
        name = f"{self.source}|{epoch}|{self.face}|{window_ns}|{key.scale}|{key.turn}"
        return hashlib.sha256(name.encode()).hexdigest()[:16]
