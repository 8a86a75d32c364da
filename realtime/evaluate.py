"""`microspot evaluate`: score with the code that runs live. Same pipeline, same events, then `engines.evaluation.metrics`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from microspot.engines.data.annotations import Interval, read_table
from microspot.engines.evaluation.metrics import match, recognition_report, spotting_report
from microspot.engines.redaction import printable, redact_uri
from microspot.engines.runtime.engine import EngineSet

from .config import Settings
from .errors import DataError, UsageError
from .gaps import joined
from .pipeline import Pipeline, SourceEnd
from .records import DropCause, Event, Frame, Gap, View
from .sources.image_folder import ImageFolder
from .sources.open import Source, open_sources


def evaluate(
    uris: Sequence[str],
    engines: EngineSet,
    settings: Settings,
    *,
    truth: Path | None = None,
    rule: str = "one_to_one",
    iou: float = 0.5,
    fps: float | None = None,
    file_numbers: bool = False,
) -> dict[str, Any]:
    """Precision, recall, F1, false alarms per minute and decision delay of the events on annotated video.

    truth: a table of true intervals whose `video` is the source's name; None takes what the source itself knows
    (sample:synthetic). fps: rate of folders of images; file_numbers: the truth counts by the numbers in the names of
    these, not from 0. Raises UsageError where neither truth is there, DataError for truth beyond the video.

    Truth whose label the engine does not know counts for spotting alone; `labels_left_out` says how often.
    """
    match([], [], rule, iou)  # refuses a wrong rule before any video runs
    known = None if truth is None else read_table(truth)
    wanted: list[Interval] = []
    found: list[Interval] = []
    delays: list[float] = []
    outages: list[Gap] = []
    seconds = 0.0
    for source in open_sources(uris, fps=fps):
        rows = None if known is None else _counted(source, _of_video(source, known), file_numbers)
        seen = observe(source, engines, settings)
        wanted += (
            _known_to(source, seen.times) if rows is None else _within(source, rows, seen.frames)
        )
        found += [as_interval(event) for event in seen.events]
        delays += [(event.emitted_ns - event.offset_ns) / 1e9 for event in seen.events]
        seconds += (seen.times[-1] - seen.times[0]) / 1e9 if seen.times else 0.0
        outages += joined(seen.gaps)
    report = {
        "rule": rule,
        "iou": iou,
        "engines": engines.name,
        "sources": [printable(redact_uri(uri)) for uri in uris],
    }
    report |= spotting_report(
        wanted, found, rule=rule, iou=iou, minutes=seconds / 60, emits=("micro",)
    )
    report |= {"decision_delay_s": round(float(np.median(delays)), 3) if delays else None}
    report |= {"no_evidence": _unseen(outages)}
    if engines.recognizer_spec is None:
        return report
    labels = engines.recognizer_spec.labels
    odd = Counter(row.label for row in wanted if row.label and row.label not in labels)
    named = [replace(row, label=None) if row.label in odd else row for row in wanted]
    return report | recognition_report(named, found, iou) | {"labels_left_out": dict(odd)}


@dataclass(eq=False)
class Observed:
    """What a source gave: final events, capture times (ns) of all its frames, gaps as they were told.

    `frames` is how many it has, damaged ones too.
    """

    events: list[Event] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    frames: int = 0


def observe(source: Source, engines: EngineSet, settings: Settings) -> Observed:
    """Run the pipeline over a source. Raises what the source raises."""
    seen = Observed()
    last = -1

    def note(frame: Frame, _: list[View]) -> None:
        nonlocal last
        seen.times.append(frame.captured_ns)
        last = max(last, frame.index)

    with Pipeline([source], engines, settings, draw=note) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Event) and record.status == "final":
                seen.events.append(record)
            if isinstance(record, Gap):
                seen.gaps.append(record)
            if isinstance(record, SourceEnd) and record.error is not None:
                raise record.error
    seen.frames = last + 1 + source.drops.get(DropCause.DAMAGED, 0)
    return seen


def _unseen(outages: Sequence[Gap]) -> dict[str, float]:
    """For how long faces were out of sight: micro-expressions in these times cannot be found."""
    total_ns = sum(gap.stop_ns - gap.start_ns for gap in outages)
    return {"outages": len(outages), "seconds": round(total_ns / 1e9, 3)}


def as_interval(event: Event) -> Interval:
    """An event as a row of the table format: inclusive source frames."""
    return Interval(
        subject="", video=event.source, onset=event.onset_frame, apex=event.apex_frame,
        offset=event.offset_frame, type="micro", label=event.label, score=event.score,
    )  # fmt: skip


def _some(rows: list[Interval]) -> str:
    names = sorted({row.video for row in rows})
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _of_video(source: Source, known: list[Interval]) -> list[Interval]:
    """The truth of a source, by its name or the stem of it."""
    stem = Path(source.name).stem
    rows = [row for row in known if row.video == source.name] or [
        row for row in known if row.video == stem
    ]
    if not rows:
        raise DataError(
            f"the truth table has no video {source.name!r}: its videos are {_some(known)}"
        )
    return [replace(row, video=source.name) for row in rows]


def _counted(source: Source, rows: list[Interval], file_numbers: bool) -> list[Interval]:
    """`rows` in frames counted from 0. Raises UsageError where names of images give no numbers, DataError beyond."""
    if not file_numbers:
        return rows
    places = _file_numbers(source)
    if not places:
        raise UsageError(
            f"{source.name}: --file-numbers needs a folder of images whose names end in different numbers"
        )
    for row in rows:
        for number in (row.onset, row.apex, row.offset):
            if number is not None and number not in places:
                raise DataError(f"{source.name}: the truth names frame {number}, but no image has that number: they go "
                                f"from {min(places)} to {max(places)}")  # fmt: skip
    return [
        replace(
            row,
            onset=places[row.onset],
            offset=places[row.offset],
            apex=None if row.apex is None else places[row.apex],
        )
        for row in rows
    ]


def _file_numbers(source: Source) -> dict[int, int]:
    """Places of a folder's images by the numbers in which their names end; empty where there are none."""
    if not isinstance(source, ImageFolder):
        return {}
    found = [re.search(r"(\d{1,18})\D*$", file.stem) for file in source.files]
    places = {int(match_[1]): place for place, match_ in enumerate(found) if match_}
    return places if len(places) == len(source.files) else {}


