"""Commands that train networks and make weights of them: `train`, `ablate` and `export`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .output import MOST_MINUTES, MOST_WORKERS, Json, need, progress

train = typer.Typer(help="Train networks; progress, checkpoints and a log in OUT.")

Data = Annotated[Path, typer.Option(help="a set made by synthesize, or a folder of sets")]
Out = Annotated[Path, typer.Option(help="folder of the run")]
Config = Annotated[Path | None, typer.Option(help="TOML file; default: the packaged recipe")]
Minutes = Annotated[float | None, typer.Option(min=0, max=MOST_MINUTES, help="time budget")]
Threads = Annotated[int | None, typer.Option(min=1, max=MOST_WORKERS, help="CPU threads")]
Resume = Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint")]
Begin = Annotated[
    Path | None, typer.Option("--weights", help="weights to begin with: a run's .safetensors")
]


@train.command()
def spotter(
    data: Data,
    out: Out,
    config: Config = None,
    minutes: Minutes = None,
    threads: Threads = None,
    resume: Resume = False,
    weights: Begin = None,
) -> None:
    """Train the network that finds micro-expressions."""
    need("torch", "train")
    from ..training.spotter.train import run

    run(
        data,
        out,
        config=config,
        minutes=minutes,
        threads=threads,
        resume=resume,
        weights=weights,
    )


@train.command()
def recognizer(
    data: Data,
    out: Out,
    config: Config = None,
    minutes: Minutes = None,
    threads: Threads = None,
    resume: Resume = False,
    weights: Begin = None,
) -> None:
    """Train the network that names them."""
    need("torch", "train")
    from ..training.recognizer.train import run

    run(
        data,
        out,
        config=config,
        minutes=minutes,
        threads=threads,
        resume=resume,
        weights=weights,
    )


@train.command()
def folds(
    data: Annotated[
        list[Path],
        typer.Option(
            help="folder of microspot evaluate --cache; again for more, and for synthetic sets "
            "that every fold trains on too"
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder of the results, where a killed run goes on")],
    protocol: Annotated[
        str, typer.Option(help="loso | hold-out | cross-database | composite")
    ] = "loso",
    weights: Annotated[
        str, typer.Option(help="packaged, a folder of weights, or a run's .safetensors")
    ] = "packaged",
    config: Config = None,
    share: Annotated[
        float | None, typer.Option(help="hold-out: share of the subjects that are tested")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="hold-out: of the draw; default: 0")
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Fine-tune the spotter on some people of a data set and test it on the others."""
    need("torch", "train")
    from ..training.fine_tuning.config import DEFAULT
    from ..training.fine_tuning.finished import TABLE
    from ..training.fine_tuning.protocols import HOLD_OUT, TEST_SHARE
    from ..training.fine_tuning.run import PACKAGES, FoldOptions, run_folds
    from .version import package_versions

    if protocol != HOLD_OUT and (share, seed) != (None, None):
        raise UsageError(f"--share and --seed are of --protocol {HOLD_OUT}: leave them out")
    if share is not None and not 0 < share < 1:
        raise UsageError(f"--share {share:g}: expected more than 0, less than 1")
    options = FoldOptions(
        protocol,
        weights,
        config or DEFAULT,
        TEST_SHARE if share is None else share,
        seed or 0,
        threads,
        package_versions(PACKAGES),
    )
    report = run_folds(data, out, options, progress)
    text = json.dumps(report) if as_json else (out / TABLE).read_text(encoding="utf-8")
    typer.echo(text.rstrip())


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
