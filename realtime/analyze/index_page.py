"""A page over many analysed videos: one row for each, sortable, with totals.

One file that needs nothing else and opens without a network; each row leads to the video's report.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from urllib.parse import quote

from microspot.engines.text.redaction import printable

from ..overlay.draw import CAVEAT
from ..sinks.html_report import PRINT_STYLE, STYLE
from .conditions import Conditions
from .one_video import REPORT, Analysis
from .totals import length, table, total

COLUMNS = (
    "video",
    "folder",
    "subject",
    "condition",
    "length",
    "face seen",
    "micro-expressions",
    "a minute",
    "remarks",
)
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
INTERVAL_NOTE = (
    "<p class=quiet>An interval is that of the count alone, as if all its videos had one rate. "
    "People differ by more: do not compare groups of people by it.</p>"
)
MORE_STYLE = (
    "th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid}"
    'th[aria-sort="ascending"] button:after{content:" \\2191"}'
    'th[aria-sort="descending"] button:after{content:" \\2193"}'
)


def page(analyses: Sequence[Analysis], conditions: Conditions | None = None) -> str:
    """The page of all videos; conditions: whose they are, None where nobody says it."""
    conditions = conditions or Conditions({})
    columns = _columns(conditions)
    heads = "".join(f"<th><button>{name}</button></th>" for name in columns)
    rows = "".join(_row(analysis, conditions, columns) for analysis in analyses)
    everything = total(analyses)
    counted = f"{len(analyses)} video{'' if len(analyses) == 1 else 's'}"
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>microspot: {counted}</title><style>{STYLE}{PRINT_STYLE}{MORE_STYLE}</style>",
            f"<h1>{counted}</h1>",
            f"<p>{everything.events} micro-expressions in {length(everything.seconds)}. ",
            "A minute means a minute in which a face was seen.</p>",
            f'<table id="videos"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>',
            _totals(analyses, conditions),
            f"<p class=quiet>{CAVEAT}. Ask the people before you show this to others.</p>",
            f"<script>{SCRIPT}</script></html>\n",
        ]
    )


def _columns(conditions: Conditions) -> list[str]:
    """Those of COLUMNS in which something stands."""
    known = conditions.assignments.values()
    said = {
        "subject": any(one.subject for one in known),
        "condition": any(one.condition for one in known),
    }
    return [name for name in COLUMNS if said.get(name, True)]


def _row(analysis: Analysis, conditions: Conditions, columns: Sequence[str]) -> str:
    link = f'<a href="{quote(analysis.folder)}/{REPORT}">{_text(analysis.video)}</a>'
    known = conditions.of(analysis.folder)
    rate = total([analysis]).rate
    cells: list[tuple[float | str, str]] = [
        (analysis.video, link),
        (analysis.group, _text(analysis.group)),
        (known.subject, _text(known.subject)),
        (known.condition, _text(known.condition)),
        (analysis.seconds, length(analysis.seconds)),
        (analysis.seen_s, _share(analysis.seen_s, analysis.seconds)),
        (analysis.events, str(analysis.events)),
        ("", "") if rate is None else (rate.rate, f"{rate.rate:.1f}"),
        (len(analysis.warnings), _text("; ".join(analysis.warnings))),
    ]
    by_column = dict(zip(COLUMNS, cells, strict=True))
    return f"<tr>{''.join(_cell(*by_column[name]) for name in columns)}</tr>"


def _totals(analyses: Sequence[Analysis], conditions: Conditions) -> str:
    """Tables of totals, with a word on their intervals; nothing where there is one of each."""

    def by_folder(analysis: Analysis) -> tuple[str, ...]:
        return (analysis.group or "samples",)

    def by_subject(analysis: Analysis) -> tuple[str, ...]:
        return (conditions.of(analysis.folder).subject,)

    def by_condition(analysis: Analysis) -> tuple[str, ...]:
        return (conditions.of(analysis.folder).condition,)

    def by_both(analysis: Analysis) -> tuple[str, ...]:
        return by_subject(analysis) + by_condition(analysis)

    tables = [
        table("By subject", ("subject",), analyses, by_subject),
        table("By condition", ("condition",), analyses, by_condition),
    ]
    if all(tables):
        tables.append(
            table("By subject and condition", ("subject", "condition"), analyses, by_both)
        )
    if len(set(map(by_folder, analyses))) > 1:
        tables.append(table("By folder", ("folder",), analyses, by_folder))
    return f"{''.join(tables)}{INTERVAL_NOTE}" if any(tables) else ""


def _cell(key: float | str, shown: str) -> str:
    return f'<td data-key="{html.escape(printable(str(key)))}">{shown}</td>'


def _text(text: str) -> str:
    return html.escape(printable(text))


def _share(part: float, whole: float) -> str:
    return f"{min(part / whole, 1):.0%}" if whole else ""
