"""Whether an event's record is `new`, an `update` or the `end` of what was told before."""

from __future__ import annotations

from ..base import JsonRecord


class OpenEvents:
    """What was told of the events that are provisional. Each of them ends, so it stays small."""

    def __init__(self) -> None:
        self._told: dict[str, JsonRecord] = {}  # by id

    def change(self, record: JsonRecord) -> tuple[str, JsonRecord | None]:
        """`new`, `update` (again provisional) or `end`, and what was told last, if anything."""
        before = self._told.pop(record["id"], None)
        if record["status"] != "provisional":
            return "end", before
        self._told[record["id"]] = record
        return "new" if before is None else "update", before
