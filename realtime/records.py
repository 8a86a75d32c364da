"""The records that flow from camera to overlay: frozen, validated at construction.

Each record names the source that it comes from.

Time is stream time: integer nanoseconds since the source's first frame. `index` counts the
source's frames from 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.head import EyesOpen, HeadPose
from microspot.engines.intervals import Candidate
from microspot.engines.units.findings import ActionUnit, Region
from microspot.engines.units.labels import RuleLabel, label_of

Pixels = NDArray[np.uint8]
Status = Literal["provisional", "final", "withdrawn"]
UNCERTAIN = "uncertain"  # the label of an event whose most probable one is below the label floor


class ConnectionState(StrEnum):
    """What a live source is doing: the values of `state` in the `state` record."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    PLAYING = "playing"  # a recording behind a URL


class WarningKind(StrEnum):
    """What a warning is about: the values of `kind` in the `warning` record."""

    DAMAGED = "damaged"  # frames were lost to damage, or the source ended early
    RATE = "rate"  # frames come too rarely for micro-expressions
    PICTURE_SIZE = "picture size"  # the camera gives another size than it was asked for
    FILES = "files"  # files of a folder were left out
    LENGTH = "length"  # only the beginning was looked at
    SETTINGS = "settings"  # they were read anew while the run went on


class GapReason(StrEnum):
    """Why a source gives no evidence; why a single face is not used, `aligner.Rejection` says."""

    FRAMES_MISSING = "frames missing"
    CLOCK_JUMPED = "clock jumped"
    CLOCK_SET_BACK = "clock set back"
    PICTURE_SIZE_CHANGED = "picture size changed"
    CONNECTION_LOST = "connection lost"
    OVERLOAD = "overload"
    NEW_SIZE = "new size"  # of the pictures that a program pushes


class DropCause(StrEnum):
    """Why a frame or the boundary of an event was left out: keys of `drops` in an `end` record."""

    OVERLOAD = "overload"  # the queue of a live source was full
    UNREAD = "unread"  # a read of the camera gave nothing
    DAMAGED = "damaged"  # it could not be decoded
    REPEATED = "repeated"  # the stream gave it before
    NOT_RISING = "time not rising"  # its time is not later than the last one's
    THINNED = "thinned"  # another frame is nearer to the same tick
    OUT_OF_RING = "boundary left the ring"  # an event's, clipped to what the ring holds


def _expect(name: str, array: NDArray[Any], dtype: type, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless `array` has `dtype` and `shape`, where None is any size."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if fits and array.dtype == dtype:
        return
    expected = "x".join("*" if size is None else str(size) for size in shape)
    actual = "x".join(str(size) for size in array.shape)
    raise ValueError(f"{name}: expected {np.dtype(dtype)} {expected}, got {array.dtype} {actual}")


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a source. `image` is HxWx3 BGR.

    host_ns: when it was taken, on the host's clock (`time.perf_counter_ns`, which on Linux and
    macOS is `time.monotonic_ns`); None where the source has no such time, as a file that is not
    played in real time.
    """

    source: str
    index: int
    captured_ns: int
    image: Pixels
    host_ns: int | None = None

    def __post_init__(self) -> None:
        _expect("Frame.image", self.image, np.uint8, (None, None, 3))


@dataclass(frozen=True, eq=False)
class Crop:
    """One aligned face.

    pixels: 3xSxS RGB; affine: 2x3, from frame to crop pixels; outline: Nx2 frame pixels; width_px:
    the face's width in the frame, 0 where it is not known; mesh, landmarked: as of an aligner's
    Face.
    """

    source: str
    face: int
    index: int
    captured_ns: int
    pixels: Pixels
    affine: NDArray[np.float64]
    quality: float
    outline: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))
    width_px: float = 0.0
    mesh: NDArray[np.float64] | None = None
    landmarked: bool = False

    def __post_init__(self) -> None:
        _expect("Crop.pixels", self.pixels, np.uint8, (3, None, None))
        _expect("Crop.affine", self.affine, np.float64, (2, 3))
        _, rows, columns = self.pixels.shape
        if rows != columns:
            raise ValueError(f"Crop.pixels: expected a square, got {rows}x{columns}")


@dataclass(frozen=True)
class Gap:
    """No evidence of `face` (None: of every face of the source) between start_ns and stop_ns.

    It flushes and resets the sessions of these faces. The records of one outage touch each other:
    together they run from the last frame used to the first used after it.
    """

    source: str
    face: int | None
    start_ns: int
    stop_ns: int
    reason: str

    def __post_init__(self) -> None:
        if self.stop_ns <= self.start_ns:
            raise ValueError(
                f"Gap: stop {self.stop_ns}, expected later than its start {self.start_ns}"
            )


@dataclass(frozen=True)
class SourceState:
    """A live source's connection changed."""

    source: str
    state: ConnectionState
    detail: str = ""


