"""What was true and what was spotted along each video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from ...data.annotations import TYPES, Interval
from ..metrics.matching import RULES
from ..metrics.report import FRAMES
from .drawing import legend, shortened
from .plot import LeftOut, Plot, Scored
from .theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIDEOS = 20  # in one figure
MOST_FIGURES = 10
ROW = 0.36  # inches
LEAST_ROWS = 2
NAMES = 2.0  # inches of the margin that holds the names of videos
NAME_COLUMNS = 26  # characters of a name that fit there
LANE = 0.36  # height of truth, and of what was spotted, of a row's 1
MACRO = 0.45  # of a lane's height
LEAST_WIDTH = 0.003  # of the axis: shorter intervals are drawn so long


@dataclass(frozen=True)
class Bar:
    """An interval, both frames inclusive; hit: whether the rule counts it in a pair."""

    onset: int
    offset: int
    type: str
    hit: bool


@dataclass(frozen=True)
class Row:
    """A video, with its bars by time."""

    video: str
    truth: tuple[Bar, ...]
    found: tuple[Bar, ...]

    def numbers(self) -> str:
        """The counts in words."""
        hit = sum(bar.hit for bar in self.truth)
        alarms = sum(not bar.hit for bar in self.found)
        return f"{self.video}: {hit} of {len(self.truth)} found, false alarms: {alarms}"


def rows(scored: Scored) -> list[Row]:
    """Every video of the two tables, by name; after its subject where every row has one."""
    compared = scored.compared
    hits = compared.hits(scored.rule, scored.iou)
    videos: dict[str, tuple[list[Bar], list[Bar]]] = {}
    sides = ((scored.truth, hits.truth), (scored.found, hits.found))
    for side, (table, places) in enumerate(sides):
        hit = set(places.tolist())
        for place, row in enumerate(table):
            name = f"{row.subject} {row.video}" if compared.named else row.video
            videos.setdefault(name, ([], []))[side].append(_bar(row, place in hit))
    return [
        Row(name, _by_time(truth), _by_time(found))
        for name, (truth, found) in sorted(videos.items())
    ]


def _bar(row: Interval, hit: bool) -> Bar:
    return Bar(row.onset, row.offset, row.type, hit)


def _by_time(bars: list[Bar]) -> tuple[Bar, ...]:
    return tuple(sorted(bars, key=lambda bar: (bar.onset, bar.offset, bar.type, bar.hit)))


def timelines(scored: Scored) -> list[Plot | LeftOut]:
    """Figures of VIDEOS videos each, of the first ones where there are too many."""
    every = rows(scored)
    if not every:
        return [LeftOut("timelines", "both tables are empty")]
    shown = every[: VIDEOS * MOST_FIGURES]
    parts = [shown[first : first + VIDEOS] for first in range(0, len(shown), VIDEOS)]
    drawn: list[Plot | LeftOut] = [
        _plot(part, number if len(parts) > 1 else None, scored)
        for number, part in enumerate(parts, 1)
    ]
    if len(shown) < len(every):
        why = f"only the first {len(shown)} of {len(every)} videos by name are"
        drawn.append(LeftOut(f"timelines of {len(every) - len(shown)} videos", why))
    return drawn


def _plot(part: Sequence[Row], number: int | None, scored: Scored) -> Plot:
    """The figure of a part of the videos; `number` where there are several."""
    protocol = (
        f"Rule {scored.rule}: {RULES[scored.rule]}. IoU {scored.iou:g}, frames {FRAMES}. Above "
        "each line the truth, below it what was spotted; low bars are macro-expressions; bars of "
        "few frames are drawn wider."
    )
    return Plot(
        "timeline" if number is None else f"timeline_{number}",
        "Truth and spotted intervals" + ("" if number is None else f", part {number}"),
        protocol,
        scored.note,
        ". ".join(row.numbers() for row in part) + ".",
        partial(_draw, part),
        height=ROW * max(len(part), LEAST_ROWS),
        left=NAMES,
    )


def _draw(part: Sequence[Row], axes: Axes, theme: Theme) -> None:
    bars = [bar for row in part for bar in (*row.truth, *row.found)]
    first = min(0, *(bar.onset for bar in bars))
    last = max(bar.offset for bar in bars) + 1
    least = (last - first) * LEAST_WIDTH
    for place, row in enumerate(part):
        axes.axhline(place, color=theme.dim, linewidth=0.6)
        for kind, hit in product(TYPES, (True, False)):
            height = LANE * (MACRO if kind == "macro" else 1)
            color = theme.right if hit else theme.wrong
            for lane, bottom in ((row.truth, place - height), (row.found, place)):
                spans = [_span(bar, least) for bar in lane if (bar.type, bar.hit) == (kind, hit)]
                axes.broken_barh(spans, (bottom, height), facecolor=color, edgecolor="none")
    axes.set_ylim(len(part) - 0.5, -0.5)  # the first one on top
    axes.set_xlim(first - least, last + least)
    axes.set_yticks(range(len(part)), [shortened(row.video, NAME_COLUMNS) for row in part])
    axes.tick_params(axis="y", length=0, labelcolor=theme.ink, labelsize=8)
    axes.set_xlabel("frame")
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x", linewidth=0.6)
    for name, color in (("hit", theme.right), ("missed, or false alarm", theme.wrong)):
        axes.barh([0], [0], color=color, label=name)
    legend(axes)


def _span(bar: Bar, least: float) -> tuple[float, float]:
    """Start and width of a bar as it is drawn: `least` frames wide or more, about its middle."""
    length = bar.offset - bar.onset + 1
    width = max(length, least)
    return bar.onset - (width - length) / 2, width
