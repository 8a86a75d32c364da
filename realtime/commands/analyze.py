"""Command `microspot analyze`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..analyze.session_report.trials import WINDOW_S
from .options import (
    AlarmsPerMin,
    Backend,
    Cluster,
    Config,
    Engines,
    Faces,
    Json,
    Labels,
    Memory,
    NoLabels,
    Subject,
    Threshold,
    Workers,
)
from .reports import progress_bar, say

if TYPE_CHECKING:
    from microspot.engines.magnification.magnify import Magnification


def analyze(
    videos: Annotated[
        list[str], typer.Argument(help="clip.mp4 | frames/ | folder of videos | sample")
    ],
    out: Annotated[Path, typer.Option(help="folder of the results")],
    engines: Engines = None,
    backend: Backend = "auto",
    overlay: Annotated[
        bool, typer.Option("--overlay", help="overlay.mp4 too, which stores the frames")
    ] = False,
    arrows: Annotated[
        bool, typer.Option("--arrows", help="overlays show how far each part of the face moved")
    ] = False,
    stills: Annotated[
        bool,
        typer.Option(
            "--stills", help="the report shows each event's face, and stores its pictures"
        ),
    ] = False,
    magnify: Annotated[
        float | None, typer.Option(help="how much --stills enlarges movements, 2 to 8 (6)")
    ] = None,
    magnify_by: Annotated[
        str | None, typer.Option(help="lagrangian (movement) | eulerian (grey levels, to compare)")
    ] = None,
    faces: Faces = None,
    subject: Subject = None,
    conditions: Annotated[
        Path | None,
        typer.Option(help="CSV with video,subject,condition: totals of each on the page over all"),
    ] = None,
    labels: Labels = "3",
    no_labels: NoLabels = False,
    threshold: Threshold = None,
    alarms_per_min: AlarmsPerMin = None,
    memory: Memory = None,
    config: Config = None,
    fps: Annotated[float | None, typer.Option(help="rate of folders of images (30)")] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    markers: Annotated[
        Path | None, typer.Option(help="table video,at_s,value of stimulus markers, in seconds")
    ] = None,
    window: Annotated[
        float, typer.Option(min=0.1, max=3600, help="s after a marker in which events answer it")
    ] = WINDOW_S,
    as_json: Json = False,
) -> None:
    """Analyse recordings: events, scores and a report for each, and a page over all of them.

    Goes on where an earlier run ended. With --json a line for each video goes to stdout.
    """
    from dataclasses import asdict

    from microspot.engines.loading import load_engines, wanted_labels

    from ..analyze.run import AnalyzeOptions
    from ..analyze.run import analyze as run
    from ..config import Settings
    from ..errors import UsageError
    from ..markers.recorded import read_markers

    if arrows and not overlay:
        raise UsageError("--arrows draws in overlays: add --overlay")
    if not stills and (magnify, magnify_by) != (None, None):
        raise UsageError("--magnify and --magnify-by enlarge what --stills shows: add --stills")
    magnification = _magnification(magnify, magnify_by) if stills else None
    settings = Settings.load(
        config,
        threshold=threshold,
        faces=faces,
        subject=subject,
        alarms_per_min=alarms_per_min,
        memory=None if memory is None else str(memory),
    )
    load = partial(load_engines, engines, backend, wanted_labels(labels, no_labels))
    options = AnalyzeOptions(
        settings,
        fps,
        overlay,
        arrows,
        workers,
        magnification,
        conditions,
        markers=read_markers(markers) if markers else (),
        window_s=window,
        cluster=cluster,
    )
    with progress_bar() as progress:
        results = run(videos, out, load, options, progress=progress, say=say)
    for analysis in results.analyses:
        for warning in analysis.warnings:
            say(warning)
        if as_json:
            typer.echo(json.dumps(asdict(analysis)))
    if not as_json:
        events = sum(analysis.events for analysis in results.analyses)
        typer.echo(f"events: {events}, videos: {len(results.analyses)}; see {results.index}")
    raise typer.Exit(max((error.exit_code for error in results.errors.values()), default=0))


def _magnification(gain: float | None, way: str | None) -> Magnification:
    """What the options say, the defaults elsewhere; raises UsageError for what there is not."""
    from microspot.engines.magnification.magnify import Magnification

    from ..errors import UsageError

    gain = Magnification.gain if gain is None else gain
    way = Magnification.way if way is None else way
    try:
        return Magnification(gain, way)
    except ValueError as error:
        raise UsageError(f"--magnify: {error}") from error
