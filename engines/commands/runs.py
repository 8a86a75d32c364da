"""Commands that train networks and make weights of them: `train`, `ablate` and `export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .output import MOST_MINUTES, MOST_WORKERS, need, progress


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
    need("torch", "train")
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
    need("torch", "train")
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
        progress=progress,
    )
    typer.echo(table(rows))


def export(
    spotter: Annotated[Path, typer.Option(help="run of the spotter")],
    recognizer: Annotated[Path, typer.Option(help="run of the recognizer")],
    out: Annotated[Path, typer.Option(help="folder of weights to write")],
) -> None:
    """Turn two training runs into weights: safetensors, ONNX checked against torch, manifest."""
    need("torch", "train")
    from ..training.package import package

    package(spotter, recognizer, out)
