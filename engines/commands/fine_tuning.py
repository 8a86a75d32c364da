"""Command `microspot-engines exam fine-tuning`: an examination that trains."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..evaluation.exams import SEED
from .output import MOST_WORKERS, Json, need, progress


def fine_tuning(
    faces: Annotated[Path, typer.Option(help="folder of portraits")],
    weights: Annotated[
        str, typer.Option(help="packaged, a folder of weights, or a run's .safetensors")
    ] = "packaged",
    config: Annotated[
        Path | None, typer.Option(help="TOML file as of train folds; default: the packaged one")
    ] = None,
    steps: Annotated[
        list[int] | None, typer.Option(min=1, help="in place of the configuration's; repeatable")
    ] = None,
    frozen: Annotated[
        bool, typer.Option("--frozen-encoder", help="CPN and CRN learn, the encoder does not")
    ] = False,
    events: Annotated[int, typer.Option(min=1, max=10_000, help="that are reviewed")] = 30,
    people: Annotated[int, typer.Option(min=2, max=1000, help="each of another face")] = 5,
    skip: Annotated[int, typer.Option(min=0, max=1000, help="people left out first")] = 10,
    seconds: Annotated[float, typer.Option(min=20, max=3600, help="of each recording")] = 180.0,
    split: Annotated[str, typer.Option(help="validation or test")] = "validation",
    seed: Annotated[int, typer.Option(min=0, help="everything follows from it")] = SEED,
    threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_WORKERS, help="CPU threads")
    ] = None,
    as_json: Json = False,
) -> None:
    """Synthetic people with a habit: fine-tuned on reviewed events, spotted before and after."""
    need("torch", "train")
    import torch

    from ..evaluation.exams.memory.examination import MemoryPlan
    from ..reviewed_person.examination import PersonPlan, examine_fine_tuning
    from ..training.fine_tuning.config import DEFAULT, load_config
    from ..training.fine_tuning.networks import Start, Tuner

    start = Start.open(weights)
    chosen = load_config(start.spec, config or DEFAULT)
    if steps:
        chosen = replace(chosen, steps=(0, *steps))
    if frozen:
        chosen = replace(chosen, training=replace(chosen.training, frozen_encoder=True))
    torch.set_num_threads(threads or chosen.training.threads)
    plan = PersonPlan(MemoryPlan(people, skip, seconds, split, seed), events)
    report = examine_fine_tuning(Tuner(start, chosen, say=progress), faces, plan)
    typer.echo(json.dumps(report, indent=None if as_json else 1))
