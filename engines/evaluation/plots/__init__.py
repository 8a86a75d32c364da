"""Figures of what `metrics` counts, as PNG and as one HTML page. Needs matplotlib (`plots`).

plot       what figures are made from, and what a figure is
sweep      counts of hits, false alarms and misses as the least score rises
curves     precision-recall, F1 against threshold, recall against false alarms a minute
timeline   truth and spotted intervals of each video
confusion  of labels
delay      how long decisions took
choice     which figures there are, and which are left out
theme      light and dark
drawing    the bytes of a figure
page       all figures in one page
folder     where they are written
"""

from .choice import interval_plots, label_plots
from .folder import check_folder, write_plots
from .plot import LeftOut, Plot, Scored

__all__ = [
    "LeftOut",
    "Plot",
    "Scored",
    "check_folder",
    "interval_plots",
    "label_plots",
    "write_plots",
]
