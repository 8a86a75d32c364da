"""What the commands of `microspot-engines` share: what they print, and what they need."""

from __future__ import annotations

import importlib.util
import json
from typing import Annotated, Any

import typer

from ..errors import UsageError, install

MOST_WORKERS = 1024
MOST_MINUTES = 1e6  # almost two years

Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]


def progress(line: str) -> None:
    """One line of progress, on standard error."""
    typer.echo(line, err=True)


def print_report(report: dict[str, Any], as_json: bool) -> None:
    """A report as one JSON object, or a line for each of its keys."""
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:24} {value}")


def need(package: str, extra: str) -> None:
    """UsageError where a package of an extra of ours is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"this command needs {package}: {install(extra)}")
