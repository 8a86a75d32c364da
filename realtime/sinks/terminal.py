"""The live table of `microspot watch` on a terminal: one line per source, below it the last events. Fits 80 columns.

A sink like the others, on rich's Live: the terminal is taken on entering and given back on closing, also after an
interrupt. rich redraws from a thread of its own, so a source that stalls is seen to stall; a lock keeps the rows whole.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..overlay.cards import RATE_TOLERANCE
from ..overlay.draw import CAVEAT
from ..overlay.event_text import name_and_share
from ..records import Frame, View
from .base import Sink

REFRESH_HZ = 8
KEPT_EVENTS = 8  # lines of events below the sources
STATE_STYLES = {
    "live": "green",
    "playing": "green",
    "lost": "bold red",
    "damaged": "red",
    "warning": "yellow",
    "ended": "dim",
}


@dataclass
class _Row:
    """What the table knows of one source."""

    state: str = "waiting"
    detail: str = ""
    faces: int = 0
    events: int = 0
    measured_hz: float = 0.0
    latency_ms: float = 0.0
    quality: float = 0.0
    note: str = ""  # on a face: small, or not used and why


class LiveTable(Sink):
    """Sources with state, rate, latency and event counts; the last events with label and probability.

    console: where to draw, by default standard output.
    """

    wants_provisional = True
    draws = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._lock = threading.Lock()
        self._rows: dict[str, _Row] = {}
        self._events: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._grid_hz, self._backend = 0, ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            console=self._console, refresh_per_second=REFRESH_HZ, get_renderable=self.render
        )
        self._live.start(refresh=True)
        return self

    def close(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def write(self, record: dict[str, Any]) -> None:
        with self._lock:
            if record["type"] == "start":
                self._grid_hz, self._backend = record["grid_hz"], record["backend"]
                self._rows |= {entry["source"]: _Row() for entry in record["sources"]}
                return
            row = self._rows.setdefault(record["source"], _Row())
            if record["type"] == "event":
                self._event(row, record)
            elif record["type"] == "state":
                row.state, row.detail = record["state"], record["detail"]
            elif record["type"] == "warning":
                row.state = record["kind"] if record["kind"] in STATE_STYLES else "warning"
                row.detail = record["detail"]
            elif record["type"] == "gap":
                row.detail = f"gap: {record['reason']}"
            elif record["type"] == "end":
                dropped = ", ".join(
                    f"{count} dropped: {cause}" for cause, count in record["drops"].items()
                )
                row.state, row.detail = "ended", record.get("error") or dropped

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        with self._lock:
            row = self._rows.setdefault(frame.source, _Row())
            used = [view for view in views if view.quality > 0]
            row.state, row.faces = "live", len(used)
            row.note = next((view.note for view in views if view.note), "")
            if used:
                row.measured_hz, row.latency_ms = used[0].measured_hz, used[0].latency_ms
                row.quality = min(view.quality for view in used)

    def _event(self, row: _Row, record: dict[str, Any]) -> None:
        if record["status"] == "withdrawn":
            self._events.pop(record["id"], None)
            return
        row.events += record["status"] == "final"
        self._events[record["id"]] = record
        while len(self._events) > KEPT_EVENTS:
            self._events.popitem(last=False)

    def render(self) -> RenderableType:
        """What rich draws now."""
        with self._lock:
            told = Text("   ".join([*self.notes, CAVEAT, "ctrl-C ends"]), style="dim")
            details = [
                Text(f"{source}: {words}", "dim")
                for source, row in self._rows.items()
                if (words := _detail(row))
            ]
            return Group(self._sources(), *details, Text(), self._recent(), Text(), told)

    def _sources(self) -> Table:
        table = Table(
            title=Text(f"microspot  {self._backend}", "bold"),
            title_justify="left",
            box=None,
            padding=(0, 2, 0, 0),
        )
        table.add_column("source", overflow="ellipsis", no_wrap=True, min_width=8)
        table.add_column("state", no_wrap=True)
        for name in ("rate/trained", "latency", "quality", "faces", "events"):
            table.add_column(name, justify="right", no_wrap=True)
        for source, row in self._rows.items():
            state = Text(row.state, style=STATE_STYLES.get(row.state, ""))
            seen = [f"{row.latency_ms:.0f} ms", f"{row.quality:.2f}"] if row.faces else ["", ""]
            figures = [*seen, *map(str, (row.faces, row.events))]
            table.add_row(Text(source), state, self._rate(row), *figures)
        return table

    def _rate(self, row: _Row) -> Text:
        if not row.measured_hz:
            return Text(f"- / {self._grid_hz} Hz")
        far = self._grid_hz > 0 and abs(row.measured_hz / self._grid_hz - 1) > RATE_TOLERANCE
        return Text(f"{row.measured_hz:.1f} / {self._grid_hz} Hz", style="yellow" if far else "")

    def _recent(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for event in self._events.values():
            table.add_row(*_line(event))
        return table


def _detail(row: _Row) -> str:
    """What a source's second line says: what there is to say of a face, else what was last heard."""
    return row.note if row.note and row.state == "live" else row.detail


def _line(event: dict[str, Any]) -> list[Text]:
    """An event in five cells: when, how long, what, how sure, where."""
    final = event["status"] == "final"
    name, share = name_and_share(event)
    length = 1000 * (event["offset_s"] - event["onset_s"])
    where = f"{event['source']}, face {event['face'] + 1}"
    cells = [f"{event['onset_s']:.2f} s", f"{length:.0f} ms", name, f"{share:.0%}", where]
    styles = ["", "", "bold", "bold", "dim"] if final else ["yellow"] * len(cells)
    return [Text(cell, style) for cell, style in zip(cells, styles, strict=True)]
