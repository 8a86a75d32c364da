"""A data set as it was run: its tables, its recordings, what was stored of them, their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.result import Annotations
from microspot.engines.data.layouts import Recording, Recordings

from .stored import Stored
from .truth import LeftOut


@dataclass(frozen=True)
class Compared:
    """A data set as it was run.

    truth: of the recordings that were run, in frames counted from 0; left_out: of the table's rows
    what their recordings do not have; failed: why recordings cannot be read, by subject and video;
    fps: of its folders of images.
    """

    annotations: Annotations
    recordings: Recordings
    stored: Sequence[Stored]
    truth: Sequence[Interval]
    left_out: Sequence[LeftOut]
    failed: dict[tuple[str, str], str]
    fps: float

    def truth_of(self, recording: Recording) -> list[Interval]:
        """The rows of one recording."""
        who = (recording.subject, recording.video)
        return [row for row in self.truth if (row.subject, row.video) == who]

    def minutes(self) -> float:
        """How long the recordings are together."""
        return sum(each.analysis.seconds for each in self.stored) / 60

    def videos(self) -> dict[str, Any]:
        """Which recordings figures are of, and of which rows of the table they are not."""
        rows = self.annotations.intervals
        ran = {(each.recording.subject, each.recording.video) for each in self.stored}
        named = {(row.subject, row.video) for row in rows}
        return {
            "in_table": len(named),
            "run": len(ran),
            "without_rows": len(ran - named),
            "subjects": len({subject for subject, _ in ran}),
            "missing": [_who(*who) for who in self.recordings.missing],
            "unreadable": [_who(*who) | {"reason": reason} for who, reason in self.failed.items()],
            "rows_of_these": sum((row.subject, row.video) not in ran for row in rows),
            "rows_left_out": [each.to_json() for each in self.left_out],
        }


def _who(subject: str, video: str) -> dict[str, str]:
    return {"subject": subject, "video": video}
