"""SourceRun: one source while a pipeline runs it, with its sessions, counts and open outages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from microspot.engines.alignment.aligner import Refused, Rejection
from microspot.engines.alignment.head import eyes_open, head_pose
from microspot.engines.specs import SpotterSpec

from .feed import Feed, Item, Sighting
from .meter import DECISION_S, LATENCY_S, Histogram, Rate, SourceFigures
from .overlay.event_text import face_small
from .records import (
    ConnectionState,
    Crop,
    DropCause,
    Event,
    FaceMeasures,
    Frame,
    FrameRecord,
    FrameTime,
    Gap,
    PersonalState,
    SourceState,
    TickScores,
    View,
)
from .session import Session
from .sources.capture.host_clock import host_time_ns

TOLD_EVERY_S = 60.0  # of a face, between two `threshold` records
STALE_NS = 2_000_000_000  # a face not seen for longer is no longer drawn


@dataclass(eq=False)
class SourceRun:
    """The feed of one source, and what is known of the source so far.

    sessions: by face; drops and rejected: frames by cause; outages: face -> the last Gap of an
    outage that is not over; now_ns: time of the newest frame; told: how many `threshold` records of
    a face there were; gaps: outages by reason; connections: how often a live source was there;
    state: what it does now; processed: when frames were done with, on the host's clock; latency,
    decision_delay: as SourceFigures has them; began_ns: the host's time of stream time 0 where the
    source gives no host times.
    """

    feed: Feed
    sessions: dict[int, Session] = field(default_factory=dict)
    frames: int = 0
    events: int = 0
    faces_seen: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    outages: dict[int | None, Gap] = field(default_factory=dict)
    told: Counter[int] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    state: ConnectionState | None = None
    processed: Rate = field(default_factory=Rate)
    latency: Histogram = field(default_factory=lambda: Histogram(LATENCY_S))
    decision_delay: Histogram = field(default_factory=lambda: Histogram(DECISION_S))
    began_ns: int | None = None
    now_ns: int = 0
    over: bool = False
    time_limit_reached: bool = False  # ended by `seconds`, not by the source

    def count_frame(self, sighting: Sighting) -> None:
        """Count a frame when the loop takes it.

        The feed's thread reads ahead, and the counts must not depend on how far.
        """
        self.frames += 1
        self.faces_seen += len(sighting.crops)
        if sighting.dropped != DropCause.NOT_RISING:
            self.now_ns = sighting.frame.captured_ns
        for crop in sighting.crops:
            self.outages.pop(crop.face, None)
            self.outages.pop(None, None)
        if sighting.dropped:
            self.drops[sighting.dropped] += 1
        if sighting.rejected:
            self.rejected[sighting.rejected] += 1

    def count_final(self, events: Iterable[Event]) -> None:
        """Count the final ones among `events`."""
        for event in events:
            if event.status == "final":
                self.events += 1
                self.decision_delay.add((event.emitted_ns - event.offset_ns) / 1e9)

    def count_state(self, state: SourceState) -> None:
        """Note what a live source does; being there again is a reconnection."""
        self.state = ConnectionState(state.state)
        self.connections += self.state == ConnectionState.LIVE

    def count_processed(self, sighting: Sighting) -> None:
        """Count a frame whose round is over."""
        if sighting.dropped is None:
            now_ns = host_time_ns()
            self.processed.add(now_ns)
            self.latency.add((now_ns - sighting.arrived_ns) / 1e9)

    def frame_records(self, item: Item, kinds: Collection[str]) -> list[FrameRecord]:
        """The time of an item's frame and its faces, then the scores decided since the last call.

        Both by face. kinds: the types of record that are wanted; scores that are not are forgotten.
        """
        records: list[FrameRecord] = []
        if isinstance(item, Sighting) and item.dropped != DropCause.NOT_RISING:
            if FrameTime.kind in kinds:
                records.append(self._frame_time(item.frame))
            if FaceMeasures.kind in kinds:
                records += map(_measures, item.crops)
        for _, session in sorted(self.sessions.items()):
            if TickScores.kind in kinds:
                records += session.take_scores()
            else:
                session.forget_scores()
        return records

    def _frame_time(self, frame: Frame) -> FrameTime:
        host_ns = frame.host_ns
        if host_ns is None:
            if self.began_ns is None:
                self.began_ns = host_time_ns() - frame.captured_ns
            host_ns = self.began_ns + frame.captured_ns
        return FrameTime(frame.source, frame.index, frame.captured_ns, host_ns)

    def due_states(self) -> list[PersonalState]:
        """The faces' own thresholds that are told now: after the warm-up, and every minute."""
        due = []
        for face, session in sorted(self.sessions.items()):
            state = session.personal_state()
            if state is None or state.learning:
                continue
            if state.seen_s >= self.told[face] * TOLD_EVERY_S:
                self.told[face] += 1
                due.append(state)
        return due

    def begin_outage(self, gap: Gap) -> None:
        """Remember an outage; one of every face is an outage of each face that was ever seen."""
        faces: list[int | None] = [gap.face]
        if gap.face is None and self.sessions:
            faces = list(self.sessions)
        if not any(self._goes_on(face, gap) for face in faces):
            self.gaps[gap.reason] += 1
        for face in faces:
            self.outages[face] = replace(gap, face=face)

    def _goes_on(self, face: int | None, gap: Gap) -> bool:
        """Whether a Gap is the rest of an outage that was reported before."""
        before = self.outages.get(face)
        return before is not None and before.stop_ns >= gap.start_ns

    def unreported_outages(self) -> list[Gap]:
        """The rest of every outage that lasts to the end of the source."""
        return [
            replace(gap, start_ns=gap.stop_ns, stop_ns=self.now_ns)
            for gap in self.outages.values()
            if gap.stop_ns < self.now_ns
        ]

    @property
    def suppressed(self) -> int:
        """Final events that the memory of rejected ones suppressed."""
        return sum(session.suppressed for session in self.sessions.values())

    def all_drops(self) -> dict[str, int]:
        """Left-out frames and boundaries by cause, those counted by the source itself included."""
        drops: dict[str, int] = dict(self.drops)
        if not self.time_limit_reached:
            drops |= self.feed.source.drops
        boundaries_lost = sum(session.boundaries_lost for session in list(self.sessions.values()))
        if boundaries_lost:
            drops[DropCause.OUT_OF_RING] = boundaries_lost
        return drops

    def figures(self) -> SourceFigures:
        """What was counted until now; safe from any thread."""
        away = self.over or self.state in (ConnectionState.CONNECTING, ConnectionState.LOST)
        return SourceFigures(
            source=self.feed.source.name,
            camera_hz=0.0 if away else self.feed.rate.hz,
            process_hz=0.0 if self.over else self.processed.mean_hz(host_time_ns()),
            frames=self.frames,
            events=self.events,
            drops=self.all_drops(),
            rejected=dict(self.rejected),
            gaps=dict(self.gaps),
            reconnects=max(0, self.connections - 1),
            latency=self.latency.now(),
            decision_delay=self.decision_delay.now(),
            faces=self._faces(),
        )

    def _faces(self) -> dict[int, tuple[float, float]]:
        """Quality and width of the faces seen lately."""
        found = {}
        for face, session in sorted(self.sessions.copy().items()):
            crop = session.newest_crop
            if crop is not None and self.now_ns - session.seen_ns < STALE_NS and not self.over:
                found[face] = (crop.quality, crop.width_px)
        return found

    def views(self, sighting: Sighting, spec: SpotterSpec, latency_ms: float) -> list[View]:
        """What the overlay draws of the faces seen lately, then of those found but never used."""
        now_ns = sighting.frame.captured_ns
        refused = {face.face: face for face in sighting.refused}
        views = []
        for face, session in sorted(self.sessions.items()):
            if now_ns - session.seen_ns < STALE_NS:
                found = refused.pop(face, None)
                note = "" if found is None else _unused_note(found)
                views.append(session.view(self.feed.rate.hz, latency_ms, note))
        for found in refused.values():
            views.append(self._view_of_unused(sighting.frame, found, spec, latency_ms))
        return views

    def _view_of_unused(
        self, frame: Frame, found: Refused, spec: SpotterSpec, latency_ms: float
    ) -> View:
        """The view of a face that was found and never used."""
        no_scores = np.empty((spec.scales, 0), np.float32)
        return View(
            source=frame.source,
            face=found.face,
            now_ns=frame.captured_ns,
            grid_hz=spec.grid_hz,
            measured_hz=self.feed.rate.hz,
            windows=spec.windows,
            scores=no_scores,
            refined=no_scores[0],
            events=(),
            outline=found.outline,
            quality=0.0,
            latency_ms=latency_ms,
            thresholds=(spec.t_cpn, spec.t_crn),
            note=_unused_note(found),
        )


def _measures(crop: Crop) -> FaceMeasures:
    """How the face of a crop stands."""
    mesh = crop.mesh
    fresh = mesh is not None and crop.landmarks_ns is not None
    return FaceMeasures(
        crop.source,
        crop.face,
        crop.index,
        crop.captured_ns,
        quality=crop.quality,
        width_px=crop.width_px,
        pose=None if mesh is None else head_pose(mesh),
        eyes_open=eyes_open(mesh) if mesh is not None and fresh else None,
        eyes_ns=crop.landmarks_ns if fresh else None,
    )


def _unused_note(found: Refused) -> str:
    """What a person is told of a face that is not used."""
    if found.reason == Rejection.TOO_SMALL:
        return f"{face_small(found.width_px)}, not used"
    return f"not used: {found.reason}"