@dataclass(frozen=True)
class SourceWarning:
    """Something about a source that a person should know; printed on standard error as well."""

    source: str
    kind: WarningKind
    detail: str


SourceRecord = Frame | Gap | SourceState | SourceWarning  # what iterating a source gives


@dataclass(frozen=True)
class Event:
    """One micro-expression. Times are stream ns.

    Frames are source indices, inclusive, nearest in time. `label`, `label_scores`, `intensity`,
    `confounders` and `apex_*` are None until the event is final. confounders: how probable it is
    that something else moved during the event, by name (`engines.specs.NUISANCES`); None also where
    the weights do not say. action_units, region: what moved; None also where the weights do not
    say, and then the record has none of what follows from them either. face: a place in the
    picture, counted from 0: whose it is, only `subject` says, the name that the run was given.
    flow: where each block of the crop went from onset to apex
    (`engines.alignment.displacement.block_flow`), for pictures; it is in no record.
    """

    id: str
    source: str
    face: int
    status: Status
    onset_ns: int
    offset_ns: int
    onset_frame: int
    offset_frame: int
    score: float
    emitted_ns: int
    apex_ns: int | None = None
    apex_frame: int | None = None
    label: str | None = None
    label_scores: dict[str, float] | None = None
    intensity: tuple[float, ...] | None = None
    confounders: dict[str, float] | None = None
    action_units: tuple[ActionUnit, ...] | None = None
    region: Region | None = None
    subject: str | None = None
    flow: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.offset_ns < self.onset_ns:
            raise ValueError(
                f"Event {self.id}: offset {self.offset_ns} before onset {self.onset_ns}"
            )
        if not 0 <= self.score <= 1:
            raise ValueError(f"Event {self.id}: score {self.score}, expected 0 to 1")

    @property
    def rule_label(self) -> RuleLabel | None:
        """What the rule makes of the action units; None where the weights do not say them."""
        if self.action_units is None:
            return None
        return label_of(unit.name for unit in self.action_units)

    def to_json(self) -> dict[str, Any]:
        """The `event` JSON line of the command contract; seconds to the microsecond."""
        intensity: Any = self.intensity
        if intensity:
            intensity = [round(value, 4) for value in intensity]
        return {
            "type": "event",
            "id": self.id,
            "source": self.source,
            "face": self.face,
            "subject": self.subject,
            "status": self.status,
            "onset_s": _seconds(self.onset_ns),
            "apex_s": _seconds(self.apex_ns),
            "offset_s": _seconds(self.offset_ns),
            "onset_frame": self.onset_frame,
            "apex_frame": self.apex_frame,
            "offset_frame": self.offset_frame,
            "score": round(self.score, 4),
            "label": self.label,
            "label_scores": _rounded(self.label_scores),
            "intensity": intensity,
            "confounders": _rounded(self.confounders),
            **self._movement_json(),
            "emitted_s": _seconds(self.emitted_ns),
        }

    def _movement_json(self) -> dict[str, Any]:
        """What moved, and what the rule makes of it; no key where the weights do not say."""
        rule = self.rule_label
        if rule is None or self.action_units is None:
            return {}
        by_rule = "" if self.label is None else rule.label  # no emotion was asked for
        return {
            "action_units": [unit.to_json() for unit in self.action_units],
            "region": None if self.region is None else self.region.to_json(),
            "objective_class": rule.objective_class or None,
            "label_by_units": by_rule or None,
        }


def _rounded(shares: dict[str, float] | None) -> dict[str, float] | None:
    """Probabilities by name, rounded for a record; None stays None."""
    if shares is None:
        return None
    return {name: round(share, 4) for name, share in shares.items()}


def _seconds(ns: int | None) -> float | None:
    """Nanoseconds as seconds to the microsecond; None stays None."""
    return None if ns is None else round(ns / 1e9, 6)


@dataclass(frozen=True)
class PersonalState:
    """The threshold of one face at `at_ns`, moved so that about `alarms_per_min` alarms come.

    threshold: T_CRN as it is now; seen_s: how long the face was seen; peaks: how many peaks of its
    scores count; learning: whether it is too early to move the threshold.
    """

    source: str
    face: int
    at_ns: int
    threshold: float
    alarms_per_min: float
    seen_s: float
    peaks: int
    learning: bool

    def to_json(self) -> dict[str, Any]:
        """The `threshold` JSON line of the command contract."""
        return {
            "type": "threshold",
            "source": self.source,
            "face": self.face,
            "at_s": _seconds(self.at_ns),
            "threshold": round(self.threshold, 4),
            "alarms_per_min": self.alarms_per_min,
            "seen_s": round(self.seen_s, 3),
            "peaks": self.peaks,
            "learning": self.learning,
        }


