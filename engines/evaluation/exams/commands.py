"""Command `microspot-engines exam`: one subcommand for each examination, each prints one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ...data.footage import VIDEOS
from ...data.generator.families import USUAL
from ...data.people import parts_for
from ...errors import DataError, UsageError
from . import SEED
from .memory.command import memory
from .personal.command import personal
from .stays_out import STAYS_OUT

exam = typer.Typer(
    help="Measure what weights are worth, on faces and footage that no training has seen."
)

Engines = Annotated[
    str | None, typer.Option(help="folder of weights, or baseline; default: the packaged weights")
]
Faces = Annotated[Path, typer.Option(help="folder of portraits; its test faces are used")]
Videos = Annotated[
    list[Path],
    typer.Argument(help="videos without spontaneous micro-expressions, or folders of them"),
]
Person = Annotated[
    str | None, typer.Option(help="who is in the videos that the table of people does not list")
]
Seed = Annotated[int, typer.Option(min=0, help="everything follows from it")]
Workers = Annotated[int, typer.Option(min=1, max=1024, help="processes that render")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]

OneFamily = Annotated[str, typer.Option(help="whose MEs: usual or stays-out")]

exam.command()(memory)
exam.command()(personal)


@exam.command()
def heldout(
    faces: Faces,
    engines: Engines = None,
    clips: Annotated[int, typer.Option(min=1, max=10_000, help="clips of a minute")] = 60,
    baseline: Annotated[
        bool, typer.Option(help="also the feature-difference baseline, calibrated alike")
    ] = False,
    family: OneFamily = USUAL,
    videos: Annotated[
        list[Path] | None, typer.Option(help="the examined videos, of which stays-out is measured")
    ] = None,
    seed: Seed = SEED,
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """Synthetic minutes of test faces with 5 MEs each, distractors, and all rates of cameras.

    Labels are judged on the intervals as spotted.
    """
    from ...loading import load_engines
    from .heldout import examine_heldout
    from .rendering import ClipPlan
    from .stays_out.family import measure_family
    from .tuning import calibrate_on_faces

    stays_out = None
    if _known(family) == STAYS_OUT:
        stays_out = measure_family(parts_for(_files(videos or []), "exam"), _progress)
    sets = [load_engines(engines)]
    if sets[0].recognizer is not None:
        sets.append(load_engines(engines, labels=5))
    if baseline:
        uncalibrated = load_engines("baseline")
        best = calibrate_on_faces(uncalibrated, faces, workers=workers, progress=_progress)
        spec = replace(uncalibrated.spotter, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
        sets.append(replace(uncalibrated, spotter=spec))
    plan = ClipPlan(clips=clips, seed=seed, family=stays_out)
    report = examine_heldout(sets, faces, plan, workers=workers, progress=_progress)
    _print(report, as_json)


@exam.command()
def semireal(
    videos: Videos,
    engines: Engines = None,
    row: Annotated[
        list[str] | None, typer.Option(help="quiet, upper or slow; by default all three")
    ] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="usual or stays-out; by default both")
    ] = None,
    places: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="of MEs in a row; by default its own")
    ] = None,
    sham: Annotated[
        bool, typer.Option(help="the control: moved and moved back, so that every hit is false")
    ] = False,
    person: Person = None,
    seed: Seed = SEED,
    as_json: Json = False,
) -> None:
    """Movements of known time and strength warped into real video, in rows."""
    from ...loading import load_engines
    from .semireal.rows import ROWS, PlayOptions, examine_semireal
    from .semireal.shapes import StaysOut, UsualFamily
    from .stays_out.family import StaysOutFamily, measure_family

    parts = parts_for(_files(videos), "exam", person)
    chosen: list[Any] = []
    measured: StaysOutFamily | None = None
    for name in family or [USUAL, STAYS_OUT]:
        if _known(name) == STAYS_OUT:
            measured = measure_family(parts, _progress)
            chosen.append(StaysOut(measured))
        else:
            chosen.append(UsualFamily())
    with load_engines(engines) as loaded:
        rows = examine_semireal(
            loaded,
            parts,
            rows=row or ROWS,
            families=chosen,
            options=PlayOptions(places, seed, sham),
            progress=_progress,
        )
    _print({"rows": rows, "stays_out": measured.about() if measured else None}, as_json)


@exam.command()
def alarms(
    videos: Videos,
    engines: Engines = None,
    minutes: Annotated[
        float, typer.Option(min=0, max=10_000, help="of composites, beside the videos themselves")
    ] = 20.0,
    stills: Annotated[
        Path | None, typer.Option(help="folder for pictures of every alarm, to be looked at")
    ] = None,
    person: Person = None,
    seed: Seed = SEED,
    as_json: Json = False,
) -> None:
    """False alarms on real video and on composites of it: quiet, in speech, in blinks."""
    from ...loading import load_engines
    from .alarms.examination import examine_alarms

    parts = parts_for(_files(videos), "exam", person)
    with load_engines(engines) as loaded:
        report = examine_alarms(loaded, parts, seed, minutes, stills=stills, progress=_progress)
    _print(report, as_json)


@exam.command()
def sweep(
    axis: Annotated[str, typer.Argument(help="rate, size, bitrate, bridge or landmarker")],
    faces: Faces,
    engines: Engines = None,
    clips: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="clips of half a minute for each value")
    ] = None,
    seed: Seed = SEED,
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """The same movements at several camera rates, face sizes, bitrates and the like."""
    from ...loading import load_engines
    from .cameras.sweep import examine_sweep, plan_of

    with load_engines(engines) as loaded:
        rows = examine_sweep(
            loaded,
            faces,
            axis=axis,
            plan=plan_of(axis, clips),
            seed=seed,
            workers=workers,
            progress=_progress,
        )
    _print({"axis": axis, "rows": rows}, as_json)


@exam.command()
def widths(
    videos: Videos,
    engines: Engines = None,
    repeats: Annotated[
        int,
        typer.Option(help="passes over the videos, each with other movements", min=1, max=10_000),
    ] = 4,
    tuning: Annotated[bool, typer.Option(help="the parts to set thresholds with")] = False,
    person: Person = None,
    seed: Seed = SEED,
    as_json: Json = False,
) -> None:
    """Movements in real video at widths of the face from 40 to 400 px: how small it may be."""
    from ...loading import load_engines
    from .cameras.widths import examine_widths

    parts = parts_for(_files(videos), "tune" if tuning else "exam", person)
    with load_engines(engines) as loaded:
        rows = examine_widths(loaded, parts, repeats=repeats, seed=seed, progress=_progress)
    _print({"rows": rows}, as_json)


@exam.command()
def aligner(
    faces: Annotated[Path, typer.Option(help="folder of portraits")],
    share: Annotated[float, typer.Option(min=0, max=1, help="of the portraits")] = 0.05,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The real aligner's jitter on a sample of portraits, beside what the generator assumes."""
    from .aligner import examine_aligner

    _print(examine_aligner(faces, share=share, seed=seed, progress=_progress), as_json)


