"""Command `microspot evaluate`: annotated video, or a whole data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microspot.engines.evaluation.metrics import HIT_IOU

from ..errors import UsageError
from .options import (
    AlarmsPerMin,
    AnySources,
    Backend,
    Cluster,
    Config,
    Engines,
    Json,
    Labels,
    NoLabels,
    Threshold,
    Workers,
)
from .reports import print_report, progress_bar, say

if TYPE_CHECKING:
    from microspot.engines.evaluation.plots import Scored


def evaluate(
    sources: AnySources = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="table of true intervals (subject,video,onset,apex,offset,type,label), or a file "
            "of ELAN, BORIS, Observer XT, Datavyu or Praat"
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="folder of a data set, or its table; with --dataset")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="casme-ii, cas-me-2, samm-lv, …: a wrong one lists all")
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="folder of the data set's recordings; default: --data")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder of the data set's results, where a killed run goes on"),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="folder where aligned crops are kept: pictures of the people, for later runs and "
            "for microspot-engines train"
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="zero-shot (default) | loso-thresholds: chosen on the other subjects"),
    ] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    engines: Engines = None,
    backend: Backend = "auto",
    labels: Labels = "3",
    no_labels: NoLabels = False,
    threshold: Threshold = None,
    alarms_per_min: AlarmsPerMin = None,
    config: Config = None,
    rule: Annotated[str, typer.Option(help="matching rule")] = "one_to_one",
    iou: Annotated[float, typer.Option(help="least IoU of a hit")] = HIT_IOU,
    fps: Annotated[
        float | None,
        typer.Option(help="rate of folders of images (30, or what is known of the data set)"),
    ] = None,
    file_numbers: Annotated[
        bool,
        typer.Option(
            "--file-numbers",
            help="the truth uses the numbers in the names of images, not places counted from 0",
        ),
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(help="new or empty folder: figures as PNG, and a page of them")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the live pipeline over annotated video and score its events.

    sample:synthetic knows its truth; other sources need --truth. With --data and --dataset it is a
    whole data set, read as its authors left it.
    """
    from microspot.engines.loading import load_engines, wanted_labels

    from ..config import Settings

    settings = Settings.load(config, threshold=threshold, alarms_per_min=alarms_per_min)
    load = partial(load_engines, engines, backend, wanted_labels(labels, no_labels))
    if data is None and dataset is None:
        of_sets: dict[str, Any] = {"--videos": videos, "--out": out, "--cache": cache}
        of_sets |= {"--protocol": protocol, "--workers": workers, "--cluster": cluster}
        _check_alone(sources, of_sets)
        _check_plots(plots)
        of_truth = {"truth": truth, "fps": fps, "file_numbers": file_numbers}
        _evaluate_sources(list(sources or []), load, settings, of_truth, rule, iou, plots, as_json)
        return
    if data is None or dataset is None:
        raise UsageError("--data and --dataset go together: the folder, and which data set it is")
    if sources or truth or file_numbers:
        raise UsageError("--data brings its own videos and truth: leave sources and --truth out")
    _check_plots(plots)
    scored: dict[str, Any] = {"rule": rule, "iou": iou, "fps": fps, "videos": videos}
    scored |= {"workers": workers, "cache": cache, "cluster": cluster}
    if protocol is not None:
        scored["protocol"] = protocol
    _evaluate_dataset(dataset, data, out, load, settings, scored, plots, as_json)


def _check_plots(folder: Path | None) -> None:
    """Make the folder of the figures; raises as `check_folder`, before any video runs."""
    if folder is not None:
        from microspot.engines.evaluation.plots import check_folder

        check_folder(folder)


def _check_alone(sources: list[str] | None, options: dict[str, Any]) -> None:
    """Raise UsageError without sources, and for options of data sets beside them."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} is of a data set: give --data and --dataset too")
    if not sources:
        raise UsageError("nothing to evaluate: give a source, or --data and --dataset")


def _evaluate_sources(
    sources: list[str],
    load: Any,
    settings: Any,
    of_truth: dict[str, Any],
    rule: str,
    iou: float,
    plots: Path | None,
    as_json: bool,
) -> None:
    from microspot.engines.evaluation.metrics.matching import check_rule

    from ..evaluate import report_of, run_sources

    check_rule(rule, iou)  # before any video runs
    with load() as loaded:
        pooled = run_sources(sources, loaded, settings, **of_truth)
        report = report_of(pooled, sources, loaded, rule, iou)
        known = loaded.recognizer_spec.labels if loaded.recognizer_spec else ()
    _print(report, known, as_json)
    if plots is not None:
        from .evaluation_plots import of_sources

        _draw(plots, of_sources(pooled, report))


def _evaluate_dataset(
    name: str,
    data: Path,
    out: Path | None,
    load: Any,
    settings: Any,
    scored: dict[str, Any],
    plots: Path | None,
    as_json: bool,
) -> None:
    from ..datasets.run import DatasetOptions, evaluate_dataset

    options = DatasetOptions(settings, **scored)
    with results_folder(out) as folder, progress_bar() as progress:
        made = evaluate_dataset(name, data, folder, load, options, progress=progress, say=say)
    _print(made.report, made.report["engines"]["labels"] or (), as_json)
    if plots is not None:
        from .evaluation_plots import of_dataset

        _draw(plots, of_dataset(made))
    raise typer.Exit(max((error.exit_code for error in made.errors), default=0))


def _draw(folder: Path, scored: Scored) -> None:
    """Write the figures, and say which are left out."""
    from microspot.engines.evaluation.plots import interval_plots, write_plots

    for left_out in write_plots(interval_plots(scored), folder):
        say(str(left_out))


@contextmanager
def results_folder(out: Path | None) -> Iterator[Path]:
    """The folder of the results; without one that was asked for, nothing is kept."""
    if out is not None:
        yield out
        return
    with TemporaryDirectory(prefix="microspot-") as kept_until_the_end:
        yield Path(kept_until_the_end)


def _print(report: dict[str, Any], known: Sequence[str], as_json: bool) -> None:
    """Print a report; say which labels of the truth the engine does not know."""
    from microspot.engines.evaluation.metrics.printing import rounded

    print_report(report if as_json else rounded(report), as_json)
    if report.get("labels_left_out") and known:
        unknown = ", ".join(repr(label) for label in report["labels_left_out"])
        other = 5 if len(known) == 3 else 3
        say(
            f"truth labels {unknown} are not among those of this engine ({', '.join(known)}): "
            f"they count for spotting alone; map them to these, or try --labels {other}"
        )
