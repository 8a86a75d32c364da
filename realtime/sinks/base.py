"""What a sink is: records through `write`, frames through `draw`.

A sink takes the JSON-line records of the command (start, event, gap, state, end) through `write`; those that draw
also take frames through `draw`. Only final events are recorded: a sink that wants provisional and withdrawn ones
says so (`wants_provisional`), and the filter sits here, so that no caller can forget it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from ..records import Frame, View

Write = Callable[[dict[str, Any]], None]


class Sink:
    """A context manager that takes records and, where `draws` is true, frames with what is known of their faces."""

    wants_provisional = False
    draws = False
    note = ""  # what the people in front of the camera must be told of this sink
    notes: tuple[str, ...] = ()  # what its own pictures tell; see `announce`

    def write(self, record: dict[str, Any]) -> None:
        """Take one record; raises DataError when it cannot be written."""

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Take one frame and the views of its faces; raises DataError when it cannot be written."""

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


def unwanted(record: dict[str, Any], provisional: bool) -> bool:
    """Whether `record` is an event that a sink without provisional events leaves out."""
    return record["type"] == "event" and record["status"] != "final" and not provisional


def announce(sinks: Sequence[Sink]) -> None:
    """Let every picture say which of the run's sinks store frames or send events away (architecture 9)."""
    for sink in sinks:
        sink.notes = tuple(s.note for s in sinks if s.note)
