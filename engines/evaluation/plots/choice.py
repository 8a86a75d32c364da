"""Which figures there are of two tables of intervals, and of a table of labels."""

from __future__ import annotations

from dataclasses import replace

from ..metrics.report import LABELS
from .confusion import confusion_plot
from .curves import curves
from .delay import delay_plot
from .plot import UNKNOWN_SPOTTER, Confusion, LeftOut, Plot, Scored
from .timeline import timelines

OF_LABELS = "Labels of the table, pooled over all folds."


def interval_plots(scored: Scored) -> list[Plot | LeftOut]:
    """All figures of two tables, and why some are left out. Raises DataError as `Comparison`."""
    hits = f"Counted are {LABELS}. IoU {scored.iou:g}."
    curved = scored if scored.everything is None else replace(scored, found=scored.everything)
    plots = [*curves(curved), confusion_plot(scored.confusion, hits, scored.note)]
    if scored.delays_s is not None:
        plots.append(delay_plot(scored.delays_s, scored.note))
    return [*plots, *timelines(scored)]


def label_plots(confusion: Confusion, note: str = UNKNOWN_SPOTTER) -> list[Plot | LeftOut]:
    """The figure of a table of labels."""
    return [confusion_plot(confusion, OF_LABELS, note)]
