"""Commands `microspot fleet run`, `status`, `drain`, `stop` and `simulate`."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from microspot.engines.commands.entry_point import INTERRUPTED
from microspot.engines.system.signals import ENDINGS

from .fleet_simulation import simulate
from .options import Json
from .reports import say

fleet = typer.Typer(help="Watch cameras on many machines, joined by Ray; needs the extra fleet.")

Address = Annotated[str, typer.Option(help="of the Ray cluster: HOST:PORT, or auto for this one")]


@fleet.command()
def run(file: Annotated[Path, typer.Argument(help="TOML file of cameras and outputs")]) -> None:
    """Keep the cameras of a file running; follow the file as it changes.

    An interruption ends this command; on a cluster that it joined the cameras go on without it.
    """
    from ..fleet.ray_start import cluster_errors, connect
    from ..fleet.run import WatchedFile, group_arguments, run_fleet
    from ..fleet.status import stop as end

    watched = WatchedFile(file)
    arguments = group_arguments(watched.file)
    settings = watched.file.fleet
    ray = connect(settings.address)
    stop = threading.Event()
    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, lambda *_: stop.set())
    run_fleet(ray, watched, arguments, stop, say)
    if settings.address is not None:
        say("the cameras go on; `microspot fleet stop` ends them")
    else:  # Ray here ends with this process, and what is open in its groups would be lost
        with cluster_errors(ray):
            say(f"groups ended: {end(ray, settings.stop_s)}")
    raise typer.Exit(INTERRUPTED)


@fleet.command()
def status(address: Address = "auto", as_json: Json = False) -> None:
    """Show nodes, groups and cameras."""
    from ..fleet.ray_start import cluster_errors, connect
    from ..fleet.status import lines_of
    from ..fleet.status import status as of

    ray = connect(address)
    with cluster_errors(ray):
        found = of(ray)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for line in lines_of(found):
        typer.echo(line)


@fleet.command()
def drain(
    node: Annotated[str, typer.Argument(help="host, or the beginning of a node's id")],
    undo: Annotated[bool, typer.Option("--undo", help="use it again")] = False,
    address: Address = "auto",
) -> None:
    """Move the cameras of a node elsewhere, and place no more there."""
    from ..fleet.ray_start import cluster_errors, connect
    from ..fleet.status import drain as empty

    ray = connect(address)
    with cluster_errors(ray):
        count = empty(ray, node, undo)
    done = "used again" if undo else "emptied; `microspot fleet status` shows when they are"
    say(f"nodes of {node}: {count}, which are {done}")


@fleet.command()
def stop(
    address: Address = "auto",
    wait: Annotated[
        float, typer.Option(min=1, max=600, help="seconds that groups have for ending")
    ] = 20.0,
) -> None:
    """End all cameras of a fleet whose supervisor has ended."""
    from ..fleet.ray_start import cluster_errors, connect
    from ..fleet.status import stop as end

    ray = connect(address)
    with cluster_errors(ray):
        say(f"groups ended: {end(ray, wait)}")


fleet.command()(simulate)
