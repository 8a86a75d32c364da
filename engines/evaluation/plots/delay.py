"""How long decisions took: their cumulative distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..metrics.candidates import Floats
from ..metrics.delays import delay_report
from .drawing import legend, share_axis
from .plot import LeftOut, Plot
from .theme import LINE_STYLES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PROTOCOL = (
    "Stream time from the end of each spotted interval to its final decision; hits and false "
    "alarms alike, pooled over all videos. What computing takes is not in it."
)
QUANTILES = {"p50": "median", "p95": "95 % within"}  # marked


def distribution(delays_s: Sequence[float]) -> tuple[Floats, Floats]:
    """Distinct delays (D,) in s, rising, and the share (D,) of decisions after as long or less."""
    values, counts = np.unique(np.asarray(delays_s, np.float64), return_counts=True)
    return values, np.cumsum(counts) / counts.sum()


def delay_plot(delays_s: Sequence[float], note: str) -> Plot | LeftOut:
    """Steps that rise to 1, with median and 95 % marked."""
    report = delay_report(delays_s)
    if report is None:
        return LeftOut("decision delay", "no interval was spotted")

    def draw(axes: Axes, theme: Theme) -> None:
        seconds, share = distribution(delays_s)
        x = [seconds[0], *seconds, seconds[-1] * 1.05]
        y = [0, *share, 1]
        axes.plot(x, y, color=theme.series[0], linewidth=2, drawstyle="steps-post")
        for (name, said), line in zip(QUANTILES.items(), LINE_STYLES[1:], strict=True):
            label = f"{said} {report[name]:.3f} s"
            axes.axvline(report[name], color=theme.ink, linewidth=1.2, linestyle=line, label=label)
        legend(axes)
        share_axis(axes, "y", "share of decisions")
        axes.set_xlabel("decision delay, s")
        axes.set_xlim(left=0)

    seconds = {name: value for name, value in report.items() if name != "count"}
    figures = ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    alt = f"{report['count']} decisions: {figures}."
    return Plot("decision_delay", "Decision delay", PROTOCOL, note, alt, draw)
