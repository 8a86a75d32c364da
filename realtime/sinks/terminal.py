"""The live table of `microspot watch` on a terminal: sources, below them the last events.

It fits 80 columns. A sink like the others, on rich's Live: the terminal is taken on entering and
restored on closing, also after an interrupt. rich redraws from a thread of its own, so that a
source that stalls is seen to stall; a lock keeps the rows whole.
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
from ..overlay.event_text import movement_words, name_and_share, threshold_words, whose
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
class _SourceRow:
    """What the table knows of one source; detail: what was reported last."""

    state: str = "waiting"
    detail: str = ""
    faces: int = 0
    events: int = 0
    measured_hz: float = 0.0
    latency_ms: float = 0.0
    quality: float = 0.0
    note: str = ""  # a face is small, or not used and why


class LiveTable(Sink):
    """Sources with state, rate, latency and event counts; the last events with their labels.

    console: where to draw, by default standard output.
    """

    wants_provisional = True
    draws = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._lock = threading.Lock()
        self._rows: dict[str, _SourceRow] = {}
        self._events: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._grid_hz = 0
        self._backend = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(
            console=self._console, refresh_per_second=REFRESH_HZ, get_renderable=self.render
        )
        self._live.start(refresh=True)
        return self

    def close(self) -> None:
        """Restore the terminal."""
        live = self._live
        self._live = None
        if live is not None:
            live.stop()

    def write(self, record: dict[str, Any]) -> None:
        """Bring the table up to date with a record."""
        with self._lock:
            if record["type"] == "start":
                self._grid_hz = record["grid_hz"]
                self._backend = record["backend"]
                self._rows |= {entry["source"]: _SourceRow() for entry in record["sources"]}
                return
            row = self._rows.setdefault(record["source"], _SourceRow())
            if record["type"] == "event":
                self._take_event(row, record)
            else:
                _update_state(row, record)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Take rate, latency, quality and notes from the views of a frame's faces."""
        with self._lock:
            row = self._rows.setdefault(frame.source, _SourceRow())
            used = [view for view in views if view.quality > 0]
            row.state = "live"
            row.faces = len(used)
            row.note = next((view.note for view in views if view.note), "")
            personal = [view.personal for view in used if view.personal is not None]
            if personal:
                row.detail = threshold_words(personal[0])
            if used:
                row.measured_hz = used[0].measured_hz
                row.latency_ms = used[0].latency_ms
                row.quality = min(view.quality for view in used)

    def _take_event(self, row: _SourceRow, record: dict[str, Any]) -> None:
        """Keep the newest record of an event's id; forget the event where it is withdrawn."""
        if record["status"] == "withdrawn":
            self._events.pop(record["id"], None)
            return
        if record["status"] == "final":
            row.events += 1
        self._events[record["id"]] = record
        while len(self._events) > KEPT_EVENTS:
            self._events.popitem(last=False)

    def render(self) -> RenderableType:
        """What rich draws now."""
        with self._lock:
            details = []
            for source, row in self._rows.items():
                detail = _detail(row)
                if detail:
                    details.append(Text(f"{source}: {detail}", "dim"))
            footer = Text("   ".join([*self.notes, CAVEAT, "ctrl-C ends"]), style="dim")
            return Group(self._sources(), *details, Text(), self._recent(), Text(), footer)

    def _sources(self) -> Table:
        """A line per source."""
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
            latency = f"{row.latency_ms:.0f} ms" if row.faces else ""
            quality = f"{row.quality:.2f}" if row.faces else ""
            figures = [latency, quality, str(row.faces), str(row.events)]
            table.add_row(Text(source), state, self._rate(row), *figures)
        return table

    def _rate(self, row: _SourceRow) -> Text:
        """Measured and trained rate; yellow where they differ by much."""
        if not row.measured_hz:
            return Text(f"- / {self._grid_hz} Hz")
        far = self._grid_hz > 0 and abs(row.measured_hz / self._grid_hz - 1) > RATE_TOLERANCE
        return Text(f"{row.measured_hz:.1f} / {self._grid_hz} Hz", style="yellow" if far else "")

    def _recent(self) -> Table:
        """A line for each of the last events."""
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for event in self._events.values():
            table.add_row(*_event_cells(event))
        return table


def _update_state(row: _SourceRow, record: dict[str, Any]) -> None:
    """Take state and detail from a `state`, `warning`, `gap`, `marker` or `end` record."""
    if record["type"] == "state":
        row.state = record["state"]
        row.detail = record["detail"]
    elif record["type"] == "warning":
        row.state = record["kind"] if record["kind"] in STATE_STYLES else "warning"
        row.detail = record["detail"]
    elif record["type"] == "gap":
        row.detail = f"gap: {record['reason']}"
    elif record["type"] == "marker":
        row.detail = f"marker: {record['value']}"
    elif record["type"] == "end":
        drops = [f"{count} dropped: {cause}" for cause, count in record["drops"].items()]
        row.state = "ended"
        row.detail = record.get("error") or ", ".join(drops)


def _detail(row: _SourceRow) -> str:
    """The second line of a source: the note on a face, else what was last reported."""
    return row.note if row.note and row.state == "live" else row.detail


def _event_cells(event: dict[str, Any]) -> list[Text]:
    """An event in cells: when, how long, what, how sure, where; what moved, where it says so."""
    final = event["status"] == "final"
    name, share = name_and_share(event)
    length = 1000 * (event["offset_s"] - event["onset_s"])
    where = f"{event['source']}, {whose(event)}"
    cells = [f"{event['onset_s']:.2f} s", f"{length:.0f} ms", name, f"{share:.0%}", where]
    styles = ["", "", "bold", "bold", "dim"] if final else ["yellow"] * len(cells)
    if moved := movement_words(event):
        cells.append(moved)
        styles.append("")
    return [Text(cell, style) for cell, style in zip(cells, styles, strict=True)]
