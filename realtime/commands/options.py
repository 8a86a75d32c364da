"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from microspot.engines.running_neutral import RATES

SOURCES = typer.Argument(
    help="0 | /dev/video0 | camera:NAME | rtsp://… | http(s)://… | env:NAME | clip.mp4 | "
    "frames/ | sample[:synthetic[:SEED]]; a number is a camera unless a file or folder here "
    "is called so"
)
Sources = Annotated[list[str], SOURCES]
AnySources = Annotated[list[str] | None, SOURCES]
Engines = Annotated[str | None, typer.Option(help="folder of weights, or 'baseline'")]
Backend = Annotated[str, typer.Option(help="auto | onnx | tensorrt | rtx | torch")]
Labels = Annotated[
    str, typer.Option(help="3 | 5 | units: emotion classes, or action units without an emotion")
]
NoLabels = Annotated[
    bool, typer.Option("--no-labels", help="movement only: no emotion class is computed")
]
Threshold = Annotated[float | None, typer.Option(help="T_CRN, 0 to 1; default from the weights")]
AlarmsPerMin = Annotated[
    float | None,
    typer.Option(
        help="alarms a minute, true ones too, that a threshold of each face's own aims at, "
        f"{RATES[0]:g} to {RATES[1]:g}; default: one threshold for all faces"
    ),
]
Memory = Annotated[
    Path | None,
    typer.Option(help="file of `review --memory`: events that resemble rejected ones are left out"),
]
Config = Annotated[Path | None, typer.Option(help="TOML file of settings")]
Faces = Annotated[
    int | None,
    typer.Option(help="faces followed per source; their numbers are places, not people"),
]
Subject = Annotated[str | None, typer.Option(help="name of the one person in front of the cameras")]
ProcessCount = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="processes that share the cameras; default: by the number of cameras and cores",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=256, help="processes; default: one for each core")
]
Cluster = Annotated[
    str | None,
    typer.Option(help="analyse on this Ray cluster (HOST:PORT, auto), which sees the same folders"),
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines on stdout")]
