"""Ablations of both papers' design: short runs of the trainers, each with one switch changed.

OUT/ablation.csv gets a row per finished run, OUT/NAME its files; finished runs are skipped, an
unfinished one is resumed. Every run has the same seed, set and minutes, so a slower variant takes
fewer steps: `steps` says how many. Each is evaluated once, at its end, on the validation clips; no
row is the best of several evaluations.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..clips import to_ticks
from ..errors import DataError, UsageError
from ..evaluation.calibration import Scored, clip_features, report_at
from ..intervals import Candidate
from ..networks.mesnet import load_mesnet
from ..reference import propose
from ..specs import SpotterSpec
from .losses import STRATEGIES
from .recognizer.data import RecognizerConfig
from .recognizer.train import train as train_cmnet
from .recognizer.validation import FIGURES as RECOGNITION
from .spotter.config import SpotterTraining, load_config
from .spotter.data import ClipSet
from .spotter.train import CHECKPOINT, Say, Trainer
from .spotter.validation import FIGURES as SPOTTING
from .spotter.validation import as_engines

FILE = "ablation.csv"
BASE_SPOTTER = "spotter-shipped"
CPN_ONLY = "spotter-cpn-only"
BASE_RECOGNIZER = "recognizer-shipped"
COLUMNS = ("name", "minutes", "steps", *SPOTTING, *RECOGNITION)
THREE_WINDOWS = (7, 11, 15)
THREE_DILATIONS = ((1, 2), (2, 3), (3, 4))
# T_CPN without CRN: CPN's balanced loss pushes its scores up, so that its best threshold may lie
# above those that are swept for CRN.
CPN_GRID = (0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
LAMBDAS = ((0.1, 0.1, 1.0), (1.0, 1.0, 1.0))  # distillation, tendency, classes

Row = dict[str, Any]


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
    }


def recognizer_runs(base: RecognizerConfig) -> dict[str, RecognizerConfig]:
    """The recogniser's runs by name; what equals the base is left out."""
    weights = base.coefficients
    lambdas = {}
    for values in LAMBDAS:
        name = "lambda-" + "-".join(f"{x:g}" for x in values)
        pairs = zip(("distillation", "tendency", "classes"), values, strict=True)
        lambdas[name] = {"coefficients": dict(pairs)}
    changes: dict[str, dict[str, Any]] = {
        "no-distillation": {"coefficients": weights | {"distillation": 0.0}},
        "no-tendency": {"coefficients": weights | {"tendency": 0.0}},
        "classes-only": {"coefficients": weights | {"distillation": 0.0, "tendency": 0.0}},
        "no-ice": {"magnify": False},
        **{f"negatives-{name}": {"strategy": name} for name in STRATEGIES},
        **lambdas,
        "scope-global": {"scope": "global"},
    }
    runs = {BASE_RECOGNIZER: base}
    for name, change in changes.items():
        config = replace(base, **change)
        if config != base:
            runs[f"recognizer-{name}"] = config
    return runs


def run_ablation(
    data: Path,
    out: Path,
    minutes: float,
    names: Sequence[str] | None = None,
    threads: int = 1,
    *,
    spotter: SpotterTraining | None = None,
    recognizer: RecognizerConfig | None = None,
    progress: Say = lambda line: None,
) -> list[Row]:
    """Train and evaluate every run, or those of `names`, for `minutes` each.

    Returns the rows of OUT/ablation.csv. data: a set made by `microspot-engines synthesize`.
    spotter, recognizer: the configurations to start from; None is the shipped one. Sets torch's
    thread count. Raises UsageError for an unknown name, for `spotter-cpn-only` without
    `spotter-shipped`, and for a folder whose runs had other minutes; DataError for an unfit set or
    table.
    """
    spotters = spotter_runs(spotter or load_config())
    recognizers = recognizer_runs(recognizer or RecognizerConfig.read(data, out, threads=threads))
    done = {row["name"]: row for row in read_rows(out / FILE)}
    wanted = _wanted(_every(spotters, recognizers), names, done, minutes)
    torch.set_num_threads(threads)
    for i, name in enumerate(wanted, 1):
        progress(f"{name} ({i}/{len(wanted)})")
        if name == CPN_ONLY:
            found = cpn_only(data, out / BASE_SPOTTER, spotters[BASE_SPOTTER])
            found["steps"] = done[BASE_SPOTTER]["steps"]
        elif name in spotters:
            found = train_spotter(spotters[name], data, out / name, minutes, progress)
        else:
            settings = replace(
                recognizers[name], data=str(data), out=str(out / name), threads=threads
            )
            found = train_recognizer(settings, minutes, progress)
        done[name] = {"name": name, "minutes": minutes, **found}
        _append(out / FILE, done[name])
    return read_rows(out / FILE)


