"""The schema of the records, as JSON Schema, for programs that read JSON lines, a webhook or `ws:`.

The types here say which keys a JSON line has; kinds and states are those of `records`.
`records.schema.json` beside this module is what `schema` gives:

    python -m microspot.realtime.sinks.record_schema > realtime/sinks/records.schema.json

A key that is added leaves VERSION as it is, since no reader breaks by it; a key that goes or means
something else raises it. The `start` record names the version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from ..records import ConnectionState, Status, WarningKind

VERSION = 1
FILE = Path(__file__).with_name("records.schema.json")

Seconds = Annotated[float, Field(description="stream time, from the source's first frame on")]
Frame = Annotated[int, Field(ge=0, description="index of a frame of the source, from 0 on")]
Share = Annotated[float, Field(ge=0, le=1)]
SourceName = Annotated[str, Field(description="without credentials, printable")]
Face = Annotated[int, Field(ge=0)]


class StartedSource(TypedDict):
    """A source of a run. fps is what it declares."""

    source: SourceName
    started_utc: str | None
    fps: float | None


class Start(TypedDict):
    """A run begins. labels: null where no recognizer is loaded."""

    type: Literal["start"]
    schema: int
    version: str
    sources: list[StartedSource]
    engines: str
    digest: str
    thresholds: dict[str, float]
    labels: list[str] | None
    backend: str
    why: str
    grid_hz: int
    windows: Annotated[list[int], Field(description="window lengths of the scores, in ticks")]
    latency_ticks: dict[str, int]


Side = Literal["L", "R", "both"]  # of the subject
SizeClass = Literal["a", "b", "c", "d", "e"]  # by displacement: engines/units/displacement.py
Pixels = Annotated[float, Field(description="displacement in px of a 160 px crop 19 cm wide")]


class Moved(TypedDict):
    """What every part of the face that moved has. score: the probability that it was this one."""

    side: Side
    px: Pixels
    size: SizeClass
    score: Share


class MovedUnit(Moved):
    """An action unit that moved."""

    au: str


class MovedRegion(Moved):
    """Where the face moved most."""

    name: str


class Reviewed(TypedDict):
    """Who accepted an event, and what else that person said; action_units: null for nothing.

    added: the spotter missed the event, that person added it.
    """

    coder: str
    action_units: Annotated[list[str] | None, Field(description="such as AU4, AUL12, AU14B")]
    note: str
    added: NotRequired[Literal[True]]


class Event(TypedDict):
    """A micro-expression. What only final events have is null in others.

    face: a place in the picture; subject: whose face it is, null where the run was not told.

    reviewed: only in what `microspot review` exports. The four keys before it are there where the
    weights say what moved, and no person does.
    """

    type: Literal["event"]
    id: str
    source: SourceName
    face: Face
    subject: str | None
    status: Status
    onset_s: Seconds
    apex_s: Seconds | None
    offset_s: Seconds
    onset_frame: Frame
    apex_frame: Frame | None
    offset_frame: Frame
    score: Share
    label: str | None
    label_scores: dict[str, Share] | None
    intensity: list[float] | None
    confounders: dict[str, Share] | None
    emitted_s: Seconds
    action_units: NotRequired[list[MovedUnit]]
    region: NotRequired[MovedRegion | None]
    objective_class: NotRequired[str | None]
    label_by_units: NotRequired[str | None]
    reviewed: NotRequired[Reviewed]


class Gap(TypedDict):
    """No evidence of a face, or with face null of any."""

    type: Literal["gap"]
    source: SourceName
    face: Face | None
    reason: str
    start_s: Seconds
    stop_s: Seconds


class Threshold(TypedDict):
    """Where a face's own threshold stands."""

    type: Literal["threshold"]
    source: SourceName
    face: Face
    at_s: Seconds
    threshold: Share
    alarms_per_min: float
    seen_s: float
    peaks: int
    learning: bool


class Marker(TypedDict):
    """A stimulus marker. name: of its stream; frame: nearest in time.

    at_s is negative before the first frame.
    """

    type: Literal["marker"]
    source: SourceName
    name: str
    value: str
    at_s: Seconds
    frame: Frame


class FrameTime(TypedDict):
    """When a frame was taken; for sinks that ask, in no output. host_s: on the host's clock."""

    type: Literal["frame"]
    source: SourceName
    frame: Frame
    at_s: Seconds
    host_s: float


Degrees = Annotated[float, Field(description="against the mean frontal portrait")]
EyeAspect = Annotated[float, Field(ge=0, description="about 0.3 open, below 0.2 closed")]


class FaceMeasures(TypedDict):
    """How a face stands in a frame; for sinks that ask, in no output.

    yaw, pitch, roll: towards the right of the picture, down, clockwise. eyes_open: left and right
    of the subject, null where the landmarker gave no new answer; eyes_at_s: the time of the frame
    that the answer is of, which may be a few earlier.
    """

    type: Literal["face"]
    source: SourceName
    face: Face
    frame: Frame
    at_s: Seconds
    quality: float | None
    width_px: float
    yaw: Degrees | None
    pitch: Degrees | None
    roll: Degrees | None
    eyes_open: list[EyeAspect] | None
    eyes_at_s: Seconds | None


class TickScores(TypedDict):
    """Scores of a face at one tick, by window length; for sinks and listeners that ask."""

    type: Literal["scores"]
    source: SourceName
    face: Face
    at_s: Seconds
    scores: list[Share | None]
    refined: Share | None
    quality: float | None
    confounders: dict[str, Share] | None


class State(TypedDict):
    """What a live source is doing."""

    type: Literal["state"]
    source: SourceName
    state: ConnectionState
    detail: str


class Warned(TypedDict):
    """What a person should know of a source."""

    type: Literal["warning"]
    source: SourceName
    kind: WarningKind
    detail: str


class End(TypedDict):
    """A source is over. error: why, where it failed.

    suppressed: events that resemble rejected ones and were left out; there where a memory of these
    was given.
    """

    type: Literal["end"]
    source: SourceName
    frames: int
    events: int
    drops: dict[str, int]
    rejected: dict[str, int]
    suppressed: NotRequired[int]
    error: NotRequired[str]


LINES = (
    Start, Event, Gap, Threshold, Marker, FrameTime, FaceMeasures, TickScores, State, Warned, End,
)  # fmt: skip
Line = Annotated[
    Start
    | Event
    | Gap
    | Threshold
    | Marker
    | FrameTime
    | FaceMeasures
    | TickScores
    | State
    | Warned
    | End,
    Field(discriminator="type"),
]
ADAPTER: TypeAdapter[Any] = TypeAdapter(Line)


def schema() -> dict[str, Any]:
    """The JSON Schema of one line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A record of microspot, version {VERSION}",
        **ADAPTER.json_schema(),
    }


def text() -> str:
    """The content of FILE."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    print(text(), end="")
