"""Command `microspot-engines`: makes, checks and scores the engines, away from any camera."""

from __future__ import annotations

import gc
import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError, UsageError, install
from ..evaluation.exams.clusters import RESAMPLES
from ..evaluation.exams.commands import Person, exam
from ..evaluation.metrics import HIT_IOU
from ..evaluation.rates import OPERATING_POINT, AlarmLimits
from ..tensorrt.commands import COMMANDS
from .datasets import datasets
from .entry_point import run_command, version_option

if TYPE_CHECKING:
    from ..data.annotations import Interval

MOST_WORKERS = 1024
MOST_MINUTES = 1e6  # almost two years

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make, check and score the engines of microspot.",
)
app.add_typer(exam, name="exam")
app.add_typer(datasets, name="annotations")
for name, command in COMMANDS.items():
    app.command(name)(command)
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


@app.callback()
def common_options(version: Annotated[bool, version_option()] = False) -> None:
    """Options that stand before the name of a command."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, which backend would run and why, and what is missing or broken."""
    from ..doctor import examine

    _print(examine(), as_json)


@app.command()
def synthesize(
    faces: Annotated[Path, typer.Option(help="folder of portraits")],
    out: Annotated[Path, typer.Option(help="folder of the set")],
    clips: Annotated[int, typer.Option(min=1, max=10**6, help="clips to render")] = 1400,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="length of a clip")] = 6.0,
    seed: Annotated[int, typer.Option(min=0, help="everything follows from it")] = 7,
    basis: Annotated[
        Path | None, typer.Option(help="external motion basis (.npz) for half of the clips")
    ] = None,
    expressions: Annotated[
        Path | None,
        typer.Option(help="measured expressions (.npz), or video to measure, beside the package's"),
    ] = None,
    backgrounds: Annotated[
        Path | None, typer.Option("--carriers", help="folder of real video to warp movements into")
    ] = None,
    background_share: Annotated[
        float | None,
        typer.Option(
            "--carrier-share", min=0, max=1, help="of the training clips, with --carriers"
        ),
    ] = None,
    person: Person = None,
    even_units: Annotated[
        float,
        typer.Option(min=0, max=1, help="share of the MEs whose action units are drawn evenly"),
    ] = 0.0,
    micros_per_min: Annotated[
        float | None,
        typer.Option(
            "--mes-per-min", min=0, max=120, help="MEs asked for, as far as there is room"
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="processes")
    ] = os.cpu_count() or 1,
) -> None:
    """Render a set of synthetic clips with truth, from any folder of face images."""
    from rich.progress import Progress

    from ..data.generator.synthesize import BACKGROUND_CLIPS, TRAINING_RECIPE, SetOptions
    from ..data.generator.synthesize import synthesize as run

    recipe = replace(TRAINING_RECIPE, families=replace(TRAINING_RECIPE.families, even=even_units))
    if micros_per_min is not None:
        recipe = replace(recipe, micro_per_min=micros_per_min)
    options = SetOptions(
        clips,
        seconds,
        seed,
        recipe=recipe,
        basis=basis,
        backgrounds=backgrounds,
        background_share=BACKGROUND_CLIPS if background_share is None else background_share,
        person=person,
        expressions=expressions,
    )
    with Progress(disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("clips", total=clips)
        run(
            faces,
            out,
            options,
            workers,
            lambda done, total: bar.update(task, completed=done),
            _progress,
        )


@app.command()
def expressions(
    videos: Annotated[Path, typer.Argument(help="a video or a folder of videos")],
    out: Annotated[Path, typer.Option(help=".npz to write")],
    apart: Annotated[
        list[str] | None, typer.Option(help="persons whose fields only validation clips show")
    ] = None,
    person: Person = None,
) -> None:
    """Measure motion fields of real expressions, for synthesize --expressions."""
    from ..data.generator.expressions.library import write_fields
    from ..data.generator.expressions.measuring import measure_folder

    fields = measure_folder(videos, person, apart or [], _progress)
    write_fields(out, fields)
    typer.echo(f"{len(fields)} fields in {out}")


@app.command()
def train(
    network: Annotated[str, typer.Argument(help="spotter or recognizer")],
    data: Annotated[Path, typer.Option(help="a set made by synthesize, or a folder of sets")],
    out: Annotated[Path, typer.Option(help="folder of the run")],
    config: Annotated[
        Path | None, typer.Option(help="TOML file; default: the packaged recipe")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, max=MOST_MINUTES, help="time budget")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_WORKERS, help="CPU threads")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on from the last checkpoint")
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="weights to begin with: a run's .safetensors")
    ] = None,
) -> None:
    """Train one network; progress, checkpoints and a log in OUT."""
    _need("torch", "train")
    if network not in ("spotter", "recognizer"):
        raise UsageError(f"train {network!r}: choose spotter or recognizer")
    from ..training.recognizer.train import run as train_recognizer
    from ..training.spotter.train import run as train_spotter

    train_network = train_spotter if network == "spotter" else train_recognizer
    train_network(
        data,
        out,
        config=config,
        minutes=minutes,
        threads=threads,
        resume=resume,
        weights=weights,
    )


