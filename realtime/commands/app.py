"""Command `microspot`: watch, evaluate, bench. Errors are one line and an exit code; --debug tells more."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..sinks.base import Sink
    from ..sources.options import SourceOptions

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Spot micro-expressions live: from a camera, stream or file to onset, apex, offset and emotion.",
)

Sources = Annotated[
    list[str],
    typer.Argument(
        help="0 | /dev/video0 | rtsp://… | http(s)://… | env:NAME | clip.mp4 | frames/ | sample[:synthetic[:SEED]]; a "
        "number is a camera unless a file or folder here is called so"
    ),
]
Engines = Annotated[str | None, typer.Option(help="folder of weights, or 'baseline'")]
Backend = Annotated[str, typer.Option(help="auto | onnx | tensorrt | rtx | torch")]
Labels = Annotated[int, typer.Option(help="emotion classes: 3 or 5")]
Threshold = Annotated[float | None, typer.Option(help="T_CRN, 0 to 1; default from the weights")]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings")]
Faces = Annotated[int | None, typer.Option(help="faces followed per source")]
ProcessCount = Annotated[
    int | None,
    typer.Option(
        min=1, help="over which cameras are divided; default: by their number and the cores"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines on stdout")]


@app.command()
def watch(
    sources: Sources,
    engines: Engines = None,
    backend: Backend = "auto",
    out: Annotated[
        list[str] | None, typer.Option(help="events.jsonl | events.csv | overlay.mp4; repeatable")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="open a window")] = False,
    faces: Faces = None,
    labels: Labels = 3,
    threshold: Threshold = None,
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
            help="seconds a live source may take until its first frame; default: 10, with packets coming 60"
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="stop after this much stream time")] = None,
    provisional: Annotated[
        bool, typer.Option("--provisional", help="print provisional and withdrawn events too")
    ] = False,
    processes: ProcessCount = None,
    as_json: Json = False,
) -> None:
    """Watch sources and report each micro-expression: JSON lines, or a live table on a terminal."""
    from microspot.engines.loading import load_engines

    from ..config import SECONDS, Settings
    from ..processes.group import ProcessGroup
    from ..processes.plan import process_count
    from ..sinks.open import open_sink
    from ..sinks.terminal import LiveTable
    from ..sources.open import open_among_others, open_sources
    from ..watch import follow
    from ..watch import watch as run

    settings = Settings.load(config, threshold=threshold, faces=faces)
    if seconds is not None and not SECONDS[0] <= seconds <= SECONDS[1]:
        raise UsageError(
            f"--seconds {seconds}: give a number from {SECONDS[0]:g} to {SECONDS[1]:g}"
        )
    _spare_the_sources(sources, out or [])
    intake = _source_options(rtsp_transport, open_timeout)
    options = {"fps": fps, "size": _size(size), "pace": pace, "wait": wait, "options": intake}
    opened = open_sources(sources, **options)
    names = [*(out or []), *(["window"] if show else [])]
    load = partial(load_engines, engines, backend, labels)

    def sinks() -> list[Sink]:
        plain = as_json or not sys.stdout.isatty()
        return [
            open_sink("-", provisional=provisional) if plain else LiveTable(),
            *map(open_sink, names),
        ]

    paced = any(source.pace for source in opened)
    count = process_count(
        len(opened), settings, backend, processes, paced=paced, pictures="window" in names
    )
    if count > 1:
        for source in opened:
            source.close()  # each is opened again where it is read
        opens = {source.name: partial(open_among_others, uri, **options)
                 for uri, source in zip(sources, opened, strict=True)}  # fmt: skip
        with ProcessGroup(opens, load, settings, count, seconds=seconds) as group:
            outcome = follow(group, sinks())
    else:
        with load() as loaded:
            outcome = run(opened, loaded, sinks(), settings, seconds=seconds)
    for line in outcome.warnings:
        typer.echo(f"microspot: {line}", err=True)
    raise typer.Exit(outcome.code)


@app.command()
def evaluate(
    sources: Sources,
    truth: Annotated[
        Path | None,
        typer.Option(help="table of true intervals: subject,video,onset,apex,offset,type,label"),
    ] = None,
    engines: Engines = None,
    backend: Backend = "auto",
    labels: Labels = 3,
    threshold: Threshold = None,
    config: Config = None,
    rule: Annotated[str, typer.Option(help="matching rule")] = "one_to_one",
    iou: Annotated[float, typer.Option(help="least IoU of a hit")] = 0.5,
    fps: Annotated[float | None, typer.Option(help="rate of folders of images (30)")] = None,
    file_numbers: Annotated[
        bool,
        typer.Option(
            "--file-numbers",
            help="the truth counts by the numbers in the names of images, not from 0",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the live pipeline over annotated video and score its events. sample:synthetic knows its truth."""
    from microspot.engines.loading import load_engines

    from ..config import Settings
    from ..evaluate import evaluate as run

    settings = Settings.load(config, threshold=threshold)
    with load_engines(engines, backend, labels) as loaded:
        report = run(
            sources, loaded, settings, truth=truth, rule=rule, iou=iou, fps=fps, file_numbers=file_numbers
        )  # fmt: skip
    _print(report, as_json)
    if odd := report.get("labels_left_out"):
        classes = ", ".join(loaded.recognizer_spec.labels if loaded.recognizer_spec else ())
        typer.echo(f"microspot: truth labels {', '.join(map(repr, odd))} are none of this engine's ({classes}): they "
                   "count for spotting alone; map them, or try --labels 5", err=True)  # fmt: skip


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
        typer.Option(min=1, max=1000, help="instead: so many cameras at once, on all cores"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="of --cameras")] = 60.0,
    processes: ProcessCount = None,
    as_json: Json = False,
) -> None:
    """Time every stage beside its yardsticks, on one core; measure crop steadiness and memory. Takes minutes."""
    from ..bench.csv_and_plot import write_files
    from ..bench.many_cameras import measure_cameras
    from ..bench.report import bench as run

    if cameras is not None:
        found = measure_cameras(source, cameras, seconds, engines, backend, processes)
        return _print(found, as_json)

    if processes is not None:
        raise UsageError("--processes divides the cameras of --cameras: give their number too")
    report = run(source, engines, backend)
    if out is not None:
        report |= {"files": [str(path) for path in write_files(report, out)]}
    return _print(report, as_json)