@exam.command(name="all")
def everything(
    faces: Faces,
    videos: Annotated[list[Path], typer.Option(help="the examined videos, or folders of them")],
    engines: Engines = None,
    only: Annotated[
        list[str] | None, typer.Option(help="one of the examinations; by default all")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for each examination's JSON as soon as it is done")
    ] = None,
    small: Annotated[
        bool, typer.Option(help="a tenth of each: to see that all runs, not to measure")
    ] = False,
    seed: Seed = SEED,
    workers: Workers = 1,
    as_json: Json = False,
) -> None:
    """The whole table: held-out faces, real video in rows, alarms, rates, sizes and bitrates."""
    from ...loading import load_engines
    from .whole_table import Table, examine_all

    parts = parts_for(_files(videos), "exam")
    with load_engines(engines) as loaded:
        table = Table(loaded, faces, parts, seed, small, out, _progress, workers)
        _print(examine_all(table, only or (), _progress), as_json)


def _known(family: str) -> str:
    if family not in (USUAL, STAYS_OUT):
        raise UsageError(f"family {family!r}: choose {USUAL} or {STAYS_OUT}")
    return family


def _files(paths: Sequence[Path]) -> list[Path]:
    """The videos, and those of the folders, by name; DataError where there is none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEOS)
        else:
            found.append(path)
    if not found:
        raise DataError(
            f"no video among {', '.join(map(str, paths))}; "
            f"give files or folders of {', '.join(VIDEOS)}"
        )
    return found


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _print(report: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for line in lines(report):
        typer.echo(line)


def lines(report: Mapping[str, Any], indent: int = 0) -> list[str]:
    """A report as text: one value a line, nested reports indented under their name."""
    out: list[str] = []
    space = " " * indent
    for name, value in report.items():
        nested = isinstance(value, list) and value and isinstance(value[0], Mapping)
        for part in value if nested else [value]:
            if isinstance(part, Mapping):
                out += [f"{space}{name}", *lines(part, indent + 2)]
            else:
                out.append(f"{space}{name:{max(26 - indent, 1)}} {part}")
    return out
