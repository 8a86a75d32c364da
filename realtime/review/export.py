"""The events that a coder accepted, as files of every kind that runs are written to."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from ..errors import DataError, UsageError
from ..sinks.base import JsonRecord
from ..sinks.open import PICTURES, kind_of, open_sink
from ..sources.address import parse
from .added import added_to
from .decisions import ACCEPTED, UNTOUCHED, Decision, decided
from .results import EventKey, VideoResults

DATABASE = ".db"
ID_DIGITS = 16  # hexadecimal, of an event whose video shares its name


def check_export(file: str) -> None:
    """Raise UsageError for an output that is no file of events, DataError for a database there is.

    Events are added to a database, so one that is there would keep what was rejected since.
    """
    kind = kind_of(file)
    if not kind.startswith(".") or kind in PICTURES:
        raise UsageError(f"--export {file}: give a file such as events.csv, events.eaf, events.db")
    if kind == DATABASE and Path(file).exists():
        raise DataError(f"--export {file}: it is there already; remove it or give another name")


def export(
    videos: Sequence[VideoResults],
    decisions: Mapping[EventKey, Decision],
    coder: str,
    files: Sequence[str],
    addresses: Mapping[str, str],
) -> int:
    """Write the accepted events of all videos into each file; how many there are.

    addresses: where the videos lie, by folder, for documents that link to them. Raises UsageError
    for a file of another kind, DataError for a database that is there, and where one cannot be
    written.
    """
    for file in files:
        check_export(file)
    names = _names(videos)
    media = {names[video.folder]: path for video in videos if (path := _file(video, addresses))}
    records = _records(videos, names, decisions, coder)
    with ExitStack() as stack:
        sinks = [stack.enter_context(open_sink(file, media=media)) for file in files]
        for record in records:
            for sink in sinks:
                sink.take(record)
    return sum(record["type"] == "event" for record in records)


def _records(
    videos: Sequence[VideoResults],
    names: Mapping[str, str],
    decisions: Mapping[EventKey, Decision],
    coder: str,
) -> list[JsonRecord]:
    """The records as of one run over all videos, of events the accepted ones as they were left."""
    sources = []
    found: list[JsonRecord] = []
    for video in videos:
        name = names[video.folder]
        sources += [entry | {"source": name} for entry in video.start["sources"]]
        accepted = 0
        for record in _with_added(video, decisions):
            renamed = record | {"source": name}
            if record["type"] == "event":
                decision = decisions.get(EventKey(video.folder, record["id"]), UNTOUCHED)
                if decision.verdict != ACCEPTED:
                    continue
                if name != video.name:
                    renamed["id"] = _own_id(video.folder, record["id"])
                renamed = decided(renamed, decision, coder)
                accepted += 1
            elif record["type"] == "end":
                renamed["events"] = accepted
            if record["type"] != "start":
                found.append(renamed)
    return [videos[0].start | {"sources": sources}, *found]


def _with_added(
    video: VideoResults, decisions: Mapping[EventKey, Decision]
) -> Iterator[JsonRecord]:
    """The records of a video, and before its `end` the events that were added."""
    for record in video.records:
        if record["type"] == "end":
            yield from added_to(video, decisions).values()
        yield record


def _own_id(folder: str, event: str) -> str:
    """An id that other videos of the same name have not: ids are made of a video's name alone."""
    return hashlib.sha256(f"{folder}|{event}".encode()).hexdigest()[:ID_DIGITS]


def _names(videos: Sequence[VideoResults]) -> dict[str, str]:
    """By folder, what a video is called: its name, or the folder's where several share that."""
    counts = Counter(video.name for video in videos)
    return {
        video.folder: video.name if counts[video.name] == 1 else video.folder for video in videos
    }


def _file(video: VideoResults, addresses: Mapping[str, str]) -> Path | None:
    """The video's file, where it is one."""
    address = addresses[video.folder]
    return Path(address) if address and parse(address).kind == "file" else None
