"""A page for one analysed source: what was found, when, how sure. One HTML file that needs nothing else.

It holds no picture of anybody. Drawings are inline SVG, so that it prints, and opens without a network.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from microspot.engines.redaction import printable

from ..gaps import joined
from ..overlay.draw import CAVEAT
from ..overlay.event_text import name_and_share
from ..records import Gap
from .atomic_file import check_writable, replace_file
from .base import Sink

WIDTH, HEIGHT, CURVE = 900, 56, (120, 28)  # of the drawings, in CSS pixels
COLORS = (
    "#d55e00",
    "#009e73",
    "#56b4e9",
    "#cc79a7",
    "#b8860b",
)  # by a label's place in the label set
UNSURE = "#777777"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8885}"
    "svg{max-width:100%;height:auto}.quiet{opacity:.75}"
)


class ReportSink(Sink):
    """Writes the page when it closes, if a run began at all: until then, and where that fails, an older one stays.

    Raises DataError when it cannot be written; a place that takes no file is known at once.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._records = path, list[dict[str, Any]]()
        self._open = True
        check_writable(path)

    def write(self, record: dict[str, Any]) -> None:
        """Keep the record for the page."""
        self._records.append(record)

    def close(self) -> None:
        if (
            not self._open or not self._records
        ):  # what fails before the `start` record has its own words
            return
        self._open = False
        replace_file(self._path, page(self._records).encode("utf-8", "backslashreplace"))


def page(records: list[dict[str, Any]]) -> str:
    """The report of a run's JSON-line records (final events only)."""
    start = next(r for r in records if r["type"] == "start")
    events = [r for r in records if r["type"] == "event"]
    gaps = joined(_gap(r) for r in records if r["type"] == "gap")
    names = ", ".join(source["source"] for source in start["sources"])
    end_s = max([1.0, *(e["emitted_s"] for e in events), *(g.stop_ns / 1e9 for g in gaps)])
    frames = sum(r["frames"] for r in records if r["type"] == "end")
    title = html.escape(printable(names))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>microspot: {title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<p>{_count(len(events), 'micro-expression')} in {frames} frames. Weights {html.escape(start['engines'])}, "
        f"backend {html.escape(start['backend'])}, {start['grid_hz']} Hz.</p>{_timeline(events, gaps, end_s)}"
        f"{_table(events)}{_gaps(gaps)}<p class=quiet>{CAVEAT}. "
        f"Ask the person before you show this to others.</p></html>\n"
    )


def _count(number: int, what: str) -> str:
    return f"{number or 'No'} {what}{'' if number == 1 else 's'}"


def color(event: dict[str, Any]) -> str:
    """CSS colour of an event, by its label's place in the label set."""
    labels = list(event["label_scores"] or ())
    return (
        COLORS[labels.index(event["label"]) % len(COLORS)] if event["label"] in labels else UNSURE
    )


def _timeline(events: list[dict[str, Any]], gaps: list[Gap], end_s: float) -> str:
    def bar(start_s: float, stop_s: float, fill: str, title: str, opacity: float) -> str:
        x, width = WIDTH * start_s / end_s, max(3.0, WIDTH * (stop_s - start_s) / end_s)
        return (
            f'<rect x="{x:.1f}" y="4" width="{width:.1f}" height="{HEIGHT - 24}" fill="{fill}" '
            f'opacity="{opacity}"><title>{html.escape(title)}</title></rect>'
        )

    bars = [
        bar(g.start_ns / 1e9, g.stop_ns / 1e9, "#888888", f"no evidence: {g.reason}", 0.25)
        for g in gaps
    ]
    bars += [
        bar(
            e["onset_s"],
            e["offset_s"],
            color(e),
            f"{name_and_share(e)[0]} at {e['onset_s']:.2f} s",
            1,
        )
        for e in events
    ]
    text = f'y="{HEIGHT - 3}" font-size="12" fill="currentColor"'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Events on the time axis">'
        f'<line x1="0" y1="{HEIGHT - 18}" x2="{WIDTH}" y2="{HEIGHT - 18}" stroke="currentColor" opacity=".4"/>'
        f'{"".join(bars)}<text x="0" {text}>0 s</text>'
        f'<text x="{WIDTH}" {text} text-anchor="end">{end_s:.1f} s</text></svg>'
    )


def _table(events: list[dict[str, Any]]) -> str:
    if not events:
        return ""
    heads = ("onset", "apex", "offset", "frames", "label", "spotted", "intensity")
    rows = "".join(_row(event) for event in events)
    return f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr></thead><tbody>{rows}</tbody></table>"


def _row(event: dict[str, Any]) -> str:
    apex = "" if event["apex_s"] is None else f"{event['apex_s']:.2f} s"
    name, share = name_and_share(event)
    label = name if event["label"] is None else f"{name} {share:.0%}"
    cells = (
        f"{event['onset_s']:.2f} s", apex, f"{event['offset_s']:.2f} s",
        f"{event['onset_frame']} to {event['offset_frame']}", label, f"{event['score']:.2f}",
    )  # fmt: skip
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}<td>{_curve(event)}</td></tr>"


def _curve(event: dict[str, Any]) -> str:
    """The intensity from onset to offset as a small line."""
    values = event["intensity"] or ()
    if len(values) < 2:
        return ""
    (width, height), low, high = CURVE, min(0.0, *values), max(values)
    span = (high - low) or 1.0
    points = " ".join(
        f"{width * i / (len(values) - 1):.1f},{height - 2 - (height - 4) * (v - low) / span:.1f}"
        for i, v in enumerate(values)
    )
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="intensity">'
        f'<polyline points="{points}" fill="none" stroke="{color(event)}" stroke-width="2"/></svg>'
    )


def _gaps(gaps: list[Gap]) -> str:
    if not gaps:
        return ""
    rows = "".join(
        f"<li>{gap.start_ns / 1e9:.2f} to {gap.stop_ns / 1e9:.2f} s: {html.escape(gap.reason)}</li>"
        for gap in gaps
    )
    return f"<h2>No evidence</h2><ul>{rows}</ul>"


def _gap(record: dict[str, Any]) -> Gap:
    start_ns, stop_ns = (round(record[name] * 1e9) for name in ("start_s", "stop_s"))
    return Gap(record["source"], record["face"], start_ns, stop_ns, record["reason"])
