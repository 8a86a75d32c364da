"""Confusion of labels: how often each true one was predicted as each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .drawing import shortened
from .plot import BELOW, Confusion, LeftOut, Plot
from .theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LABELS = 16  # more cannot be read
MOST_SHARES = 9  # labels: in more, a cell has room for its count alone
ROW = 0.42  # inches
LEAST_ROWS = 4
NAMES = 1.7  # inches of the margin that holds the labels
SLANTED_NAMES = 1.35  # likewise, below the axes
NAME_COLUMNS = 18
SLANT = 45  # degrees
SLANTED_FROM = 6  # labels: names side by side would meet
WHAT = "confusion of labels"


def confusion_plot(confusion: Confusion | None, protocol: str, note: str) -> Plot | LeftOut:
    """Rows are true labels, columns predicted ones; a cell has its count and share of its row."""
    if not confusion:
        return LeftOut(WHAT, "no hit has a label in both tables")
    if len(confusion) > MOST_LABELS:
        return LeftOut(WHAT, f"{len(confusion)} labels, more than {MOST_LABELS} cannot be read")
    said = [
        f"true {true}: " + ", ".join(f"{count} {name}" for name, count in row.items() if count)
        for true, row in confusion.items()
        if any(row.values())
    ]
    rows = max(len(confusion), LEAST_ROWS)
    return Plot(
        "confusion",
        "Confusion of labels",
        protocol,
        note,
        ". ".join(said) + ".",
        partial(_draw, confusion),
        height=ROW * rows,
        left=NAMES,
        below=SLANTED_NAMES if len(confusion) >= SLANTED_FROM else BELOW,
    )


def counts(confusion: Confusion) -> NDArray[np.int64]:
    """(C, C), rows true labels, both in the order of the mapping."""
    return np.array([[row[name] for name in confusion] for row in confusion.values()], np.int64)


def shares(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C, C) of each row, 0 in rows without counts."""
    whole = table.sum(1, keepdims=True)
    return np.asarray(table / np.maximum(whole, 1))


def _draw(confusion: Confusion, axes: Axes, theme: Theme) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    table = counts(confusion)
    share = shares(table)
    colors = LinearSegmentedColormap.from_list("cells", [theme.empty, theme.full])
    axes.imshow(share, cmap=colors, vmin=0, vmax=1, aspect="auto")
    for cell, count in np.ndenumerate(table):
        text = f"{count}"
        if count and len(table) <= MOST_SHARES:
            text += f" ({share[cell]:.0%})"
        color = theme.background if share[cell] >= theme.turn else theme.ink
        axes.text(cell[1], cell[0], text, ha="center", va="center", color=color, size="small")
    places = range(len(table))
    names = [shortened(name, NAME_COLUMNS) for name in confusion]
    axes.set_yticks(places, names)
    if len(names) < SLANTED_FROM:
        axes.set_xticks(places, names)
    else:
        axes.set_xticks(places, names, rotation=SLANT, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelcolor=theme.ink)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted", ylabel="true")
