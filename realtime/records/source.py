"""What a source gives: frames and gaps, and how it fares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .values import expect, in_seconds

Pixels = NDArray[np.uint8]


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
        expect("Frame.image", self.image, np.uint8, (None, None, 3))


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
class FrameTime:
    """When a frame was taken: its stream time, and that on the host's clock.

    Of a source without a time on the host's clock `host_ns` goes on from its first frame.
    """

    kind: ClassVar[str] = "frame"

    source: str
    index: int
    captured_ns: int
    host_ns: int

    def to_json(self) -> dict[str, Any]:
        """The `frame` record, which only sinks get that name it in `wants_frames`."""
        return {
            "type": self.kind,
            "source": self.source,
            "frame": self.index,
            "at_s": in_seconds(self.captured_ns),
            "host_s": in_seconds(self.host_ns),
        }


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
            "at_s": in_seconds(self.at_ns),
            "frame": self.frame,
        }
