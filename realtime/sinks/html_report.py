"""A report of one run as an HTML page: what was found, when, how sure.

One file that needs nothing else. It holds pictures of a face only where they were asked for
(`microspot analyze --stills`). Drawings are inline SVG, so that the page prints, and opens without
a network.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from microspot.engines.text.redaction import printable

from ..gaps import joined
from ..overlay.draw import CAVEAT
from ..overlay.event_text import described, name_and_share, whose
from ..records import Gap
from .atomic_file import check_writable, replace_file
from .base import JsonRecord, Sink, is_marker_in_recording
from .report_pictures import STYLE as PICTURE_STYLE
from .report_pictures import EventPictures, anchor, section

TIMELINE_WIDTH = 900  # of the drawings, in CSS pixels
TIMELINE_HEIGHT = 56
CURVE_WIDTH = 120
CURVE_HEIGHT = 28
# By a label's place in the label set.
COLORS = ("#d55e00", "#009e73", "#56b4e9", "#cc79a7", "#b8860b")
UNSURE = "#777777"
GAP_COLOR = "#888888"
STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;"
    "overflow-wrap:break-word}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8885}"
    "svg{max-width:100%;height:auto}.quiet{opacity:.75}"
)
# Black on white, whole rows, no heading without what it heads, and times on one line; the words in
# a drawing are as large as those beside it, though the drawing is not.
PRINT_STYLE = (
    "@media print{@page{margin:15mm}:root{color-scheme:light}"
    "body{font-size:10.5pt;max-width:none;margin:0;padding:0}"
    "h1,h2,h3{break-after:avoid}tr,li{break-inside:avoid}"
    "th,td{padding:.25rem .4rem}td{overflow-wrap:anywhere;min-width:3.5em}"
    ".events td:nth-child(-n+4){white-space:nowrap}.events td:nth-child(6){min-width:15em}"
    "a{color:inherit}.quiet{opacity:1}svg text{font-size:16px}}"
)
COLUMNS = ("onset", "apex", "offset", "frames", "of", "label", "spotted", "intensity")


class ReportSink(Sink):
    """Writes the page when it closes, provided that a run began.

    Until then, and where writing fails, the page of an earlier run stays. Raises DataError when the
    page cannot be written; a path that takes no file is refused at once. pictures: of events, by
    their ids; sections: give further parts of the page, as HTML, when it is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: list[JsonRecord] = []
        self.pictures: dict[str, EventPictures] = {}
        self.sections: tuple[Callable[[], str], ...] = ()
        self._open = True
        check_writable(path)

    def write(self, record: JsonRecord) -> None:
        """Keep the record for the page."""
        self._records.append(record)

    def close(self) -> None:
        """Write the page."""
        if not self._open or not self._records:  # no `start` record: another error ended the run
            return
        self._open = False
        sections = [give() for give in self.sections]
        content = page(self._records, self.pictures, sections)
        replace_file(self._path, content.encode("utf-8", "backslashreplace"))


def page(
    records: list[JsonRecord],
    pictures: Mapping[str, EventPictures] | None = None,
    sections: Iterable[str] = (),
) -> str:
    """The report of a run's JSON-line records, of which events are final ones only.

    pictures: of events, by their ids; sections: further parts, as HTML.
    """
    pictures = pictures or {}
    start = next(record for record in records if record["type"] == "start")
    events = [record for record in records if record["type"] == "event"]
    markers = [record for record in records if is_marker_in_recording(record)]
    gaps = joined(_gap(record) for record in records if record["type"] == "gap")
    frames = sum(record["frames"] for record in records if record["type"] == "end")
    names = ", ".join(source["source"] for source in start["sources"])
    title = html.escape(printable(names))
    event_ends_s = [event["emitted_s"] for event in events]
    gap_ends_s = [gap.stop_ns / 1e9 for gap in gaps]
    marker_times_s = [marker["at_s"] for marker in markers]
    end_s = max([1.0, *event_ends_s, *gap_ends_s, *marker_times_s])
    found = _count(len(events), "micro-expression")
    weights = html.escape(start["engines"])
    backend = html.escape(start["backend"])
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>microspot: {title}</title><style>{STYLE}{PRINT_STYLE}{PICTURE_STYLE}</style>",
        f"<h1>{title}</h1>",
        f"<p>{found} in {frames} frames. Weights {weights}, backend {backend}, ",
        f"{start['grid_hz']} Hz.</p>",
        _timeline(events, gaps, markers, end_s),
        _event_table(events, pictures),
        _marker_list(markers),
        _gap_list(gaps),
        section(events, pictures),
        *sections,
        f"<p class=quiet>{CAVEAT}. Ask the person before you show this to others.</p></html>\n",
    ]
    return "".join(parts)


def _count(number: int, noun: str) -> str:
    """A number and its noun, such as "No events", "1 event", "2 events"."""
    plural = "" if number == 1 else "s"
    return f"{number or 'No'} {noun}{plural}"


def css_color(event: JsonRecord) -> str:
    """CSS colour of an event, by its label's place in the label set."""
    labels = list(event["label_scores"] or ())
    if event["label"] not in labels:
        return UNSURE
    return COLORS[labels.index(event["label"]) % len(COLORS)]