def _every(spotters: Iterable[str], recognizers: Iterable[str]) -> list[str]:
    """The names of all runs, in the order in which they are made."""
    others = [name for name in spotters if name != BASE_SPOTTER]
    return [BASE_SPOTTER, CPN_ONLY, *others, *recognizers]


def _wanted(
    every: Sequence[str], names: Sequence[str] | None, done: Mapping[str, Row], minutes: float
) -> list[str]:
    """The runs still to be made, in the order of `every`."""
    asked = every if names is None else names
    unknown = sorted(set(asked) - set(every))
    if unknown:
        raise UsageError(
            f"no experiment is called {', '.join(unknown)}: choose from {', '.join(every)}"
        )
    if CPN_ONLY in asked and BASE_SPOTTER not in {*asked, *done}:
        raise UsageError(f"{CPN_ONLY} evaluates the weights of {BASE_SPOTTER}: name that one too")
    others = sorted({row["minutes"] for row in done.values()} - {minutes})
    if others:
        raise UsageError(
            f"the folder's runs had {others[0]:g} minutes, not {minutes:g}: choose another folder"
        )
    return [name for name in every if name in asked and name not in done]


# ---- one run


def train_spotter(config: SpotterTraining, data: Path, out: Path, minutes: float, say: Say) -> Row:
    """Train one spotter; steps taken and the figures at the best thresholds on validation clips."""
    once = replace(config, validate_minutes=float("inf"))
    trainer = Trainer(once, data, out, minutes, say)
    trainer.run(resume=(out / CHECKPOINT).exists())
    return {"steps": trainer.progress.step} | {name: trainer.metrics[name] for name in SPOTTING}


def train_recognizer(config: RecognizerConfig, minutes: float, say: Say) -> Row:
    """Train one recogniser; steps taken and the figures on the validation MEs.

    Their intervals are jittered true ones. Without ICE there is no intensity curve to evaluate.
    """
    figures = train_cmnet(replace(config, validate_epochs=config.epochs), minutes=minutes, say=say)
    with (Path(config.out) / "recognizer.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    row: Row = {"steps": int(last["step"])}
    row |= {name: round(value, 4) for name, value in figures.items()}
    if not config.magnify:
        row |= {"spearman": None, "apex_error": None}
    return row


def cpn_only(data: Path, run: Path, config: SpotterTraining) -> Row:
    """Evaluate the weights of a run without CRN [S1 M25-M28].

    CPN's windows, unrefined, compete by CPN's own scores.
    """
    network = load_mesnet(config.spec, run / "spotter.safetensors")
    every = ClipSet.open(data, config.spec)
    engines = as_engines(network, "ablation")
    scored = []
    for clip in every.split("validation")[: config.validation_clips]:
        crops = every.crops[clip.start : clip.start + len(clip.times_ns)]
        scores = propose(clip_features(crops, clip.times_ns, engines), engines)
        origin = int(clip.times_ns[0])
        truth = to_ticks(clip.micro_ns[:, 0], clip.micro_ns[:, 1], origin, config.spec.grid_hz)
        scored.append(Scored(scores, unrefined_windows(scores, config.spec, CPN_GRID[0]), *truth))
    trials = [report_at(scored, replace(config.spec, t_cpn=t, t_crn=t)) for t in CPN_GRID]
    best = max(trials, key=lambda report: (report["f1"], -report["false_alarms_per_min"]))
    return {name: best[name] for name in SPOTTING}


def unrefined_windows(
    scores: NDArray[np.float32], spec: SpotterSpec, threshold: float
) -> list[Candidate]:
    """CPN's windows of at least `threshold`, unrefined, from scores (M, T); by end, then scale."""
    windows = []
    for end, scale in np.argwhere((scores >= threshold).T):
        start = float(end + 1 - spec.windows[scale])
        score = float(scores[scale, end])
        windows.append(Candidate(int(end), int(scale), start, float(end + 1), score))
    return windows


# ---- table


def read_rows(path: Path) -> list[Row]:
    """The rows of an ablation's table, numbers as numbers, None for empty cells.

    No rows where there is no file. Raises DataError where it cannot be read.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_parsed(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}): choose another folder") from error


def _parsed(row: Mapping[str, str]) -> Row:
    parsed: Row = {}
    for key, text in row.items():
        if key == "name":
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
    for kind, figures in (("spotter", SPOTTING), ("recognizer", RECOGNITION)):
        lines = [[kind, "steps", *figures]]
        for row in rows:
            if row["name"].startswith(kind):
                values = [row.get(name) for name in ("steps", *figures)]
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
