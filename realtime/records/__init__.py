"""The records that flow from camera to overlay: frozen, validated at construction.

Each record names the source that it comes from.

Time is stream time: integer nanoseconds since the source's first frame. `index` counts the
source's frames from 0.

source  frames, gaps, and how a source fares; markers
face    its crop, how it stands, its scores, its threshold
event   a micro-expression
view    what pictures show of one face
values  checks of arrays, and numbers as records print them
"""

from .event import UNCERTAIN, Event, Status
from .face import Crop, FaceMeasures, FrameRecord, KeptTick, PersonalState, TickScores
from .source import (
    ConnectionState,
    DropCause,
    Frame,
    FrameTime,
    Gap,
    GapReason,
    Marker,
    Pixels,
    SourceRecord,
    SourceState,
    SourceWarning,
    WarningKind,
)
from .view import View

__all__ = [
    "UNCERTAIN",
    "ConnectionState",
    "Crop",
    "DropCause",
    "Event",
    "FaceMeasures",
    "Frame",
    "FrameRecord",
    "FrameTime",
    "Gap",
    "GapReason",
    "KeptTick",
    "Marker",
    "PersonalState",
    "Pixels",
    "SourceRecord",
    "SourceState",
    "SourceWarning",
    "Status",
    "TickScores",
    "View",
    "WarningKind",
]
