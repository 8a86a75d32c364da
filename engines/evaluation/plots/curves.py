"""Curves over the scores of spotted intervals: precision-recall, F1, false alarms a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ...data.annotations import TYPES
from ..metrics.average_precision import area, best_precision, hits_by_score
from ..metrics.candidates import Floats
from ..metrics.matching import RULES
from ..metrics.report import AVERAGE, FRAMES
from ..metrics.spotting import KINDS, OVERALL
from .drawing import legend, share_axis
from .plot import LeftOut, Plot, Scored
from .sweep import Sweep, sweeps
from .theme import LINE_STYLES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACE = {kind: place for place, kind in enumerate((*TYPES, OVERALL))}  # its colour and line
LINEAR_TO = 0.1  # false alarms a minute; above it the axis is logarithmic
LEAST_AXIS = 1.0  # false alarms a minute that it reaches in any case
LINEAR_DECADES = 0.5  # how long the linear part is drawn
CUT_OFF = "below the spotter's own threshold the curve is cut off"
CHOSEN_HERE = (
    "The highest F1 is of a threshold chosen on the very data that it scores: not a result."
)


@dataclass(frozen=True)
class PrecisionRecall:
    """recall, precision: (D,) by falling score, precision the best at a recall or above.

    average: the area, which is the average precision; truths: how many there are.
    """

    recall: Floats
    precision: Floats
    average: float
    truths: int


def curves(scored: Scored) -> list[Plot | LeftOut]:
    """Precision-recall, F1 against threshold, false alarms a minute against recall."""
    why = _why_not(scored)
    if why:
        return [LeftOut("precision-recall, F1 against threshold and false alarms", why)]
    found = sweeps(scored)
    drawn: list[Plot | LeftOut] = [
        precision_recall_plot(precision_recall(scored), scored),
        f1_plot(found, scored),
    ]
    if scored.minutes:
        return [*drawn, false_alarm_plot(found, scored.minutes, scored)]
    why = "the length of the videos is not known: give --videos"
    return [*drawn, LeftOut("false alarms against recall", why)]


def _why_not(scored: Scored) -> str:
    """Why there are no curves; empty where there are."""
    if not scored.found:
        return "no interval was spotted"
    if not scored.kinds:
        return f"the truth has no {' and no '.join(scored.emits)} interval"
    missing = sum(row.score is None for row in scored.found)
    if missing:
        rows = f"{missing} of {len(scored.found)} spotted intervals have"
        return f"{rows} no score: fill the column score in every row"
    return ""


def precision_recall(scored: Scored) -> dict[str, PrecisionRecall]:
    """The curve of each kind, by the count of average precision at the IoU of `scored`."""
    compared = scored.compared
    hit = hits_by_score(compared.candidates(scored.iou), compared.spotted)
    score = compared.spotted.score
    of_truth, of_found = compared.kinds()
    curves = {}
    for kind in scored.kinds:
        places = [TYPES.index(each) for each in KINDS[kind]]
        truths = int(np.isin(of_truth, places).sum())
        own = np.isin(of_found, places)
        right, precision = best_precision(score[own], hit[own])
        average = area(score[own], hit[own], truths)
        curves[kind] = PrecisionRecall(right / truths, precision, average, truths)
    return curves


def precision_recall_plot(found: Mapping[str, PrecisionRecall], scored: Scored) -> Plot:
    """Steps, whose area is the average precision."""

    def draw(axes: Axes, theme: Theme) -> None:
        for kind, curve in found.items():
            x = [0.0, *curve.recall]
            y = [*curve.precision[:1], *curve.precision]
            name = f"{kind}: AP {curve.average:.3f}"
            _line(axes, theme, kind, x[: len(y)], y, name, "steps-pre")
        share_axis(axes, "x", "recall")
        share_axis(axes, "y", "precision")
        legend(axes)

    said = [
        f"{kind}: average precision {curve.average:.3f} of {curve.truths} truths, "
        f"highest recall {curve.recall.max(initial=0):.3f}"
        for kind, curve in found.items()
    ]
    protocol = f"IoU {scored.iou:g}, frames {FRAMES}; {AVERAGE}: {CUT_OFF}."
    return Plot(
        "precision_recall", "Precision-recall", protocol, scored.note, _sentences(said), draw
    )


def f1_plot(found: Mapping[str, Sweep], scored: Scored) -> Plot:
    """Steps: intervals of a score at or above the threshold count."""

    def draw(axes: Axes, theme: Theme) -> None:
        for kind, sweep in found.items():
            best = int(np.argmax(sweep.f1))
            name = f"{kind}: highest {sweep.f1[best]:.3f} at {sweep.thresholds[best]:.4g}"
            _line(axes, theme, kind, sweep.thresholds, sweep.f1, name, "steps-pre")
            color = theme.series[PLACE[kind]]
            axes.plot(sweep.thresholds[best], sweep.f1[best], "o", color=color, clip_on=False)
        share_axis(axes, "y", "F1", max(sweep.f1.max() for sweep in found.values()))
        axes.set_xlabel("least score of a spotted interval")
        legend(axes)

    said = [f"{kind}: {_f1_numbers(sweep)}" for kind, sweep in found.items()]
    protocol = f"{_by_rule(scored)} {CHOSEN_HERE} Only of what the table holds: {CUT_OFF}."
    alt = _sentences(said)
    return Plot("f1_threshold", "F1 against threshold", protocol, scored.note, alt, draw)


def _f1_numbers(sweep: Sweep) -> str:
    best = int(np.argmax(sweep.f1))
    return (
        f"F1 {sweep.f1[0]:.3f} with all spotted intervals, whose lowest score is "
        f"{sweep.thresholds[0]:.4g}; highest {sweep.f1[best]:.3f} at {sweep.thresholds[best]:.4g}"
    )


def false_alarm_plot(found: Mapping[str, Sweep], minutes: float, scored: Scored) -> Plot:
    """Recall over false alarms a minute, a point for each threshold."""

    def draw(axes: Axes, theme: Theme) -> None:
        for kind, sweep in found.items():
            alarms = sweep.false_alarms(minutes)
            _line(axes, theme, kind, alarms, sweep.recall, kind, "default")
            color = theme.series[PLACE[kind]]
            axes.plot(alarms[0], sweep.recall[0], "o", color=color, clip_on=False)
        axes.set_xscale("symlog", linthresh=LINEAR_TO, linscale=LINEAR_DECADES, subs=range(2, 10))
        most = max(float(sweep.false_alarms(minutes).max()) for sweep in found.values())
        axes.set_xlim(-LINEAR_TO / 20, 1.1 * max(most, LEAST_AXIS))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(f"false alarms a minute (logarithmic above {LINEAR_TO:g})")
        share_axis(axes, "y", "recall", max(sweep.recall.max() for sweep in found.values()))
        legend(axes)

    said = [f"{kind}: {_alarm_numbers(sweep, minutes)}" for kind, sweep in found.items()]
    protocol = (
        f"{_by_rule(scored)} {minutes:.4g} minutes of video. The dots are of all spotted intervals "
        f"of the table: {CUT_OFF}."
    )
    return Plot(
        "false_alarms",
        "Recall against false alarms a minute",
        protocol,
        scored.note,
        _sentences(said),
        draw,
    )


def _alarm_numbers(sweep: Sweep, minutes: float) -> str:
    """Of all rows, and of the highest recall that no false alarm costs."""
    alarms = sweep.false_alarms(minutes)
    without = float(sweep.recall[alarms == 0].max(initial=0))
    return (
        f"recall {sweep.recall[0]:.3f} at {alarms[0]:.4g} false alarms a minute with all spotted "
        f"intervals; {without:.3f} without any false alarm"
    )


def _by_rule(scored: Scored) -> str:
    rule = f"Rule {scored.rule}: {RULES[scored.rule]}."
    return f"{rule} IoU {scored.iou:g}, frames {FRAMES}; pooled over all videos."


def _sentences(said: list[str]) -> str:
    return "".join(f"{each}. " for each in said).rstrip()


def _line(
    axes: Axes, theme: Theme, kind: str, x: ArrayLike, y: ArrayLike, name: str, steps: str
) -> None:
    place = PLACE[kind]
    axes.plot(
        x,
        y,
        color=theme.series[place],
        linestyle=LINE_STYLES[place],
        linewidth=2,
        drawstyle=steps,
        label=name,
    )
