"""What `analyze` wrote of a recording, read back: events, outages, frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microspot.engines.data.annotations import Interval
from microspot.engines.data.layouts import Recording
from microspot.engines.evaluation.stored_scores import VideoScores, read_scores

from ..analyze.one_video import EVENTS, KEPT, Analysis
from ..errors import DataError
from ..gaps import joined
from ..records import DropCause, Gap


@dataclass(frozen=True)
class Stored:
    """A recording that was analysed.

    folder: where it lies; events: the final `event` records; gaps: outages; frames: how many the
    recording has, damaged ones included.
    """

    recording: Recording
    analysis: Analysis
    folder: Path
    events: tuple[dict[str, Any], ...]
    gaps: tuple[Gap, ...]
    frames: int

    def intervals(self, fps: float | None) -> list[Interval]:
        """The events as rows of the table format, under the data set's names."""
        return [
            Interval(
                self.recording.subject,
                self.recording.video,
                event["onset_frame"],
                event["apex_frame"],
                event["offset_frame"],
                "micro",
                event["label"],
                event["score"],
                fps,
            )
            for event in self.events
        ]

    def scores(self) -> VideoScores:
        """The scores for thresholds that are chosen later. Raises DataError where they are gone."""
        return read_scores(self.folder / KEPT)

    def delays_s(self) -> list[float]:
        """Seconds from the end of each event to its decision."""
        return [event["emitted_s"] - event["offset_s"] for event in self.events]


def read_stored(recording: Recording, analysis: Analysis, out: Path) -> Stored:
    """What lies of a recording in a folder of results. Raises DataError where it was changed."""
    folder = out / analysis.folder
    path = folder / EVENTS
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        events = tuple(record for record in records if record["type"] == "event")
        gaps = [_gap(record) for record in records if record["type"] == "gap"]
        damaged = sum(
            record["drops"].get(DropCause.DAMAGED, 0)
            for record in records
            if record["type"] == "end"
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: {error}; remove its folder to have it made anew") from error
    return Stored(
        recording, analysis, folder, events, tuple(joined(gaps)), analysis.frames + damaged
    )


def _gap(record: dict[str, Any]) -> Gap:
    start_ns, stop_ns = (round(record[name] * 1e9) for name in ("start_s", "stop_s"))
    return Gap(record["source"], record["face"], start_ns, stop_ns, record["reason"])
