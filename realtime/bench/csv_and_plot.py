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
from ..sinks.base import reason

# Lengths in points
WIDTH = 720.0
ROW = 26.0  # height of a bar with its margin
TOP = 64.0  # margins around the bars
LEFT = 190.0
RIGHT = 110.0
UNIT = 2.0  # pixels a point

# Colours, BGR
BACKGROUND = (255, 255, 255)
TEXT = (40, 36, 32)
DIM_TEXT = (140, 134, 128)
BAR_P50 = (176, 120, 40)
BAR_P95 = (222, 196, 160)
BUDGET_LINE = (60, 60, 200)


def write_files(report: dict[str, Any], folder: Path) -> list[Path]:
    """Write `<name>.csv` and `<name>.png`, return their paths; raises DataError where it fails."""
    stem = folder / file_name(report["machine"])
    table = Path(f"{stem}.csv")
    plot = Path(f"{stem}.png")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_table(report, table)
        plot.write_bytes(cv2.imencode(".png", draw(report).image)[1].tobytes())
    except OSError as error:
        raise DataError(f"cannot write {folder}: {reason(error)}") from error
    return [table, plot]


def _write_table(report: dict[str, Any], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["measure", "value"])
        for name, value in flat(report):
            rows.writerow([name, escaped(value) if isinstance(value, str) else value])


def file_name(machine: dict[str, Any]) -> str:
    """Processor, backend, precision and versions, in characters that every file system takes."""
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
    """Bars of p50 with p95 behind them, in ms.

    One each for the landmarker, the pipeline, its stages, and a frame of one camera among several.
    """
    rows = _bars(report)
    budget = report["tick_budget_ms"]
    longest = max(budget, *(p95 for _, _, p95 in rows))
    canvas = Canvas(WIDTH, TOP + ROW * (len(rows) + 1), UNIT, BACKGROUND)
    scale = (WIDTH - LEFT - RIGHT) / longest
    machine = report["machine"]
    canvas.text(16, 26, "What a frame costs on one core, ms", TEXT, 15, bold=True)
    canvas.text(
        16, 46, f"{machine['processor']}, {machine['backend']} {machine['precision']}", DIM_TEXT, 11
    )
    for i, (name, p50, p95) in enumerate(rows):
        _bar(canvas, TOP + ROW * i, name, p50, p95, scale)
    x = LEFT + budget * scale
    bottom = TOP + ROW * len(rows)
    canvas.rule(x, TOP - 8, bottom, BUDGET_LINE)
    canvas.text(x, bottom + 14, f"tick {budget:g} ms", BUDGET_LINE, 11, align=0.5)
    return canvas


def _bars(report: dict[str, Any]) -> list[tuple[str, float, float]]:
    """(name, p50, p95) of every bar, in ms."""
    tables = {
        "landmarker alone": report["yardsticks"]["landmarker"],
        "pipeline": report["pipeline"],
        **report["stages"],
    }
    rows = [(name, row["ms_p50"], row["ms_p95"]) for name, row in tables.items()]
    for count, row in report["cameras"].items():
        ms = row["ms_per_frame"]  # a mean
        rows.append((f"cameras: {count}, per frame", ms, ms))
    return rows


def _bar(canvas: Canvas, y: float, name: str, p50: float, p95: float, scale: float) -> None:
    def box(ms: float, color: Color) -> None:
        canvas.box(LEFT, y, LEFT + max(ms * scale, 0.5), y + ROW * 0.6, color)

    canvas.text(LEFT - 10, y + 12, name, TEXT, 12, align=1)
    box(p95, BAR_P95)
    box(p50, BAR_P50)
    label = f"{p50:.2f}" if p50 == p95 else f"{p50:.2f} (95%: {p95:.2f})"
    canvas.text(LEFT + p95 * scale + 6, y + 12, label, DIM_TEXT, 11)