def _within(source: Source, rows: list[Interval], frames: int) -> list[Interval]:
    """`rows`, none of which lies beyond the frames that there are: what cannot be found is no miss."""
    outside = [row for row in rows if row.onset < 0 or row.offset >= frames]
    if not outside:
        return rows
    first, last = min(row.onset for row in outside), max(row.offset for row in outside)
    places, advice = _file_numbers(source), "the first frame is 0"
    if places and all(row.onset in places and row.offset in places for row in rows):
        advice = f"it seems to count by the numbers in the names of the images ({min(places)} first): --file-numbers"
    raise DataError(
        f"truth frames {first}-{last} lie beyond the {frames} frames of {source.name}: {advice}"
    )


def _known_to(source: Source, times: list[int]) -> list[Interval]:
    """What the source itself knows."""
    movements = getattr(source, "truth", None)
    if movements is None:
        raise UsageError(
            f"{source.name} does not know its truth: give --truth TABLE.csv, or use sample:synthetic"
        )
    captured = np.asarray(times)
    rows = []
    for movement in movements:
        if movement.kind not in ("micro", "macro"):
            continue
        onset, apex, offset = (
            int(np.abs(captured - at).argmin())
            for at in (movement.onset_ns, movement.apex_ns, movement.offset_ns)
        )
        rows.append(Interval("", source.name, onset, apex, offset, movement.kind, movement.label3))
    return rows
