"""Ablations of both papers' design, and trials of the encoder: short runs, one switch changed each.

OUT/ablation.csv gets a row per finished run, OUT/NAME its files; finished runs are skipped, an
unfinished one is resumed, with the budget that it began with. Every run has the same seed and set,
and the same minutes (a slower variant takes fewer steps: `steps` says how many) or the same steps.
Each is evaluated once, at its end, on the validation clips; no row is the best of several
evaluations. What the spotter's figures are says `ablation_figures`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, UsageError
from ..networks.mesnet import load_mesnet
from ..specs import NUISANCES, SpotterSpec
from .ablation_figures import FIGURES as SPOTTING
from .ablation_figures import cpn_trials, figures, halves_of, score, two_step_trials
from .recognizer.ablation import (
    BASE_RECOGNIZER,
    EXCHANGES,
    exchanged_figures,
    recognizer_runs,
    train_recognizer,
)
from .recognizer.data import RecognizerConfig
from .recognizer.validation import FIGURES as RECOGNITION
from .spotter.config import SpotterTraining, load_config
from .spotter.data import ClipSet
from .spotter.train import CHECKPOINT, Say, Trainer
from .spotter.validation import as_engines
from .warm_start import digest_of

FILE = "ablation.csv"
BUDGET = "budget.txt"  # of a run, in its folder
BASE_SPOTTER = "spotter-shipped"
CPN_ONLY = "spotter-cpn-only"
# Runs whose network is another one than that of given weights, or which are about their absence.
OWN_START = (
    "spotter-still-frame",
    "spotter-difference",
    "spotter-no-pretraining",
    "spotter-three-scales",
)
COLUMNS = ("name", "budget", "steps", *SPOTTING, *RECOGNITION)
THREE_WINDOWS = (7, 11, 15)
THREE_DILATIONS = ((1, 2), (2, 3), (3, 4))
SURROUND_NS = (66_666_667, 166_666_667)  # lags of an ME's rise
SMALL_RIDGE = 2.5e-5  # shows more of a step on flat skin, at a tenth less signal to noise

Row = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What a run may take: `minutes`, or so many joint `steps`; and the weights it begins with.

    Raises UsageError for neither and for both.
    """

    minutes: float | None = None
    steps: int | None = None
    weights: Path | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise UsageError("a run needs --minutes or --steps, one of them")

    @property
    def text(self) -> str:
        """The budget in words, as it stands in the table."""
        length = f"{self.steps} steps" if self.minutes is None else f"{self.minutes:g} minutes"
        return length if self.weights is None else f"{length} from {digest_of(self.weights)[:8]}"


# ---- configurations

# What no encoder without flow can show.
NO_FLOW: dict[str, Any] = {"surround_ns": (), "parallax": False, "certainty": False}


def spotter_runs(base: SpotterTraining) -> dict[str, SpotterTraining]:
    """The spotter's runs by name.

    `spotter-cpn-only` is not one: it evaluates the weights of `spotter-shipped` again.
    """
    spec = base.spec
    return {
        BASE_SPOTTER: base,
        # [S1]'s own input
        "spotter-still-frame": replace(base, spec=replace(spec, lags_ns=(), **NO_FLOW)),
        "spotter-difference": replace(base, spec=replace(spec, motion="difference", **NO_FLOW)),
        "spotter-no-balancing": replace(base, beta_max=1.0),
        # CPN and CRN alone, on an encoder that nothing has trained, would only cost time
        "spotter-no-pretraining": replace(base, pretrain_steps=0, cpn_steps=0, crn_steps=0),
        "spotter-three-scales": replace(
            base, spec=replace(spec, windows=THREE_WINDOWS, dilations=THREE_DILATIONS)
        ),
        **{f"spotter-{name}": replace(base, spec=trial) for name, trial in trials(spec).items()},
    }


