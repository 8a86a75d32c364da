"""What a sink is: a class with `write` for records and `draw` for frames.

Only final events are recorded, unless a sink asks for provisional and withdrawn ones by
`wants_provisional`. `Sink.take`, which `realtime.watch` calls with every record, keeps this rule,
so that no `write` has to know it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from ..meter import Figures
from ..records import Frame, FrameRecord, TickScores, View

JsonRecord = dict[str, Any]  # a JSON line of the command
Write = Callable[[JsonRecord], None]
OF_FRAMES = frozenset({"frame", "face", "scores"})  # records that come with every frame
NONE_OF_FRAMES: frozenset[str] = frozenset()
ENCODER = json.JSONEncoder(allow_nan=False)  # `json.dumps` with an option makes a new one each time


class WrittenRecord(dict[str, Any]):
    """A record on its way to every sink, none of which changes it: its line is made once."""

    @cached_property
    def line(self) -> str:
        """The record as a line of JSON, without its end."""
        return ENCODER.encode(self)


class FrameBatch:
    """Records OF_FRAMES of a few frames, in order, on their way to every sink that wants them."""

    def __init__(self, records: Sequence[FrameRecord]) -> None:
        self.records = records

    def of(self, kinds: Collection[str]) -> list[JsonRecord]:
        """The records of these types, as JSON lines have them."""
        return [record for record in self._as_json if record["type"] in kinds]

    @cached_property
    def score_lines(self) -> list[str]:
        """The JSON lines of the scores, without their ends: made once, for all who send them."""
        return [each.json_line() for each in self.records if isinstance(each, TickScores)]

    @cached_property
    def _as_json(self) -> list[JsonRecord]:
        return [record.to_json() for record in self.records]


class Sink:
    """A context manager for the records of a run and, where `draws` is true, its frames.

    A sink of your own overrides `write`, `draw` or both. wants_provisional: whether provisional and
    withdrawn events are written too; wants_frames: which of the records OF_FRAMES are, which come
    with every frame (asked before every batch, since it may change); stores: whether what
    `write` has returned from is kept, whatever happens to the program; tells: whether whoever reads
    the sink may take a final event for stored, so that it is written after all others; note: what
    the people in front of the camera must be told of this sink; notes: the notes of all sinks of
    the run, which its pictures show (see `announce`); remark: what a person should know of it once
    it is closed.
    """

    wants_provisional = False
    wants_frames: Collection[str] = NONE_OF_FRAMES
    draws = False
    stores = False
    tells = False
    note = ""
    notes: tuple[str, ...] = ()
    remark = ""

    def take(self, record: JsonRecord) -> None:
        """Write a JSON-line record of the command, unless it is one that is not wanted."""
        if record["type"] == "event" and record["status"] != "final" and not self.wants_provisional:
            return
        self.write(record)

    def take_frames(self, batch: FrameBatch) -> None:
        """Write the records of a batch that are wanted; who sends them may do so all at once."""
        for record in batch.of(self.wants_frames):
            self.write(record)

    def write(self, record: JsonRecord) -> None:
        """Take one record; raises DataError when it cannot be written."""

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Take a frame and the views of its faces; raises DataError when it cannot be written."""

    def observe(self, figures: Callable[[], Figures]) -> None:
        """Take what gives the run's figures of now, from any thread; called once, at the start."""

    def reload(self) -> None:
        """Read credentials anew; raises UsageError where they cannot be, and the old ones stay."""

    def close(self) -> None:
        """Finish the output; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def announce(sinks: Sequence[Sink]) -> None:
    """Let every picture say which of the run's sinks store frames or send events away."""
    for sink in sinks:
        sink.notes = tuple(s.note for s in sinks if s.note)


def json_line(record: JsonRecord) -> str:
    """A record as a line of JSON, without its end."""
    return record.line if isinstance(record, WrittenRecord) else ENCODER.encode(record)


def is_marker_in_recording(record: JsonRecord) -> bool:
    """Whether a record is a stimulus marker from after the first frame.

    Files with a time axis of their own leave the others out: their times are negative there.
    """
    return bool(record["type"] == "marker" and record["at_s"] >= 0)


def reason(error: OSError) -> str:
    """What a person is told about an output that failed."""
    if isinstance(error, FileNotFoundError):
        return "its directory does not exist; create it first"
    return error.strerror or str(error)