@dataclass(frozen=True)
class FrameTime:
    """When a frame was taken: its stream time, and that on the host's clock.

    Of a source without a time on the host's clock `host_ns` goes on from its first frame.
    """

    source: str
    index: int
    captured_ns: int
    host_ns: int

    def to_json(self) -> dict[str, Any]:
        """The `frame` record, which only sinks with `wants_frames` get."""
        return {
            "type": "frame",
            "source": self.source,
            "frame": self.index,
            "at_s": _seconds(self.captured_ns),
            "host_s": _seconds(self.host_ns),
        }


@dataclass(frozen=True)
class KeptTick:
    """What thresholds that are chosen later need of a tick; it is in no JSON line.

    tick: of its segment, counted from 0; frame: index of the captured frame that is nearest in
    time; windows: those that end at it and pass lower thresholds, refined.
    """

    tick: int
    frame: int
    windows: tuple[Candidate, ...]


@dataclass(frozen=True)
class FaceMeasures:
    """How one face stands in one frame in which it was used.

    width_px: of the face in the frame; pose: by the mesh, None without one. Between two runs of the
    landmarker the mesh is moved along in the picture, so that roll follows the head while yaw and
    pitch stay; eyes_open is None then.
    """

    source: str
    face: int
    index: int
    captured_ns: int
    quality: float
    width_px: float
    pose: HeadPose | None = None
    eyes_open: EyesOpen | None = None

    def to_json(self) -> dict[str, Any]:
        """The `face` record, which only sinks with `wants_frames` get; degrees."""
        pose = self.pose
        eyes = self.eyes_open
        return {
            "type": "face",
            "source": self.source,
            "face": self.face,
            "frame": self.index,
            "at_s": _seconds(self.captured_ns),
            "quality": _score(self.quality),
            "width_px": round(self.width_px, 1),
            "yaw": None if pose is None else round(pose.yaw, 1),
            "pitch": None if pose is None else round(pose.pitch, 1),
            "roll": None if pose is None else round(pose.roll, 1),
            "eyes_open": None if eyes is None else [round(eyes.left, 3), round(eyes.right, 3)],
        }


@dataclass(frozen=True, eq=False)
class TickScores:
    """The scores of one face at one tick.

    at_ns: when the frame of the tick was taken, or the tick's own time between two frames;
    scores (M,): probabilities of the windows whose last tick it is, refined: the best refined score
    of these, NaN where there is none; quality: of the face, 0 to 1; kept: what is kept of the tick
    for thresholds that are chosen later, None where nothing is; confounders: how probable it is
    that something else moves at this tick, by name, None where the weights do not say.
    """

    source: str
    face: int
    at_ns: int
    scores: NDArray[np.float32]
    refined: float
    quality: float
    kept: KeptTick | None = None
    confounders: dict[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The `scores` record, which only sinks with `wants_frames` get; null where no score is."""
        return {
            "type": "scores",
            "source": self.source,
            "face": self.face,
            "at_s": _seconds(self.at_ns),
            "scores": [_score(value) for value in self.scores.tolist()],
            "refined": _score(self.refined),
            "quality": _score(self.quality),
            "confounders": _rounded(self.confounders),
        }


# What comes with every frame, for those who ask by `wants_frames`.
FrameRecord = FrameTime | FaceMeasures | TickScores


def _score(value: float) -> float | None:
    """A score rounded for a record, None for NaN."""
    return None if math.isnan(value) else round(value, 4)


@dataclass(frozen=True)
class Marker:
    """A stimulus marker at a time of a source's stream.

    name: of the stream of markers that it came in; value: what was sent; frame: index of the frame
    nearest in time.
    """

    source: str
    name: str
    value: str
    at_ns: int
    frame: int

    def to_json(self) -> dict[str, Any]:
        """The `marker` JSON line of the command contract."""
        return {
            "type": "marker",
            "source": self.source,
            "name": self.name,
            "value": self.value,
            "at_s": _seconds(self.at_ns),
            "frame": self.frame,
        }


@dataclass(frozen=True, eq=False)
class View:
    """What the overlay draws for one face now.

    The history arrays have one column per tick and end at `now_ns`.
    scores: (M, H) window probabilities by the window's last tick, NaN where none;
    refined: (H,) best refined score per tick, NaN where none;
    note: why the face is not used now, or what keeps it from being seen well; "" for neither;
    personal: the threshold of its own that the face has, None where it has none;
    nuisances: what else moves at the newest tick that is scored, by name; empty where the weights
    do not say;
    affine, crop_side: of the newest crop, as of a Crop; None and 0 without any.
    """

    source: str
    face: int
    now_ns: int
    grid_hz: int
    measured_hz: float
    windows: tuple[int, ...]
    scores: NDArray[np.float32]
    refined: NDArray[np.float32]
    events: tuple[Event, ...]
    outline: NDArray[np.float32]
    quality: float
    latency_ms: float
    thresholds: tuple[float, float]
    note: str = ""
    personal: PersonalState | None = None
    nuisances: dict[str, float] = field(default_factory=dict)
    affine: NDArray[np.float64] | None = None
    crop_side: int = 0
