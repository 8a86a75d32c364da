"""Totals over videos: how often MEs came, with the exact interval of their count.

The interval is of a Poisson count: it holds where all videos of a total have one rate. People
differ by more, so that two totals over several people cannot be compared by their intervals.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from microspot.engines.evaluation.rates import CONFIDENCE, poisson_interval
from microspot.engines.text.redaction import printable

from .one_video import Analysis

MINUTE_S = 60.0
HEADS = (
    "videos",
    "length",
    "micro-expressions",
    "minutes with a face",
    "a minute",
    f"{CONFIDENCE:.0%} interval",
)

UNKNOWN = "not said"  # what a row is called whose key is ""
Key = tuple[str, ...]


@dataclass(frozen=True)
class Total:
    """What videos have together: events, their length, and for how long a face was seen in them."""

    videos: int
    events: int
    seconds: float
    seen_s: float

    @property
    def rate(self) -> float | None:
        """MEs in a minute in which a face was seen; None where none was."""
        return self.events * MINUTE_S / self.seen_s if self.seen_s else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the rate's exact interval [Garwood 1936]; None as for `rate`."""
        if not self.seen_s:
            return None
        low, high = poisson_interval(self.events)
        return low * MINUTE_S / self.seen_s, high * MINUTE_S / self.seen_s


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
    head = "".join(f"<th>{name}</th>" for name in (*heads, *HEADS))
    return f"<h2>{title}</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _cells(found: Total) -> tuple[str, ...]:
    rate = found.rate
    interval = found.interval
    return (
        str(found.videos),
        length(found.seconds),
        str(found.events),
        f"{found.seen_s / MINUTE_S:.1f}",
        "" if rate is None else f"{rate:.2f}",
        "" if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
    )


def length(seconds: float) -> str:
    """A time such as 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}"
