"""Commands that make what training sees: `synthesize` and `expressions`."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..evaluation.exams.commands import Person
from .output import MOST_WORKERS, progress


def synthesize(
    faces: Annotated[Path, typer.Option(help="folder of portraits")],
    out: Annotated[Path, typer.Option(help="folder of the set")],
    clips: Annotated[int, typer.Option(min=1, max=10**6, help="clips to render")] = 1400,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="length of a clip")] = 6.0,
    seed: Annotated[int, typer.Option(min=0, help="everything follows from it")] = 7,
    basis: Annotated[
        Path | None, typer.Option(help="external motion basis (.npz) for half of the clips")
    ] = None,
    expressions: Annotated[
        Path | None,
        typer.Option(help="measured expressions (.npz), or video to measure, beside the package's"),
    ] = None,
    backgrounds: Annotated[
        Path | None, typer.Option("--carriers", help="folder of real video to warp movements into")
    ] = None,
    background_share: Annotated[
        float | None,
        typer.Option(
            "--carrier-share", min=0, max=1, help="of the training clips, with --carriers"
        ),
    ] = None,
    person: Person = None,
    like: Annotated[
        Path | None,
        typer.Option(help="study.json of microspot study: as large and fast as its people's MEs"),
    ] = None,
    even_units: Annotated[
        float,
        typer.Option(min=0, max=1, help="share of the MEs whose action units are drawn evenly"),
    ] = 0.0,
    micros_per_min: Annotated[
        float | None,
        typer.Option(
            "--mes-per-min", min=0, max=120, help="MEs asked for, as far as there is room"
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="processes")
    ] = os.cpu_count() or 1,
) -> None:
    """Render a set of synthetic clips with truth, from any folder of face images."""
    from rich.progress import Progress

    from ..data.generator.synthesize import BACKGROUND_CLIPS, TRAINING_RECIPE, SetOptions
    from ..data.generator.synthesize import synthesize as run

    recipe = replace(TRAINING_RECIPE, families=replace(TRAINING_RECIPE.families, even=even_units))
    if like is not None:
        from ..evaluation.realism.like import recipe_like

        likeness = recipe_like(like, recipe)
        recipe = likeness.recipe
        for line in likeness.said:
            progress(line)
    if micros_per_min is not None:
        recipe = replace(recipe, micro_per_min=micros_per_min)
    options = SetOptions(
        clips,
        seconds,
        seed,
        recipe=recipe,
        basis=basis,
        backgrounds=backgrounds,
        background_share=BACKGROUND_CLIPS if background_share is None else background_share,
        person=person,
        expressions=expressions,
    )
    with Progress(disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("clips", total=clips)
        run(
            faces,
            out,
            options,
            workers,
            lambda done, total: bar.update(task, completed=done),
            progress,
        )


def expressions(
    videos: Annotated[Path, typer.Argument(help="a video or a folder of videos")],
    out: Annotated[Path, typer.Option(help=".npz to write")],
    apart: Annotated[
        list[str] | None, typer.Option(help="persons whose fields only validation clips show")
    ] = None,
    person: Person = None,
) -> None:
    """Measure motion fields of real expressions, for synthesize --expressions."""
    from ..data.generator.expressions.library import write_fields
    from ..data.generator.expressions.measuring import measure_folder

    fields = measure_folder(videos, person, apart or [], progress)
    write_fields(out, fields)
    typer.echo(f"{len(fields)} fields in {out}")
