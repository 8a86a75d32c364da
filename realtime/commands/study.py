"""Command `microspot study`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .evaluate import results_folder
from .options import Backend, Engines, Json, Workers
from .reports import progress_bar, say


def study(
    dataset: Annotated[
        str, typer.Option(help="casme-ii, cas-me-2, samm-lv, …: a wrong one lists all")
    ],
    data: Annotated[Path, typer.Option(help="folder of the data set, or its table")],
    out: Annotated[Path, typer.Option(help="folder of study.json and CARD.md, to be given away")],
    videos: Annotated[
        Path | None, typer.Option(help="folder of the data set's recordings; default: --data")
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(help="portraits that generated micro-expressions are shown on"),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="folder of what is of single recordings, where a killed run goes on"),
    ] = None,
    folds: Annotated[
        Path | None,
        typer.Option(help="folder of microspot-engines train folds --protocol loso on this set"),
    ] = None,
    engines: Engines = None,
    backend: Backend = "auto",
    fps: Annotated[
        float | None, typer.Option(help="rate of folders of images (what is known of the set)")
    ] = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """What may be said of a licensed data set: aggregates that can be published.

    Shipped thresholds, thresholds chosen on the other subjects, and the baseline; and how far
    generated micro-expressions are from its real ones.
    """
    import json

    from microspot.engines.loading import load_engines, wanted_labels

    from ..study.run import CARD, StudyOptions, make_study

    load = partial(load_engines, engines, backend, wanted_labels("3", False))
    with results_folder(results) as folder, progress_bar() as progress:
        options = StudyOptions(
            folder, videos=videos, fps=fps, workers=workers, faces=faces, folds=folds
        )
        made = make_study(dataset, data, out, load, options, progress=progress, say=say)
    text = json.dumps(made.report) if as_json else (out / CARD).read_text(encoding="utf-8")
    typer.echo(text.rstrip())
    raise typer.Exit(max((error.exit_code for error in made.errors), default=0))