@app.command()
def ablate(
    data: Annotated[Path, typer.Option(help="a set made by synthesize")],
    out: Annotated[Path, typer.Option(help="folder of the runs and of ablation.csv")],
    minutes: Annotated[
        float | None, typer.Option(min=0, max=MOST_MINUTES, help="training time of each run")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="joint steps of each run, in place of a time")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="names of runs; default: all")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="weights that the spotters begin with")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="of all runs; default: the configurations'")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="CPU threads")] = 1,
) -> None:
    """The papers' experiments and trials of the encoder: short trainings, one switch changed each.

    Goes on where it was.
    """
    _need("torch", "train")
    from ..training.ablation import Budget, run_ablation, table
    from ..training.recognizer.data import RecognizerConfig
    from ..training.spotter.config import load_config

    budget = Budget(minutes, steps, weights)
    config = load_config()
    spotter = config if seed is None else replace(config, seed=seed)
    recognizer = RecognizerConfig.read(data, out)
    if seed is not None:
        recognizer = replace(recognizer, seed=seed)
    rows = run_ablation(
        data,
        out,
        budget,
        only,
        threads,
        spotter=spotter,
        recognizer=recognizer,
        progress=_progress,
    )
    typer.echo(table(rows))


def _progress(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def export(
    spotter: Annotated[Path, typer.Option(help="run of the spotter")],
    recognizer: Annotated[Path, typer.Option(help="run of the recognizer")],
    out: Annotated[Path, typer.Option(help="folder of weights to write")],
) -> None:
    """Turn two training runs into weights: safetensors, ONNX checked against torch, manifest."""
    _need("torch", "train")
    from ..training.package import package

    package(spotter, recognizer, out)


@app.command()
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
            found = calibrate_units(loaded, faces, clips=clips, workers=workers, progress=_progress)
        else:
            found = calibrate_on_faces(
                loaded,
                faces,
                clips=clips,
                limits=AlarmLimits(alarms, upper),
                t_crn=t_crn,
                footage=parts,
                workers=workers,
                progress=_progress,
            )
    _print(found, as_json)
    if write and units:
        set_unit_scores(Path(engines), found)
    elif write:
        if not found["within_limits"]:
            raise DataError(
                f"{engines}: not written, for no pair of thresholds keeps the limits; "
                "train further, or allow more with --alarms and --upper"
            )
        set_thresholds(Path(engines), found)


@app.command()
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
    as_json: Json = False,
) -> None:
    """Score tables of intervals (spotting, STRS) or of labels (UF1, UAR, accuracy, confusion)."""
    from ..data.annotations import read_rows, read_table
    from ..evaluation.metrics import score_labels, score_tables
    from ..evaluation.metrics.printing import lines

    if classes is not None and labels is None:
        raise UsageError("--classes is for --labels: leave it out")
    if labels is not None:
        rows = [row for _, row in read_rows(labels, ("fold", "true", "pred"))]
        names = [name.strip() for name in classes.split(",")] if classes else None
        true, said, folds = ([row[key] for row in rows] for key in ("true", "pred", "fold"))
        report = score_labels(true, said, folds, names)
    elif truth is not None and pred is not None:
        with _no_garbage_collection():
            truths = read_table(truth)
            found = read_table(pred)
            minutes = _minutes(videos, {row.video for row in (*truths, *found)}) if videos else None
            report = score_tables(
                truths, found, rule=rule, iou=iou, minutes=minutes, resamples=resamples
            )
            _compare_labels(_labels(truths), _labels(found))
    else:
        raise UsageError("score needs --truth and --pred, or --labels")
    typer.echo(json.dumps(report) if as_json else "\n".join(lines(report)))


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A million rows live until the end: to look for garbage among them takes seconds."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _labels(rows: list[Interval]) -> set[str]:
    return {row.label for row in rows if row.label}


def _compare_labels(truth: set[str], found: set[str]) -> None:
    """Warn where truth and spotted intervals have labels, and none in common."""
    if truth and found and not truth & found:
        _progress(
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


def _need(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"this command needs {package}: {install(extra)}")


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:24} {value}")


def main() -> None:
    """Entry point of `microspot-engines`."""
    run_command(app, "microspot-engines")


if __name__ == "__main__":
    main()
