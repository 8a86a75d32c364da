"""What `microspot analyze` wrote, as a coder goes through it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ..analyze.one_video import SUMMARY
from ..config import Settings
from ..errors import DataError, UsageError
from ..records import DropCause
from ..sinks.base import JsonRecord
from ..sinks.record_schema import ADAPTER

RECORDS = "events.jsonl"
SHOWN_HZ = 30.0  # of a recording that declares no rate


class NotThereError(UsageError):
    """A video or an event is asked for that is not in the results, or not any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not there: load the page anew")


class EventKey(NamedTuple):
    """Which event: the folder of its video, and its id, which other videos may have too."""

    video: str
    event: str


@dataclass(frozen=True)
class VideoResults:
    """One analysed video.

    folder: the name of its folder; name: as its records call it; address: as `open_source` takes
    it, "" where an earlier version did not write it down; fps: asked of a folder of images; frames:
    how many it has; damaged: how many of these could not be decoded; records: all of it, of which
    events are final ones; settings: of the analysis, None where this version does not know them.
    """

    folder: str
    name: str
    address: str
    fps: float | None
    frames: int
    damaged: int
    records: tuple[JsonRecord, ...] = field(repr=False)
    settings: Settings | None = None

    @property
    def start(self) -> JsonRecord:
        """The `start` record."""
        return next(record for record in self.records if record["type"] == "start")

    @property
    def rate_hz(self) -> float:
        """Frames a second, as it declares."""
        return self.start["sources"][0]["fps"] or SHOWN_HZ

    @cached_property
    def events(self) -> dict[EventKey, JsonRecord]:
        """The `event` records in order of time."""
        found = [record for record in self.records if record["type"] == "event"]
        found.sort(key=lambda record: (record["onset_frame"], record["offset_frame"], record["id"]))
        return {EventKey(self.folder, record["id"]): record for record in found}


def read_video(
    records: Path,
    folder: str,
    address: str,
    fps: float | None = None,
    settings: Settings | None = None,
) -> VideoResults:
    """One video by its records, as `analyze` and the demo write them; the rest as in VideoResults.

    Raises OSError where they cannot be read, ValueError or KeyError where they are others.
    """
    lines = _lines(records.read_text(encoding="utf-8"))
    end = lines[-1]
    damaged = end["drops"].get(DropCause.DAMAGED, 0)
    return VideoResults(
        folder=folder,
        name=end["source"],
        address=address,
        fps=fps,
        frames=end["frames"] + damaged,  # `end` counts those that the analysis was given
        damaged=damaged,
        records=lines,
        settings=settings,
    )


def read_results(results: Path) -> list[VideoResults]:
    """The videos in a folder of `microspot analyze`, by the names of their folders.

    Raises DataError where there are none, and for files that are not of this program.
    """
    summaries = sorted(results.glob(f"*/{SUMMARY}"))
    videos = [_read(path) for path in summaries if not path.parent.name.startswith(".")]
    if not videos:
        raise DataError(
            f"{results}: no analysed video; give the folder of `microspot analyze VIDEO --out DIR`"
        )
    return videos


def find_moved(videos: Iterable[VideoResults], folder: Path) -> dict[str, str]:
    """By a video's folder its address: where it was, or else the file of its name in `folder`."""
    beside = {path.name: path for path in sorted(folder.rglob("*"), reverse=True)}
    found = {}
    for video in videos:
        moved = beside.get(video.name)
        gone = not video.address or not Path(video.address).exists()
        found[video.folder] = str(moved) if gone and moved is not None else video.address
    return found


def _lines(text: str) -> tuple[JsonRecord, ...]:
    """The records of one video, from its `start` to its `end`. Raises ValueError for others."""
    found = tuple(json.loads(line) for line in text.splitlines())
    for record in found:
        ADAPTER.validate_python(record)
    kinds = [record["type"] for record in found]
    if kinds[:1] != ["start"] or kinds[-1:] != ["end"] or len(found[0]["sources"]) != 1:
        raise ValueError("expected the records of one video, from its start to its end")
    return found


def _settings(kept: object) -> Settings | None:
    try:
        return Settings.model_validate(kept)
    except ValidationError:  # none were kept, or another version did
        return None


def _read(summary: Path) -> VideoResults:
    """A video by its summary. Raises DataError."""
    try:
        kept: Mapping[str, object] = json.loads(summary.read_text(encoding="utf-8"))
        made_from = kept["made_from"]
        if not isinstance(made_from, dict):
            raise ValueError("no object")
        return read_video(
            summary.with_name(RECORDS),
            summary.parent.name,
            str(kept.get("address", "")),
            made_from["fps"],
            _settings(made_from.get("settings")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{summary.parent}: its {SUMMARY} or {RECORDS} cannot be read; analyse the video again"
        ) from error
