"""Commands that judge: `calibrate` sets thresholds of weights, `score` compares two tables."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError, UsageError
from ..evaluation.exams.clusters import RESAMPLES
from ..evaluation.exams.commands import Person
from ..evaluation.metrics import HIT_IOU
from ..evaluation.rates import OPERATING_POINT, AlarmLimits
from .output import MOST_WORKERS, Json, print_report, progress

if TYPE_CHECKING:
    from ..data.annotations import Interval
    from ..evaluation.plots import LeftOut, Plot

    Draw = Callable[[], list[Plot | LeftOut]]


def calibrate(
    engines: Annotated[str, typer.Option(help="folder of weights, or baseline")],
    faces: Annotated[Path, typer.Option(help="folder of portraits; its validation faces are used")],
    alarms: Annotated[
        float, typer.Option(min=0, max=1000, help="the operating point: most false alarms a minute")
    ] = OPERATING_POINT.per_min,
    upper: Annotated[
        float, typer.Option(min=0, max=1000, help="most of the upper end of their 95 % interval")
    ] = OPERATING_POINT.high,
    t_crn: Annotated[float, typer.Option(min=0, max=1, help="the lowest T_CRN to choose")] = 0.0,
    footage: Annotated[
        list[Path] | None, typer.Option(help="real video without MEs, on which none may alarm")
    ] = None,
    person: Person = None,
    write: Annotated[
        bool, typer.Option("--write", help="into the manifest of the weights")
    ] = False,
    clips: Annotated[int, typer.Option(min=1, max=10_000, help="clips of a minute")] = 120,
    units: Annotated[
        bool,
        typer.Option(
            "--units", help="scores of action units, at the thresholds that the weights have"
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="processes that render")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Thresholds on minutes of validation faces with one ME each: the most recall within limits.

    With --units scores of action units that are as often right as they say, on minutes of them too.
    """
    from ..data.people import parts_for
    from ..evaluation.exams.tuning import calibrate_on_faces
    from ..evaluation.exams.unit_tuning import calibrate_units
    from ..loading import load_engines
    from ..manifest import set_thresholds, set_unit_scores

    parts = parts_for(footage or [], "tune", person)
    with load_engines(engines) as loaded:
        if units:
            found = calibrate_units(loaded, faces, clips=clips, workers=workers, progress=progress)
        else:
            found = calibrate_on_faces(
                loaded,
                faces,
                clips=clips,
                limits=AlarmLimits(alarms, upper),
                t_crn=t_crn,
                footage=parts,
                workers=workers,
                progress=progress,
            )
    print_report(found, as_json)
    if write and units:
        set_unit_scores(Path(engines), found)
    elif write:
        if not found["within_limits"]:
            raise DataError(
                f"{engines}: not written, for no pair of thresholds keeps the limits; "
                "train further, or allow more with --alarms and --upper"
            )
        set_thresholds(Path(engines), found)


def score(
    truth: Annotated[Path | None, typer.Option(help="table of true intervals")] = None,
    pred: Annotated[Path | None, typer.Option(help="table of spotted intervals")] = None,
    videos: Annotated[
        Path | None, typer.Option(help="table video,fps,frames: enables per-minute figures")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="table fold,true,pred: recognition only")
    ] = None,
    rule: Annotated[str, typer.Option(help="matching rule")] = "one_to_one",
    iou: Annotated[float, typer.Option(help="least IoU of a hit")] = HIT_IOU,
    classes: Annotated[
        str | None,
        typer.Option(help="with --labels: a,b,c whose mean is taken, absent ones counting 0"),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=10**6, help="for intervals over subjects; 0: none")
    ] = RESAMPLES,
    plots: Annotated[
        Path | None, typer.Option(help="new or empty folder: figures as PNG, and a page of them")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score tables of intervals (spotting, STRS) or of labels (UF1, UAR, accuracy, confusion)."""
    from ..evaluation.metrics.printing import lines
    from ..evaluation.plots import check_folder, write_plots

    if classes is not None and labels is None:
        raise UsageError("--classes is for --labels: leave it out")
    if labels is None and (truth is None or pred is None):
        raise UsageError("score needs --truth and --pred, or --labels")
    if plots is not None:
        check_folder(plots)
    if labels is not None:
        report, draw = _score_labels(labels, classes)
    else:
        assert truth is not None
        assert pred is not None
        report, draw = _score_tables(truth, pred, videos, rule, iou, resamples)
    typer.echo(json.dumps(report) if as_json else "\n".join(lines(report)))
    if plots is not None:
        for left_out in write_plots(draw(), plots):
            progress(f"microspot-engines: {left_out}")


def _score_labels(labels: Path, classes: str | None) -> tuple[dict[str, Any], Draw]:
    """The report of a table of labels, and what draws its figures."""
    from ..data.annotations import read_rows
    from ..evaluation.metrics import score_labels
    from ..evaluation.plots import label_plots

    rows = [row for _, row in read_rows(labels, ("fold", "true", "pred"))]
    names = [name.strip() for name in classes.split(",")] if classes else None
    true, said, folds = ([row[key] for row in rows] for key in ("true", "pred", "fold"))
    report = score_labels(true, said, folds, names)
    return report, partial(label_plots, report["confusion"])


def _score_tables(
    truth: Path, pred: Path, videos: Path | None, rule: str, iou: float, resamples: int
) -> tuple[dict[str, Any], Draw]:
    """The report of two tables of intervals, and what draws its figures."""
    from ..data.annotations import read_table
    from ..evaluation.metrics import score_tables
    from ..evaluation.plots import Scored, interval_plots

    with _no_garbage_collection():
        truths = read_table(truth)
        found = read_table(pred)
        minutes = _minutes(videos, {row.video for row in (*truths, *found)}) if videos else None
        report = score_tables(
            truths, found, rule=rule, iou=iou, minutes=minutes, resamples=resamples
        )
        _compare_labels(_labels(truths), _labels(found))
    confusion = report["confusion"]
    scored = Scored(truths, found, rule, iou, minutes=minutes, confusion=confusion)
    return report, partial(interval_plots, scored)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A million rows live until the end: to look for garbage among them takes seconds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()  # they are no garbage now either
            gc.enable()


def _labels(rows: list[Interval]) -> set[str]:
    return {row.label for row in rows if row.label}


def _compare_labels(truth: set[str], found: set[str]) -> None:
    """Warn where truth and spotted intervals have labels, and none in common."""
    if truth and found and not truth & found:
        progress(
            f"microspot-engines: truth labels {', '.join(sorted(truth))} and spotted ones "
            f"{', '.join(sorted(found))} have none in common: map them to one set"
        )


def _minutes(path: Path, scored: set[str]) -> float:
    """Length of all videos of a table, which must list those that are scored. Raises DataError."""
    from ..data.annotations import read_rows

    rows = read_rows(path, ("video", "fps", "frames"))
    try:
        seconds = [float(row["frames"]) / float(row["fps"]) for _, row in rows]
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(f"{path}: frames and fps must be numbers, fps above 0 ({error})") from error
    if not all(0 <= length < math.inf for length in seconds):
        raise DataError(f"{path}: frames and fps must be finite, fps above 0")
    unlisted = sorted(scored - {row["video"] for _, row in rows})
    if unlisted:
        raise DataError(f"{path}: video {unlisted[0]!r} is missing: list all that are scored")
    return sum(seconds) / 60
