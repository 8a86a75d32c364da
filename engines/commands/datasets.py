"""Commands on the annotations of data sets: `annotations report` and `annotations table`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .output import Json

datasets = typer.Typer(help="Read the tables of data sets of micro-expressions.")
Name = Annotated[str, typer.Option(help="casme-ii, cas-me-2, samm-lv, …: a wrong one lists all")]
Data = Annotated[Path, typer.Option(help="folder with the tables of the data set, or the table")]


@datasets.command()
def report(
    dataset: Name,
    data: Data,
    as_json: Json = False,
) -> None:
    """Count subjects, videos, types and classes; list every row repaired or left out, and why."""
    from ..data.annotations.datasets import read_dataset
    from ..data.annotations.report import lines
    from ..data.annotations.report import report as counts_of

    counts = counts_of(read_dataset(dataset, data))
    typer.echo(json.dumps(counts) if as_json else "\n".join(lines(counts)))


@datasets.command()
def table(
    dataset: Name, data: Data, out: Annotated[Path, typer.Option(help="table to write, .csv")]
) -> None:
    """Write the intervals as a table that score and evaluate read."""
    from ..data.annotations.datasets import read_dataset
    from ..data.annotations.report import write_table

    found = read_dataset(dataset, data)
    write_table(found, out)
    typer.echo(f"{len(found.intervals)} intervals in {out}; frames: {found.numbering}")
