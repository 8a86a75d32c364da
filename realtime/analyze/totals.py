"""Totals over videos: how often MEs came, with the exact interval of their count.

The interval is of a Poisson count: it holds where all videos of a total have one rate. People
differ by more, so that two totals over several people cannot be compared by their intervals.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from microspot.engines.evaluation.rates import CONFIDENCE, MINUTE_S, MinuteRate, rate_per_min
from microspot.engines.text.redaction import printable

from .one_video import Analysis

HEADS = (
    "videos",
    "length",
    "micro-expressions",
    "minutes of faces",
    "a minute",
    f"{CONFIDENCE:.0%} interval",
)

UNKNOWN = "not said"  # what a row is called whose key is ""
Key = tuple[str, ...]


@dataclass(frozen=True)
class Total:
    """What videos have together: events, their length, and how long faces were seen in them.

    seen_s: of all faces together.
    """

    videos: int
    events: int
    seconds: float
    seen_s: float

    @property
    def rate(self) -> MinuteRate | None:
        """MEs in a minute of a face, with the exact interval; None where no face was seen."""
        return rate_per_min(self.events, self.seen_s)


def total(analyses: Sequence[Analysis]) -> Total:
    """The total of videos."""
    return Total(
        len(analyses),
        sum(analysis.events for analysis in analyses),
        sum(analysis.seconds for analysis in analyses),
        sum(analysis.seen_s for analysis in analyses),
    )


def table(
    title: str, heads: Key, analyses: Sequence[Analysis], key: Callable[[Analysis], Key]
) -> str:
    """A table with a row for each `key` of the videos; nothing where no key says anything.

    heads: what the parts of a key are.
    """
    keys = sorted({key(analysis) for analysis in analyses})
    if not any(map(any, keys)):
        return ""
    rows = []
    for one in keys:
        names = [part or UNKNOWN for part in one]
        cells = [*names, *_cells(total([a for a in analyses if key(a) == one]))]
        shown = "".join(f"<td>{html.escape(printable(cell))}</td>" for cell in cells)
        rows.append(f"<tr>{shown}</tr>")
    body = "".join(rows)
    head = "".join(f"<th>{name}</th>" for name in (*heads, *HEADS))
    return f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(found: Total) -> tuple[str, ...]:
    rate = found.rate
    return (
        str(found.videos),
        length(found.seconds),
        str(found.events),
        f"{found.seen_s / MINUTE_S:.1f}",
        "" if rate is None else f"{rate.rate:.2f}",
        "" if rate is None else f"{rate.low:.2f} to {rate.high:.2f}",
    )


def length(seconds: float) -> str:
    """A time such as 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}"
