"""The notes' experiments: short runs of the existing trainers, each with one switch changed.

OUT/ablation.csv gets a row per finished run, OUT/NAME its files; finished runs are skipped, an
unfinished one goes on. Every run has the same seed, set and minutes, so a slower variant takes
fewer steps: `steps` says how many. Each is judged once, at its end, on the validation clips; no row
is the best of several looks.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
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
from ..networks.mesnet import load_mesnet, steps
from ..reference import propose
from ..runtime.engine import EngineSet
from ..runtime.torch_engine import TorchEngine
from ..specs import SpotterSpec
from .losses import STRATEGIES
from .recognizer.data import RecognizerConfig
from .recognizer.train import train as train_cmnet
from .recognizer.validation import FIGURES as NAMING
from .spotter.config import SpotterTraining, load_config
from .spotter.data import ClipSet
from .spotter.train import CHECKPOINT, Trainer

FILE = "ablation.csv"
BASE_SPOTTER = "spotter-shipped"
CPN_ONLY = "spotter-cpn-only"
BASE_RECOGNIZER = "recognizer-shipped"
SPOTTING = ("f1", "precision", "recall", "false_alarms_per_min", "truths")
COLUMNS = ("name", "minutes", "steps", *SPOTTING, *NAMING)
THREE_WINDOWS = (7, 11, 15)
THREE_DILATIONS = ((1, 2), (2, 3), (3, 4))
# CPN's balanced loss pushes its scores up, so that its best threshold may lie above those that are
# swept for CRN
CPN_GRID = (0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
LAMBDAS = ((0.1, 0.1, 1.0), (1.0, 1.0, 1.0))  # distillation, tendency, classes

Row = dict[str, Any]
Say = Callable[[str], None]


# ---- what is run
# -------------------------------------------------------------------------------------------------


def spotter_runs(base: SpotterTraining) -> dict[str, SpotterTraining]:
    """The spotter's runs by name.

    `spotter-cpn-only` is none: it judges the weights of `spotter-shipped` again.
    """
    spec = base.spec
    return {
        BASE_SPOTTER: base,
        "spotter-still-frame": replace(base, spec=replace(spec, lags_ns=())),  # [S1]'s own input
        "spotter-difference": replace(base, spec=replace(spec, motion="difference")),
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
    changes: dict[str, dict[str, Any]] = {
        "no-distillation": {"coefficients": weights | {"distillation": 0.0}},
        "no-tendency": {"coefficients": weights | {"tendency": 0.0}},
        "classes-only": {"coefficients": weights | {"distillation": 0.0, "tendency": 0.0}},
        "no-ice": {"magnify": False},
        **{f"negatives-{name}": {"strategy": name} for name in STRATEGIES},
        **{
            "lambda-" + "-".join(f"{x:g}" for x in values): {
                "coefficients": dict(
                    zip(("distillation", "tendency", "classes"), values, strict=True)
                )
            }
            for values in LAMBDAS
        },
        "scope-global": {"scope": "global"},
    }
    made = {f"recognizer-{name}": replace(base, **change) for name, change in changes.items()}
    return {BASE_RECOGNIZER: base} | {
        name: config for name, config in made.items() if config != base
    }


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
    """Train and judge every experiment, or those of `names`, for `minutes` each; the rows of OUT/ablation.csv.

    data: a set made by `microspot-engines synthesize`. spotter, recognizer: the configurations to
    start from; None is the shipped one. Sets torch's thread count. Raises UsageError for an unknown
    name, for `spotter-cpn-only` without `spotter-shipped`, and for a folder whose runs had other
    minutes; DataError for an unfit set or table.
    """
    spotters = spotter_runs(spotter or load_config())
    recognizers = recognizer_runs(recognizer or RecognizerConfig.read(data, out, threads=threads))
    every = [
        BASE_SPOTTER,
        CPN_ONLY,
        *(name for name in spotters if name != BASE_SPOTTER),
        *recognizers,
    ]
    done = {row["name"]: row for row in read_rows(out / FILE)}
    wanted = _wanted(every, names, done, minutes)
    torch.set_num_threads(threads)
    for i, name in enumerate(wanted, 1):
        progress(f"{name} ({i}/{len(wanted)})")
        if name == CPN_ONLY:
            found = cpn_only(data, out / BASE_SPOTTER, spotters[BASE_SPOTTER]) | {
                "steps": done[BASE_SPOTTER]["steps"]
            }
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


def _wanted(
    every: Sequence[str], names: Sequence[str] | None, done: Mapping[str, Row], minutes: float
) -> list[str]:
    """The runs still to be made, in the order of `every`."""
    asked = every if names is None else names
    if odd := set(asked) - set(every):
        raise UsageError(
            f"no experiment is called {', '.join(sorted(odd))}: choose from {', '.join(every)}"
        )
    if CPN_ONLY in asked and BASE_SPOTTER not in {*asked, *done}:
        raise UsageError(f"{CPN_ONLY} judges the weights of {BASE_SPOTTER}: name that one too")
    if others := {row["minutes"] for row in done.values()} - {minutes}:
        raise UsageError(
            f"the folder's runs had {sorted(others)[0]:g} minutes, not {minutes:g}: choose another folder"
        )
    return [name for name in every if name in asked and name not in done]


# ---- one run
# -----------------------------------------------------------------------------------------------------


def train_spotter(config: SpotterTraining, data: Path, out: Path, minutes: float, say: Say) -> Row:
    """Steps taken and the figures at the best thresholds on the validation clips."""
    once = replace(config, validate_minutes=float("inf"))
    trainer = Trainer(once, data, out, minutes, say)
    trainer.run(resume=(out / CHECKPOINT).exists())
    return {"steps": trainer.progress.step} | {name: trainer.metrics[name] for name in SPOTTING}


def train_recognizer(config: RecognizerConfig, minutes: float, say: Say) -> Row:
    """Steps taken and the figures on the validation MEs with jittered true intervals; no curve without ICE."""
    figures = train_cmnet(replace(config, validate_epochs=config.epochs), minutes=minutes, say=say)
    curve = {} if config.magnify else {"spearman": None, "apex_error": None}
    with (Path(config.out) / "recognizer.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    return {
        "steps": int(last["step"]),
        **{name: round(value, 4) for name, value in figures.items()},
        **curve,
    }


def cpn_only(data: Path, run: Path, config: SpotterTraining) -> Row:
    """The weights of a run judged without CRN: CPN's windows, unrefined, compete by CPN's own scores [S1 M25-M28]."""
    network = load_mesnet(config.spec, run / "spotter.safetensors")
    every = ClipSet.open(data, config.spec)
    tensors = network.spec.tensors()
    made = {
        part: TorchEngine(form, *tensors[part], name=part) for part, form in steps(network).items()
    }
    engines = EngineSet(
        "ablation", "torch", network.spec, made["encoder"], made["proposer"], made["refiner"]
    )
    scored = []
    for clip in every.split("validation")[: config.validation_clips]:
        features = clip_features(
            every.crops[clip.start : clip.start + len(clip.times_ns)], clip.times_ns, engines
        )
        scores = propose(features, engines)
        truth = to_ticks(
            clip.micro_ns[:, 0], clip.micro_ns[:, 1], int(clip.times_ns[0]), config.spec.grid_hz
        )
        scored.append(Scored(scores, unrefined(scores, config.spec, CPN_GRID[0]), *truth))
    trials = [report_at(scored, replace(config.spec, t_cpn=t, t_crn=t)) for t in CPN_GRID]
    best = max(trials, key=lambda report: (report["f1"], -report["false_alarms_per_min"]))
    return {name: best[name] for name in SPOTTING}


def unrefined(scores: NDArray[np.float32], spec: SpotterSpec, floor: float) -> list[Candidate]:
    """CPN's windows as they stand, from scores (M, T), those of at least `floor`, by end, then scale."""
    passed = np.argwhere((scores >= floor).T)
    return [
        Candidate(
            int(end),
            int(i),
            float(end + 1 - spec.windows[i]),
            float(end + 1),
            float(scores[i, end]),
        )
        for end, i in passed
    ]


# ---- table
# -------------------------------------------------------------------------------------------------------


def read_rows(path: Path) -> list[Row]:
    """The rows of an ablation's table, numbers as numbers, None for empty cells; none where there is no file."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                {
                    key: text if key == "name" else (float(text) if text else None)
                    for key, text in row.items()
                }
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} cannot be read ({error}): choose another folder") from error


def _append(path: Path, row: Row) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def table(rows: Sequence[Row]) -> str:
    """The rows as text: one block for the spotter, one for the recogniser, a dash where there is no figure."""
    blocks = []
    for kind, figures in (("spotter", SPOTTING), ("recognizer", NAMING)):
        chosen = [row for row in rows if row["name"].startswith(kind)]
        cells = [[kind, "steps", *figures]]
        for row in chosen:
            values = [row.get(name) for name in ("steps", *figures)]
            cells.append(
                [
                    row["name"].removeprefix(f"{kind}-"),
                    *("-" if v is None else f"{v:g}" for v in values),
                ]
            )
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join(text.ljust(wide) for text, wide in zip(line, widths, strict=True)).rstrip()
            for line in cells
        ]
        blocks += ["\n".join(lines)] if chosen else []
    return "\n\n".join(blocks)
