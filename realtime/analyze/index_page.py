"""A page over many analysed videos: one row for each, sortable, with totals by folder.

One file that needs nothing else and opens without a network; each row leads to the video's report.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

from microspot.engines.text.redaction import printable

from ..overlay.draw import CAVEAT
from ..sinks.html_report import STYLE
from .one_video import REPORT, Analysis

MINUTE_S = 60.0
COLUMNS = ("video", "folder", "length", "face seen", "micro-expressions", "a minute", "remarks")
# A click on a head sorts by its column, a second one the other way round.
SCRIPT = """
for (const [column, head] of document.querySelectorAll("#videos th").entries()) {
  const button = head.querySelector("button");
  button.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = document.querySelector("#videos tbody");
    const key = row => row.children[column].dataset.key;
    const number = row => Number(key(row) || -1);
    const numbers = [...body.rows].every(row => !isNaN(number(row)));
    const order = (a, b) => numbers ? number(a) - number(b) : key(a).localeCompare(key(b));
    body.append(...[...body.rows].sort((a, b) => up ? order(a, b) : order(b, a)));
  });
}
"""
MORE_STYLE = (
    "th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid}"
    'th[aria-sort="ascending"] button:after{content:" \\2191"}'
    'th[aria-sort="descending"] button:after{content:" \\2193"}'
)


def page(analyses: Sequence[Analysis]) -> str:
    """The page of all videos."""
    heads = "".join(f"<th><button>{name}</button></th>" for name in COLUMNS)
    rows = "".join(_row(analysis) for analysis in analyses)
    events = sum(analysis.events for analysis in analyses)
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>microspot: {len(analyses)} videos</title><style>{STYLE}{MORE_STYLE}</style>",
            f"<h1>{len(analyses)} videos</h1>",
            f"<p>{events} micro-expressions in {_length(sum(a.seconds for a in analyses))}. ",
            "A minute means a minute in which a face was seen.</p>",
            f'<table id="videos"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>',
            _totals(analyses),
            f"<p class=quiet>{CAVEAT}. Ask the people before you show this to others.</p>",
            f"<script>{SCRIPT}</script></html>\n",
        ]
    )


def _row(analysis: Analysis) -> str:
    link = f'<a href="{quote(analysis.folder)}/{REPORT}">{_text(analysis.video)}</a>'
    cells: list[tuple[float | str, str]] = [
        (analysis.video, link),
        (analysis.group, _text(analysis.group)),
        (analysis.seconds, _length(analysis.seconds)),
        (analysis.seen_s, _share(analysis.seen_s, analysis.seconds)),
        (analysis.events, str(analysis.events)),
        _rate([analysis]),
        (len(analysis.warnings), _text("; ".join(analysis.warnings))),
    ]
    return f"<tr>{''.join(_cell(key, shown) for key, shown in cells)}</tr>"


def _totals(analyses: Sequence[Analysis]) -> str:
    """A table with a row for each folder; nothing where all lie in one."""
    groups = sorted({analysis.group for analysis in analyses})
    if len(groups) < 2:
        return ""
    rows = []
    for group in groups:
        inside = [analysis for analysis in analyses if analysis.group == group]
        events = sum(analysis.events for analysis in inside)
        length = _length(sum(analysis.seconds for analysis in inside))
        _, rate = _rate(inside)
        cells = (_text(group or "samples"), str(len(inside)), length, str(events), rate)
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = ("folder", "videos", "length", "micro-expressions", "a minute")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<h2>By folder</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _rate(analyses: Sequence[Analysis]) -> tuple[float | str, str]:
    """MEs in a minute of a seen face: to sort by, and to show."""
    seen_s = sum(analysis.seen_s for analysis in analyses)
    if not seen_s:
        return "", ""
    rate = sum(analysis.events for analysis in analyses) * MINUTE_S / seen_s
    return rate, f"{rate:.1f}"


def _cell(key: float | str, shown: str) -> str:
    return f'<td data-key="{html.escape(printable(str(key)))}">{shown}</td>'


def _text(text: str) -> str:
    return html.escape(printable(text))


def _length(seconds: float) -> str:
    """A time such as 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}"


def _share(part: float, whole: float) -> str:
    return f"{min(part / whole, 1):.0%}" if whole else ""