def trials(spec: SpotterSpec) -> dict[str, SpotterSpec]:
    """The encoder's trials by name, each what the spec has and one thing more."""
    found = {
        "surround": replace(spec, surround_ns=SURROUND_NS, parallax=True),
        "certainty": replace(spec, certainty=True, ridge=SMALL_RIDGE),
        "fine-grid": replace(spec, grid="fine"),
        "nuisance": replace(spec, nuisance=NUISANCES),
    }
    return {name: trial for name, trial in found.items() if trial != spec}


def run_ablation(
    data: Path,
    out: Path,
    budget: Budget,
    names: Sequence[str] | None = None,
    threads: int = 1,
    *,
    spotter: SpotterTraining | None = None,
    recognizer: RecognizerConfig | None = None,
    progress: Say = lambda line: None,
) -> list[Row]:
    """Train and evaluate every run, or those of `names`, each within `budget`.

    Returns the rows of OUT/ablation.csv. data: a set made by `microspot-engines synthesize`.
    spotter, recognizer: the configurations to start from; None is the shipped one. Sets torch's
    thread count. Raises UsageError for an unknown name, for `spotter-cpn-only` without
    `spotter-shipped`, for a recogniser's run without minutes, for a run that the weights of the
    budget cannot start, and for a folder whose runs had another budget; DataError for an unfit set
    or table.
    """
    spotters = spotter_runs(spotter or load_config())
    recognizers = recognizer_runs(recognizer or RecognizerConfig.read(data, out, threads=threads))
    done = {row["name"]: row for row in read_rows(out / FILE)}
    wanted = _wanted(_every(spotters, recognizers), names, done, budget)
    for name in wanted:
        _check_budget(out / name, budget)
    torch.set_num_threads(threads)
    for i, name in enumerate(wanted, 1):
        progress(f"{name} ({i}/{len(wanted)})")
        (out / name).mkdir(parents=True, exist_ok=True)
        (out / name / BUDGET).write_text(budget.text + "\n", encoding="utf-8")
        if name == CPN_ONLY:
            spec = spotters[BASE_SPOTTER].spec
            found = spotter_figures(data, out / BASE_SPOTTER, spec, refine=False)
            found["steps"] = done[BASE_SPOTTER]["steps"]
        elif name in EXCHANGES:
            settings = _settings_of(recognizers[BASE_RECOGNIZER], data, out / BASE_RECOGNIZER)
            found = exchanged_figures(settings, EXCHANGES[name])
            found["steps"] = done[BASE_RECOGNIZER]["steps"]
        elif name in spotters:
            found = train_spotter(spotters[name], data, out / name, budget, progress)
        else:
            settings = replace(_settings_of(recognizers[name], data, out / name), threads=threads)
            found = train_recognizer(settings, budget.minutes, progress)
        done[name] = {"name": name, "budget": budget.text, **found}
        _append(out / FILE, done[name])
    return read_rows(out / FILE)


def _every(spotters: Iterable[str], recognizers: Iterable[str]) -> list[str]:
    """The names of all runs, in the order in which they are made."""
    others = [name for name in spotters if name != BASE_SPOTTER]
    rest = [name for name in recognizers if name != BASE_RECOGNIZER]
    return [BASE_SPOTTER, CPN_ONLY, *others, BASE_RECOGNIZER, *EXCHANGES, *rest]


def _settings_of(config: RecognizerConfig, data: Path, out: Path) -> RecognizerConfig:
    return replace(config, data=str(data), out=str(out))


