"""Command `microspot fleet simulate`: a day of a large fleet, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .options import Json
from .reports import print_report


def simulate(
    scenario: Annotated[
        str,
        typer.Argument(
            help="nodes | racks | pinned | drains | slow-supervisor | supervisor-restarts | "
            "late-news | no-spare"
        ),
    ] = "nodes",
    cameras: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="default: 10000")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, max=10_000, help="default: 200")] = None,
    node_cameras: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="that a node carries; default: 60")
    ] = None,
    pinned: Annotated[
        float | None, typer.Option(min=0, max=1, help="share of cameras pinned to a host")
    ] = None,
    hours: Annotated[float | None, typer.Option(min=0.01, max=1000, help="default: 24")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="default: 0")] = None,
    times: Annotated[
        Path | None, typer.Option(help="TOML file of how long things take, in s")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the fleet's supervisor over machines and cameras that exist in numbers alone.

    Prints how much of the time cameras are watched while nodes fail, how soon they are watched
    again, and what it holds for. Needs no Ray.
    """
    from ..fleet.simulation.run import simulate as run
    from ..fleet.simulation.scenarios import SCENARIOS
    from ..fleet.simulation.times import Times

    if scenario not in SCENARIOS:
        raise UsageError(f"no scenario {scenario!r}: expected one of {', '.join(SCENARIOS)}")
    given = {
        "cameras": cameras,
        "nodes": nodes,
        "node_cameras": node_cameras,
        "pinned": pinned,
        "hours": hours,
        "seed": seed,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    chosen = SCENARIOS[scenario].model_copy(update=changes)
    print_report(run(chosen, Times() if times is None else Times.read(times)), as_json)
