"""`microspot evaluate`: the live pipeline on annotated video, its events scored.

Events come from the code that runs live, figures from `engines.evaluation.metrics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from microspot.engines.data.annotations import Interval
from microspot.engines.data.coded.pairing import CodedInterval
from microspot.engines.evaluation.metrics import (
    HIT_IOU,
    RULES,
    recognition_report,
    spotting_report,
)
from microspot.engines.evaluation.metrics.delays import delay_report
from microspot.engines.evaluation.metrics.matching import check_rule
from microspot.engines.evaluation.metrics.report import FRAMES, POOLED
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.text.redaction import printable, redact_uri

from .config import Settings
from .gaps import joined
from .pipeline import Pipeline, SourceEnd
from .records import DropCause, Event, Frame, Gap, View
from .sources.open import Source, open_sources
from .sources.truth import Truth, counted_from_0, in_frames, known_to, of_video, read_truth, within

EMITS = ("micro",)  # types of intervals that the pipeline spots


def evaluate(
    uris: Sequence[str],
    engines: EngineSet,
    settings: Settings,
    *,
    truth: Path | None = None,
    rule: str = "one_to_one",
    iou: float = HIT_IOU,
    fps: float | None = None,
    file_numbers: bool = False,
) -> dict[str, Any]:
    """Precision, recall, F1, false alarms per minute and decision delay of the live pipeline.

    truth: a table of true intervals whose `video` is the source's name, or a file of a coding tool
    (see `engines.data.coded`); None takes what the source itself knows (sample:synthetic). fps:
    rate of folders of images; file_numbers: the truth uses the numbers in the names of these
    images, not places counted from 0. Raises UsageError where neither truth is there, DataError for
    truth beyond the video.

    Truth counts for spotting alone where it has no label, or one that the engine does not know:
    `unlabelled` and `labels_left_out` say how often.
    """
    check_rule(rule, iou)  # before any video runs
    pooled = run_sources(uris, engines, settings, truth=truth, fps=fps, file_numbers=file_numbers)
    return report_of(pooled, uris, engines, rule, iou)


def run_sources(
    uris: Sequence[str],
    engines: EngineSet,
    settings: Settings,
    *,
    truth: Path | None = None,
    fps: float | None = None,
    file_numbers: bool = False,
) -> Pooled:
    """The first half of `evaluate`: truth and events of all sources. Raises as it does."""
    table = None if truth is None else read_truth(truth)
    pooled = Pooled()
    for source in open_sources(uris, fps=fps):
        pooled.add(*_watch(source, table, engines, settings, file_numbers))
    return pooled


def report_of(
    pooled: Pooled, uris: Sequence[str], engines: EngineSet, rule: str, iou: float
) -> dict[str, Any]:
    """The second half of `evaluate`: figures of what `run_sources` gave."""
    report = {
        "rule": rule,
        "iou": iou,
        "protocol": {"counts": RULES[rule], "frames": FRAMES, "pooling": POOLED},
        "engines": engines.name,
        "sources": [printable(redact_uri(uri)) for uri in uris],
    }
    report |= pooled.spotting(rule, iou)
    if engines.recognizer_spec is not None and engines.emotions:
        labels = engines.recognizer_spec.labels
        report |= _recognition(pooled.wanted, pooled.found, iou, labels)
    return report


def _watch(
    source: Source,
    table: Truth | None,
    engines: EngineSet,
    settings: Settings,
    file_numbers: bool,
) -> tuple[list[Interval], Observed]:
    """The truth of a source, from `table` or its own, and what the pipeline gives on it.

    Truth that does not fit the names of images is refused before the pipeline runs.
    """
    if table is None:
        classes = len(engines.recognizer_spec.labels) if engines.recognizer_spec else 3
        observed = observe(source, engines, settings)
        return known_to(source, observed.times, classes), observed
    coded = [row for row in table if isinstance(row, CodedInterval)]
    if coded:
        coded = of_video(source, coded)
        observed = observe(source, engines, settings)
        return in_frames(source, coded, observed.times), observed
    framed = [row for row in table if isinstance(row, Interval)]
    rows = counted_from_0(source, of_video(source, framed), file_numbers)
    observed = observe(source, engines, settings)
    return within(source, rows, observed.frames), observed


def _recognition(
    wanted: list[Interval], found: list[Interval], iou: float, labels: Sequence[str]
) -> dict[str, Any]:
    """Figures of recognition; truth with a label that is not among `labels` is left out."""
    named, left_out = known_labels(wanted, labels)
    return recognition_report(named, found, iou) | left_out


def known_labels(
    wanted: Sequence[Interval], labels: Sequence[str]
) -> tuple[list[Interval], dict[str, Any]]:
    """The rows without the labels that are not among `labels`, and how often that is so.

    `labels_left_out` counts them by name, `unlabelled` the rows that had none.
    """
    unknown = Counter(row.label for row in wanted if row.label and row.label not in labels)
    named = [replace(row, label=None) if row.label in unknown else row for row in wanted]
    unlabelled = sum(row.label is None for row in wanted)
    return named, {"labels_left_out": dict(unknown), "unlabelled": unlabelled}


@dataclass(eq=False)
class Observed:
    """What a source gave.

    events: final ones; times: capture times (ns) of all its frames; gaps: as they were reported;
    frames: how many it has, damaged ones included.
    """

    events: list[Event] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    frames: int = 0


@dataclass(eq=False)
class Pooled:
    """Truth and events of all sources together, and for how long these were watched."""

    wanted: list[Interval] = field(default_factory=list)
    found: list[Interval] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    outages: list[Gap] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, truth: list[Interval], observed: Observed) -> None:
        """Add one source."""
        self.wanted += truth
        self.found += [as_interval(event) for event in observed.events]
        self.delays_s += [(event.emitted_ns - event.offset_ns) / 1e9 for event in observed.events]
        self.outages += joined(observed.gaps)
        if observed.times:
            self.seconds += (observed.times[-1] - observed.times[0]) / 1e9

    @property
    def minutes(self) -> float:
        """For how long all sources were watched."""
        return self.seconds / 60

    def spotting(self, rule: str, iou: float) -> dict[str, Any]:
        """Figures of spotting, decision delay and time without evidence."""
        figures = spotting_report(
            self.wanted,
            self.found,
            rule=rule,
            iou=iou,
            minutes=self.minutes,
            emits=EMITS,
        )
        return figures | {
            "decision_delay_s": self.decision_delay_s(),
            "decision_delay": delay_report(self.delays_s),
            "no_evidence": time_without_evidence(self.outages),
        }

    def decision_delay_s(self) -> float | None:
        """Median time from an event's offset to its decision; None without events."""
        return float(np.median(self.delays_s)) if self.delays_s else None


