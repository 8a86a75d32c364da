"""The report as a CSV and a plot, named after processor, backend, precision and versions."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from microspot.engines.data.tables import escaped

from ..errors import DataError
from ..overlay.canvas import Canvas, Color
from ..sinks.video_writer import reason

WIDTH, ROW, TOP, LEFT, RIGHT = 720.0, 26.0, 64.0, 190.0, 110.0  # points
UNIT = 2.0  # pixels a point
PAPER, INK, DIM, BAR, TAIL, LIMIT = (
    (255, 255, 255), (40, 36, 32), (140, 134, 128), (176, 120, 40), (222, 196, 160), (60, 60, 200),
)  # fmt: skip


def write_files(report: dict[str, Any], folder: Path) -> list[Path]:
    """Write `<name>.csv` and `<name>.png`; returns their paths. Raises DataError where that fails."""
    stem = folder / file_name(report["machine"])
    table, plot = Path(f"{stem}.csv"), Path(f"{stem}.png")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with table.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["measure", "value"])
            rows.writerows(
                (name, escaped(v) if isinstance(v, str) else v) for name, v in flat(report)
            )
        plot.write_bytes(cv2.imencode(".png", draw(report).image)[1].tobytes())
    except OSError as error:
        raise DataError(f"cannot write {folder}: {reason(error)}") from error
    return [table, plot]


def file_name(machine: dict[str, Any]) -> str:
    """Processor, backend, precision and versions, with nothing in it that a file system minds."""
    versions = [f"{name}-{version}" for name, version in machine["versions"].items()]
    parts = ["bench", machine["processor"], machine["backend"], machine["precision"], *versions]
    return "_".join(re.sub(r"[^A-Za-z0-9.]+", "-", str(part)).strip("-") for part in parts)


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every leaf."""
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, item in value.items():
        yield from flat(item, f"{prefix}.{key}".strip("."))


def draw(report: dict[str, Any]) -> Canvas:
    """Bars of p50 with p95 behind them, in ms: the pipeline, its stages, the landmarker, a camera among many."""
    rows = _bars(report)
    budget = report["tick_budget_ms"]
    longest = max(budget, *(p95 for _, _, p95 in rows))
    canvas = Canvas(WIDTH, TOP + ROW * (len(rows) + 1), UNIT, PAPER)
    scale = (WIDTH - LEFT - RIGHT) / longest
    machine = report["machine"]
    canvas.text(16, 26, "What a frame costs on one core, ms", INK, 15, bold=True)
    canvas.text(
        16, 46, f"{machine['processor']}, {machine['backend']} {machine['precision']}", DIM, 11
    )
    for i, (name, p50, p95) in enumerate(rows):
        _bar(canvas, TOP + ROW * i, name, p50, p95, scale)
    x, bottom = LEFT + budget * scale, TOP + ROW * len(rows)
    canvas.rule(x, TOP - 8, bottom, LIMIT)
    canvas.text(x, bottom + 14, f"tick {budget:g} ms", LIMIT, 11, align=0.5)
    return canvas


def _bars(report: dict[str, Any]) -> list[tuple[str, float, float]]:
    tables = {
        "landmarker alone": report["yardsticks"]["landmarker"],
        "pipeline": report["pipeline"],
        **report["stages"],
    }
    rows = [(name, row["ms_p50"], row["ms_p95"]) for name, row in tables.items()]
    cameras = report["cameras"].items()
    return rows + [
        (f"cameras: {count}, per frame", row["ms_per_frame"], row["ms_per_frame"])
        for count, row in cameras
    ]


def _bar(canvas: Canvas, y: float, name: str, p50: float, p95: float, scale: float) -> None:
    def box(ms: float, color: Color) -> None:
        canvas.box(LEFT, y, LEFT + max(ms * scale, 0.5), y + ROW * 0.6, color)

    canvas.text(LEFT - 10, y + 12, name, INK, 12, align=1)
    box(p95, TAIL)
    box(p50, BAR)
    words = f"{p50:.2f}" if p50 == p95 else f"{p50:.2f} (95%: {p95:.2f})"
    canvas.text(LEFT + p95 * scale + 6, y + 12, words, DIM, 11)
