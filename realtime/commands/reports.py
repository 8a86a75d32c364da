"""Reports on standard output, of measures and of cameras; progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from microspot.engines.text.redaction import printable

from ..sources.cameras import ListedCamera
from ..sources.capture.device import BY_NAME, Mode

NO_NUMBER = "-"


def print_cameras(cameras: Sequence[ListedCamera], as_json: bool) -> None:
    """Print cameras as one JSON array, or as a line for each."""
    if as_json:
        typer.echo(json.dumps([camera.to_json() for camera in cameras]))
        return
    for line in camera_lines(cameras):
        typer.echo(line)


def camera_lines(cameras: Sequence[ListedCamera]) -> Iterator[str]:
    """A line for each camera: the number and the source by which `watch` opens it, what it gives.

    What names hold comes from the device, so it is made printable.
    """
    sources = [printable(f"{BY_NAME}{camera.name}") for camera in cameras]
    width = max(map(len, sources))
    for camera, source in zip(cameras, sources, strict=True):
        number = NO_NUMBER if camera.number is None else str(camera.number)
        yield f"{number:>3}  {source:<{width}}  {_given(camera)}"


def _given(camera: ListedCamera) -> str:
    if camera.problem:
        return printable(f"cannot be opened: {camera.problem}")
    return ", ".join(map(_mode, camera.modes)) or "sizes are not told"


def _mode(mode: Mode) -> str:
    rate = f" at {mode.fps:g} Hz" if mode.fps else ""
    return f"{mode.width}x{mode.height}{rate}"


def print_report(report: dict[str, Any], as_json: bool) -> None:
    """Print a report as one JSON object, or as a table of measures."""
    if as_json:
        typer.echo(json.dumps(report))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..bench.csv_and_plot import flat

    table = Table("measure", "value", box=None)
    for name, value in flat(report):
        # As Text: brackets in the name of a file are no markup.
        table.add_row(Text(name), Text(str(value)))
    Console().print(table)


def say(line: str) -> None:
    """A line for people on standard error."""
    typer.echo(f"microspot: {line}", err=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[float, float], None]]:
    """How far a run has come, on standard error; told seconds of video done and in all.

    A bar on a terminal, elsewhere a line for each tenth.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    if not sys.stderr.isatty():
        yield _Tenths().tell
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("analysing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Tenths:
    """Says each tenth that was reached, once."""

    def __init__(self) -> None:
        self._told = 0

    def tell(self, done: float, total: float) -> None:
        reached = int(10 * done / total) if total else 0
        if reached > self._told:
            self._told = reached
            say(f"{10 * reached} % analysed")
