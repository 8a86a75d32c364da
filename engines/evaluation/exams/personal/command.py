"""Command `microspot-engines exam personal`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .. import SEED


def personal(
    faces: Annotated[Path, typer.Option(help="folder of portraits")],
    engines: Annotated[str | None, typer.Option(help="folder of weights, or baseline")] = None,
    people: Annotated[int, typer.Option(min=1, max=1000, help="each of another face")] = 32,
    seconds: Annotated[float, typer.Option(min=20, max=3600, help="of each at each rate")] = 180.0,
    split: Annotated[str, typer.Option(help="test or validation")] = "test",
    seed: Annotated[int, typer.Option(min=0, help="everything follows from it")] = SEED,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Synthetic people with a rest of their own: a threshold for each against one for all."""
    from ....loading import load_engines
    from .examination import PeoplePlan, examine_personal

    plan = PeoplePlan(people, seconds, split, seed)
    with load_engines(engines) as loaded:
        report = examine_personal(loaded, faces, plan, lambda line: typer.echo(line, err=True))
    typer.echo(json.dumps(report, indent=None if as_json else 1))