def _timeline(
    events: list[JsonRecord], gaps: list[Gap], markers: list[JsonRecord], end_s: float
) -> str:
    """An SVG of all gaps, events and markers from 0 to `end_s` seconds."""

    def bar(start_s: float, stop_s: float, fill: str, title: str, opacity: float) -> str:
        x = TIMELINE_WIDTH * start_s / end_s
        width = max(3.0, TIMELINE_WIDTH * (stop_s - start_s) / end_s)
        return (
            f'<rect x="{x:.1f}" y="4" width="{width:.1f}" height="{TIMELINE_HEIGHT - 24}" '
            f'fill="{fill}" opacity="{opacity}"><title>{html.escape(title)}</title></rect>'
        )

    bars = []
    for gap in gaps:
        title = f"no evidence: {gap.reason}"
        bars.append(bar(gap.start_ns / 1e9, gap.stop_ns / 1e9, GAP_COLOR, title, 0.25))
    for event in events:
        name, _ = name_and_share(event)
        title = f"{name} at {event['onset_s']:.2f} s"
        bars.append(bar(event["onset_s"], event["offset_s"], css_color(event), title, 1))
    axis_y = TIMELINE_HEIGHT - 18
    for marker in markers:
        x = TIMELINE_WIDTH * marker["at_s"] / end_s
        title = html.escape(f"marker {marker['value']} at {marker['at_s']:.2f} s")
        bars.append(
            f'<line x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{axis_y}" stroke="currentColor" '
            f'stroke-width="1.5" stroke-dasharray="3 2"><title>{title}</title></line>'
        )
    text = f'y="{TIMELINE_HEIGHT - 3}" font-size="12" fill="currentColor"'
    return (
        f'<svg viewBox="0 0 {TIMELINE_WIDTH} {TIMELINE_HEIGHT}" role="img" '
        'aria-label="Events on the time axis">'
        f'<line x1="0" y1="{axis_y}" x2="{TIMELINE_WIDTH}" y2="{axis_y}" '
        'stroke="currentColor" opacity=".4"/>'
        f'{"".join(bars)}<text x="0" {text}>0 s</text>'
        f'<text x="{TIMELINE_WIDTH}" {text} text-anchor="end">{end_s:.1f} s</text></svg>'
    )


def _event_table(events: list[JsonRecord], pictures: Mapping[str, EventPictures]) -> str:
    """A table with a row per event; nothing without events."""
    if not events:
        return ""
    heads = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = "".join(_event_row(event, event["id"] in pictures) for event in events)
    return f"<table class=events><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _event_row(event: JsonRecord, pictured: bool) -> str:
    onset = f"{event['onset_s']:.2f} s"
    texts = [
        "" if event["apex_s"] is None else f"{event['apex_s']:.2f} s",
        f"{event['offset_s']:.2f} s",
        f"{event['onset_frame']} to {event['offset_frame']}",
        whose(event),
        described(event),
        f"{event['score']:.2f}",
    ]
    first = f'<a href="#{anchor(event)}">{onset}</a>' if pictured else onset
    cells = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    return f"<tr><td>{first}</td>{cells}<td>{_intensity_curve(event)}</td></tr>"


def _intensity_curve(event: JsonRecord) -> str:
    """The intensity from onset to offset as a small line; nothing without two values."""
    values = event["intensity"] or ()
    if len(values) < 2:
        return ""
    low = min(0.0, *values)
    span = (max(values) - low) or 1.0
    points = []
    for i, value in enumerate(values):
        x = CURVE_WIDTH * i / (len(values) - 1)
        y = CURVE_HEIGHT - 2 - (CURVE_HEIGHT - 4) * (value - low) / span
        points.append(f"{x:.1f},{y:.1f}")
    return (
        f'<svg width="{CURVE_WIDTH}" viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" role="img" '
        'aria-label="intensity">'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{css_color(event)}" '
        'stroke-width="2"/></svg>'
    )


def _marker_list(markers: list[JsonRecord]) -> str:
    """A list of the stimulus markers; nothing without markers."""
    if not markers:
        return ""
    items = [f"<li>{m['at_s']:.3f} s: {html.escape(m['value'])}</li>" for m in markers]
    return f"<h2>Markers</h2><ul>{''.join(items)}</ul>"


def _gap_list(gaps: list[Gap]) -> str:
    """A list of the times without evidence; nothing without gaps."""
    if not gaps:
        return ""
    items = []
    for gap in gaps:
        times = f"{gap.start_ns / 1e9:.2f} to {gap.stop_ns / 1e9:.2f} s"
        items.append(f"<li>{times}: {html.escape(gap.reason)}</li>")
    return f"<h2>No evidence</h2><ul>{''.join(items)}</ul>"


def _gap(record: JsonRecord) -> Gap:
    """A `gap` JSON line as the Gap that it was made from."""
    start_ns = round(record["start_s"] * 1e9)
    stop_ns = round(record["stop_s"] * 1e9)
    return Gap(record["source"], record["face"], start_ns, stop_ns, record["reason"])