def _wanted(
    every: Sequence[str], names: Sequence[str] | None, done: Mapping[str, Row], budget: Budget
) -> list[str]:
    """The runs still to be made, in the order of `every`."""
    asked = every if names is None else names
    unknown = sorted(set(asked) - set(every))
    if unknown:
        raise UsageError(
            f"no experiment is called {', '.join(unknown)}: choose from {', '.join(every)}"
        )
    for again, first in {
        CPN_ONLY: BASE_SPOTTER,
        **dict.fromkeys(EXCHANGES, BASE_RECOGNIZER),
    }.items():
        if again in asked and first not in {*asked, *done}:
            raise UsageError(f"{again} evaluates the weights of {first}: name that one too")
    if budget.minutes is None and any(name.startswith("recognizer") for name in asked):
        raise UsageError(
            "--steps is for the spotter's runs: give --minutes, or name them by --only"
        )
    others = sorted({str(row["budget"]) for row in done.values()} - {budget.text})
    if others:
        raise UsageError(
            f"the folder's runs had {others[0]}, not {budget.text}: choose another folder"
        )
    wanted = [name for name in every if name in asked and name not in done]
    unfit = [name for name in wanted if name in OWN_START]
    if budget.weights is not None and unfit:
        raise UsageError(
            f"--weights cannot start {', '.join(unfit)}: name other runs by --only, or leave it out"
        )
    return wanted


def _check_budget(run: Path, budget: Budget) -> None:
    """Raise UsageError where the folder of a run was begun with another budget."""
    path = run / BUDGET
    if not path.exists():
        return
    begun = path.read_text(encoding="utf-8").strip()
    if begun != budget.text:
        raise UsageError(
            f"{run.name} was begun with {begun}, not {budget.text}: choose another folder"
        )


# ---- one run


def train_spotter(config: SpotterTraining, data: Path, out: Path, budget: Budget, say: Say) -> Row:
    """Train one spotter; steps taken and `ablation_figures` on all validation clips."""
    once = replace(config, validate_minutes=float("inf"))
    if budget.steps is not None:
        once = replace(once, joint_steps=budget.steps)
    resume = (out / CHECKPOINT).exists()
    weights = None if resume else budget.weights
    trainer = Trainer(once, data, out, budget.minutes, say, weights=weights)
    halves_of([clip.face for clip in trainer.data.split("validation")])  # before it takes its time
    trainer.run(resume=resume)
    return {"steps": trainer.progress.step} | spotter_figures(data, out, config.spec)


def spotter_figures(data: Path, run: Path, spec: SpotterSpec, refine: bool = True) -> Row:
    """Figures of the weights of a run, with CRN or by CPN alone [S1 M40]."""
    network = load_mesnet(spec, run / "spotter.safetensors")
    every = ClipSet.open(data, spec)
    engines = as_engines(network, "ablation")
    clips = score(engines, every.split("validation"), every.crops, refine)
    return figures(clips, two_step_trials(spec) if refine else cpn_trials(spec))


# ---- table


def read_rows(path: Path) -> list[Row]:
    """The rows of an ablation's table, numbers as numbers, None for empty cells.

    No rows where there is no file. Raises DataError where it cannot be read or has other columns.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise DataError(f"{path} is a table with other columns: choose another folder")
            return [_parsed(row) for row in reader]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}): choose another folder") from error


def _parsed(row: Mapping[str, str]) -> Row:
    parsed: Row = {}
    for key, text in row.items():
        if key in ("name", "budget"):
            parsed[key] = text
        else:
            parsed[key] = float(text) if text else None
    return parsed


def _append(path: Path, row: Row) -> None:
    """Add a row to the table; the first brings the header."""
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def table(rows: Sequence[Row]) -> str:
    """The rows as text: a block for the spotter, one for the recogniser.

    A dash stands where there is no figure.
    """
    blocks = []
    for kind, columns in (("spotter", SPOTTING), ("recognizer", RECOGNITION)):
        lines = [[kind, "steps", *columns]]
        for row in rows:
            if row["name"].startswith(kind):
                values = [row.get(name) for name in ("steps", *columns)]
                cells = ["-" if value is None else f"{value:g}" for value in values]
                lines.append([row["name"].removeprefix(f"{kind}-"), *cells])
        if len(lines) > 1:
            blocks.append(_aligned(lines))
    return "\n\n".join(blocks)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text with every column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        texts.append("  ".join(cells).rstrip())
    return "\n".join(texts)
