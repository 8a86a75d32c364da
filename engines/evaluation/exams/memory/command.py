"""Command `microspot-engines exam memory`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .. import SEED


def memory(
    faces: Annotated[Path, typer.Option(help="folder of portraits")],
    engines: Annotated[str | None, typer.Option(help="folder of weights, or baseline")] = None,
    people: Annotated[int, typer.Option(min=1, max=1000, help="each of another face")] = 20,
    skip: Annotated[
        int, typer.Option(min=0, max=1000, help="people left out first: the radius is theirs")
    ] = 10,
    seconds: Annotated[float, typer.Option(min=20, max=3600, help="of each recording")] = 90.0,
    split: Annotated[str, typer.Option(help="validation or test")] = "validation",
    seed: Annotated[int, typer.Option(min=0, help="everything follows from it")] = SEED,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Synthetic people with a habit: false alarms with a memory of rejected events, and without."""
    from ....loading import load_engines
    from .examination import MemoryPlan, examine_memory

    plan = MemoryPlan(people, skip, seconds, split, seed)
    with load_engines(engines, labels=None) as loaded:
        report = examine_memory(loaded, faces, plan, lambda line: typer.echo(line, err=True))
    typer.echo(json.dumps(report, indent=None if as_json else 1))
