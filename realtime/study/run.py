"""A data set through the live pipeline, and what of it may be given away: STUDY and CARD."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from microspot.engines.commands.version import package_versions
from microspot.engines.evaluation.cells import LEAST, Least
from microspot.engines.evaluation.metrics.matching import HIT_IOU
from microspot.engines.evaluation.metrics.strs import RULE
from microspot.engines.evaluation.realism.generated import generated
from microspot.engines.evaluation.realism.report import realism
from microspot.engines.loading import load_engines

from ..analyze.run import Progress, Say
from ..analyze.workers import LoadEngines
from ..config import Settings
from ..datasets.protocols import LOSO_THRESHOLDS, ZERO_SHOT, Found, find
from ..datasets.report import PACKAGES, figures
from ..datasets.run import DatasetOptions, Evaluation, evaluate_dataset
from ..errors import DataError, MicrospotError, UsageError
from ..sinks.atomic_file import check_writable, replace_file
from .card import card
from .fine_tuned import FINE_TUNED, check_same, fine_tuned, read_run
from .movement import portraits, real_movements
from .rows import counted, row

SCHEMA = 1
STUDY = "study.json"
CARD = "CARD.md"
BASELINE = "baseline"
SHIPPED = "packaged"  # as `load_engines` names the weights of the package
SYNTHETIC = (
    "The weights are trained on synthetic movement: faces moved by a generator. No spontaneous "
    "micro-expression of a data set was among it."
)
OTHER = "The weights are not those of the package: who trained them must say on what."
PRIVACY = (
    "Aggregates only: nothing of one person or one recording, no frame and no file name. A figure "
    "of a class, a type or a condition that rests on {least} is withheld, and so are others where "
    "it would follow from the total."
)


@dataclass(frozen=True)
class StudyOptions:
    """What a study is made of.

    results: folder of what is of single recordings, where a killed run goes on; it is not to be
    given away and may not lie in the study's own. videos, fps, workers: as of DatasetOptions;
    faces: folder of portraits that generated MEs are shown on, None for the packaged face; folds:
    of a run of `microspot-engines train folds --protocol loso` on this data set, for a row more.
    """

    results: Path
    settings: Settings = field(default_factory=Settings)
    videos: Path | None = None
    fps: float | None = None
    workers: int | None = None
    faces: Path | None = None
    folds: Path | None = None


@dataclass(frozen=True)
class Study:
    """What may be given away, and why it is not of the whole data set: these name recordings."""

    report: dict[str, Any]
    errors: tuple[MicrospotError, ...]


def make_study(
    name: str,
    data: Path,
    out: Path,
    load: LoadEngines,
    options: StudyOptions,
    *,
    least: Least = LEAST,
    progress: Progress = lambda done, total: None,
    say: Say = lambda line: None,
) -> Study:
    """Run a data set and write STUDY and CARD into `out`, the same bytes for the same input.

    load: loads the engines that are studied. least: what a cell rests on. Raises as
    `evaluate_dataset`, and UsageError or DataError for wrong folders.
    """
    _check_folders(out, options.results)
    faces = portraits(options.faces)
    run = None if options.folds is None else read_run(options.folds, name)
    evaluate = partial(_evaluated, name, data, options=options, progress=progress)
    shipped = evaluate(options.results / "weights", load, say=say)
    say("the baseline")
    baseline = evaluate(options.results / BASELINE, partial(load_engines, BASELINE))
    compared = shipped.compared
    if run is not None:
        check_same(run, compared)
    rows = [
        row(ZERO_SHOT, shipped.report, compared, shipped.found, least),
        _loso(shipped, load, options.settings, least),
        row(BASELINE, baseline.report, baseline.compared, baseline.found, least),
    ]
    if run is not None:
        found, weights = fine_tuned(run)
        rows.insert(2, _chosen(FINE_TUNED, shipped, found, load, options.settings, least))
        rows[2]["engines"] |= weights
    say("realism")
    hz = max(round(compared.fps), 1)  # frames of generated MEs are as far apart as the real ones
    report = {
        "schema": SCHEMA,
        "dataset": name,
        "weights": SYNTHETIC if shipped.report["engines"]["name"] == SHIPPED else OTHER,
        "privacy": PRIVACY.format(least=least),
        "least": asdict(least),
        "versions": package_versions(PACKAGES),
        "settings": options.settings.model_dump(mode="json", exclude={"subject"}),
        "holds": counted(compared, least),
        "rows": rows,
        "realism": realism(
            real_movements(compared), lambda count: generated(faces, count, hz), least
        ),
    }
    replace_file(out / STUDY, json.dumps(report, indent=1).encode() + b"\n")
    replace_file(out / CARD, card(report).encode())
    return Study(report, shipped.errors)


def _check_folders(out: Path, results: Path) -> None:
    """Make `out` before anything long runs."""
    if out.resolve() in (results.resolve(), *results.resolve().parents):
        raise UsageError(
            f"--results {results} lies in --out {out}, which is given away: name another"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error
    for file in (STUDY, CARD):
        check_writable(out / file)


def _evaluated(
    name: str,
    data: Path,
    folder: Path,
    load: LoadEngines,
    *,
    options: StudyOptions,
    progress: Progress,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    wanted = DatasetOptions(options.settings, options.videos, options.fps, options.workers)
    return evaluate_dataset(name, data, folder, load, wanted, progress=progress, say=say)


def _loso(
    shipped: Evaluation, load: LoadEngines, settings: Settings, least: Least
) -> dict[str, Any]:
    """The row of thresholds chosen on the other subjects, from what was stored."""
    compared = shipped.compared
    if len({each.recording.subject for each in compared.stored}) < 2:
        return {"row": LOSO_THRESHOLDS, "withheld": "one person alone"}
    with load() as engines:
        found = find(LOSO_THRESHOLDS, compared, settings.spotter(engines.spotter))
    return _chosen(LOSO_THRESHOLDS, shipped, found, load, settings, least)


def _chosen(
    name: str,
    shipped: Evaluation,
    found: Found,
    load: LoadEngines,
    settings: Settings,
    least: Least,
) -> dict[str, Any]:
    """A row whose thresholds were chosen on the other subjects."""
    compared = shipped.compared
    with load() as engines:
        report = figures(compared, found, engines, settings, RULE, HIT_IOU)
    told = row(name, report, compared, found, least)
    return told | {"engines": told["engines"] | {"thresholds": "chosen on the other subjects"}}