def observe(source: Source, engines: EngineSet, settings: Settings) -> Observed:
    """Run the pipeline over a source. Raises what the source raises."""
    observed = Observed()
    last_index = -1

    def keep_time(frame: Frame, _: list[View]) -> None:
        nonlocal last_index
        observed.times.append(frame.captured_ns)
        last_index = max(last_index, frame.index)

    with Pipeline([source], engines, settings, draw=keep_time) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Event) and record.status == "final":
                observed.events.append(record)
            if isinstance(record, Gap):
                observed.gaps.append(record)
            if isinstance(record, SourceEnd) and record.error is not None:
                raise record.error
    observed.frames = last_index + 1 + source.drops.get(DropCause.DAMAGED, 0)
    return observed


def time_without_evidence(outages: Sequence[Gap]) -> dict[str, float]:
    """For how long faces were not used: micro-expressions in these times cannot be found."""
    total_ns = sum(gap.stop_ns - gap.start_ns for gap in outages)
    return {"outages": len(outages), "seconds": round(total_ns / 1e9, 3)}


def as_interval(event: Event) -> Interval:
    """An event as a row of the table format: inclusive source frames."""
    return Interval(
        subject="",
        video=event.source,
        onset=event.onset_frame,
        apex=event.apex_frame,
        offset=event.offset_frame,
        type="micro",
        label=event.label,
        score=event.score,
    )
