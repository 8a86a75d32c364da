"""Command `microspot`: watch, analyze, review, evaluate, study and the others.

An error is one line and an exit code; --debug adds the traceback.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from microspot.engines.commands.entry_point import run_command, version_option
from microspot.engines.text.redaction import redact_uri

from ..errors import UsageError
from .analyze import analyze
from .evaluate import evaluate
from .fleet import fleet
from .options import (
    AlarmsPerMin,
    Backend,
    Config,
    Engines,
    Faces,
    Json,
    Labels,
    Memory,
    NoLabels,
    ProcessCount,
    Sources,
    Subject,
    Threshold,
)
from .reports import print_cameras, print_report
from .review import review
from .study import study

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Spot micro-expressions live: from a camera, stream or file to onset, apex, offset and "
    "emotion.",
)


@app.callback()
def common_options(version: Annotated[bool, version_option()] = False) -> None:
    """Options that stand before the name of a command."""


@app.command()
def watch(
    sources: Sources,
    engines: Engines = None,
    backend: Backend = "auto",
    out: Annotated[
        list[str] | None,
        typer.Option(
            help="events.jsonl | events.csv | events.db | report.html | overlay.mp4 | events.eaf | "
            "events.boris | events.boris.tsv | events.observer.txt | events.datavyu.csv | "
            "events.TextGrid | https://… | mqtts://HOST:PORT/PREFIX | env:NAME | ws:HOST:PORT | "
            "sse:HOST:PORT | lsl:NAME; repeatable"
        ),
    ] = None,
    markers: Annotated[
        str | None, typer.Option(help="lsl:NAME: stimulus markers, placed on the frames' time axis")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="open a window")] = False,
    arrows: Annotated[
        bool, typer.Option("--arrows", help="pictures show how far each part of the face moved")
    ] = False,
    faces: Faces = None,
    subject: Subject = None,
    labels: Labels = "3",
    no_labels: NoLabels = False,
    threshold: Threshold = None,
    alarms_per_min: AlarmsPerMin = None,
    memory: Memory = None,
    config: Config = None,
    fps: Annotated[
        float | None, typer.Option(help="rate asked of a camera, or of an image folder")
    ] = None,
    size: Annotated[str | None, typer.Option(help="WxH asked of a camera")] = None,
    pace: Annotated[bool, typer.Option("--pace", help="play files in real time")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="wait for a live source that is not there yet")
    ] = False,
    rtsp_transport: Annotated[str, typer.Option(help="auto (TCP, else UDP) | tcp | udp")] = "auto",
    open_timeout: Annotated[
        float | None,
        typer.Option(
            help="seconds a live source may take until its first frame; default: 10, or 60 while "
            "its packets come"
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="stop after this much stream time")] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="days after which events leave a database, or no longer wait to be sent"),
    ] = None,
    provisional: Annotated[
        bool, typer.Option("--provisional", help="print provisional and withdrawn events too")
    ] = False,
    metrics: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of a page of figures for Prometheus, such as 127.0.0.1:9108"),
    ] = None,
    processes: ProcessCount = None,
    as_json: Json = False,
) -> None:
    """Watch sources and report each micro-expression: JSON lines, or a live table on a terminal."""
    from microspot.engines.loading import load_engines, wanted_labels

    from ..config import Settings
    from ..processes.plan import process_count
    from ..sources.open import open_sources
    from ..supervision.reload import Reload
    from . import watch_steps as steps

    load_settings = partial(
        Settings.load,
        config,
        threshold=threshold,
        faces=faces,
        subject=subject,
        alarms_per_min=alarms_per_min,
        memory=None if memory is None else str(memory),
    )
    settings = load_settings()
    reload = Reload(load_settings, () if config is None else (config,))
    outputs = list(out or [])
    steps.check_seconds(seconds)
    steps.check_outputs(sources, outputs)
    steps.check_keep(keep, outputs)
    opening = steps.opening_options(
        fps=fps,
        size=size,
        pace=pace,
        wait=wait,
        rtsp_transport=rtsp_transport,
        open_timeout=open_timeout,
    )
    opened = open_sources(sources, **opening)
    steps.check_markers(markers, opened)
    if show:
        outputs.append("window")
    if metrics is not None:
        outputs.append(f"metrics:{metrics}")
    steps.check_arrows(arrows, outputs)
    load = partial(load_engines, engines, backend, wanted_labels(labels, no_labels))
    media = steps.files_of(sources, opened)
    build = partial(steps.build_sinks, outputs, as_json, provisional, keep, media, arrows)
    open_input = partial(steps.open_input, markers)
    count = process_count(
        len(opened),
        settings,
        backend,
        processes,
        paced=any(source.pace for source in opened),
        pictures="window" in outputs,
    )
    if count > 1:
        openers = steps.openers_of(sources, opened, opening)
        outcome = steps.watch_in_processes(
            openers, load, build, settings, count, seconds, open_input, reload
        )
    else:
        outcome = steps.watch_here(opened, load, build, settings, seconds, open_input, reload)
    for line in outcome.warnings:
        typer.echo(f"microspot: {line}", err=True)
    raise typer.Exit(outcome.code)


app.command()(analyze)
app.command()(evaluate)
app.command()(review)
app.command()(study)
app.add_typer(fleet, name="fleet")


@app.command()
def bench(
    source: Annotated[str, typer.Argument(help="a file, or sample")] = "sample",
    engines: Engines = None,
    backend: Backend = "auto",
    out: Annotated[
        Path | None, typer.Option(help="folder for a CSV and a plot, named after the machine")
    ] = None,
    cameras: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="measure so many cameras at once, on all cores, instead"
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="how long --cameras measures")
    ] = 60.0,
    processes: ProcessCount = None,
    as_json: Json = False,
) -> None:
    """Time every stage beside its yardsticks, on one core; measure crop jitter and memory.

    This takes minutes.
    """
    from ..bench.csv_and_plot import write_files
    from ..bench.many_cameras import measure_cameras
    from ..bench.report import bench as run

    if cameras is not None:
        found = measure_cameras(source, cameras, seconds, engines, backend, processes)
        print_report(found, as_json)
        return
    if processes is not None:
        raise UsageError("--processes divides the cameras of --cameras: give --cameras too")
    report = run(source, engines, backend)
    if out is not None:
        report["files"] = [str(path) for path in write_files(report, out)]
    print_report(report, as_json)


@app.command()
def cameras(as_json: Json = False) -> None:
    """List the cameras of this machine: number, name, and what each says that it gives.

    Each is opened for it, and no picture is taken.
    """
    from ..sources.cameras import list_cameras

    print_cameras(list_cameras(), as_json)


@app.command()
def consent() -> None:
    """Print what people in front of the camera should be told before it watches them."""
    import textwrap

    from ..overlay.consent import NOTICE

    for paragraph in NOTICE:
        typer.echo(textwrap.fill(paragraph, 80))


@app.command()
def forget(
    source: Annotated[str, typer.Argument(help="as it was given to watch, or as events name it")],
    db: Annotated[Path, typer.Option(help="database that --out wrote")] = Path("events.db"),
) -> None:
    """Delete all events of a source for good: from a database, and what waits to be sent."""
    from ..sinks.database.erase import forget as erase
    from ..sinks.network.spool import forget as erase_waiting
    from ..sources.address import names_of

    names = names_of(source)
    count = erase_waiting(names)
    if db.exists() or not count:
        count += erase(db, names)
    typer.echo(f"microspot: {count} events of {redact_uri(source)} are gone")


def main() -> None:
    """Entry point of `microspot`."""
    run_command(app, "microspot")


if __name__ == "__main__":
    main()