def _spare_the_sources(sources: list[str], outputs: list[str]) -> None:
    """Refuse to write over what is being read."""
    read = [
        Path(uri) for uri in sources if os.path.exists(uri)
    ]  # unlike Path's, no error for a name too long
    for name in outputs:
        path = Path(name)
        if os.path.exists(name) and any(
            path.samefile(r) or path.resolve().parent == r.resolve() for r in read
        ):
            raise UsageError(f"--out {name} is one of the sources: choose another file")


def _source_options(rtsp_transport: str, open_timeout: float | None) -> SourceOptions:
    from ..sources.options import SourceOptions

    if open_timeout is None:
        return SourceOptions(rtsp_transport=rtsp_transport)
    if not 0 < open_timeout < float("inf"):
        raise UsageError(f"--open-timeout {open_timeout:g}: give seconds, more than 0")
    return SourceOptions(rtsp_transport=rtsp_transport, open_s=open_timeout, picture_s=open_timeout)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"--size {text!r}: write it as WIDTHxHEIGHT, such as 640x480") from None
    return width, height


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..bench.csv_and_plot import flat

    table = Table("measure", "value", box=None)
    for name, value in flat(report):
        table.add_row(Text(name), Text(str(value)))  # as it is: the name of a file is no markup
    Console().print(table)


def main() -> None:
    """Entry point of `microspot`."""
    from microspot.engines.commands.entry_point import run_command

    run_command(app, "microspot")


if __name__ == "__main__":
    main()
