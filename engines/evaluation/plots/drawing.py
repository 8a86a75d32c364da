"""Figures drawn by matplotlib, which is imported when the first one is.

The same bytes for the same figure: no date and no version in a file, matplotlib's own font, and
nothing from a person's matplotlibrc.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import UsageError, install
from ...text.redaction import printable
from .plot import Plot
from .theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
WIDTH = 8.0
TOP = 0.65  # margin that holds title and legend
RIGHT = 0.25
FOOT_LINE = 0.145
MARGIN = 0.12

DPI = 150
FOOT_COLUMNS = 144  # characters of FOOT_POINTS that fit into WIDTH
FOOT_POINTS = 7.5
TITLE_POINTS = 13
LEGEND_COLUMNS = 3


def need_matplotlib() -> None:
    """Raise UsageError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(f"plots need matplotlib: {install('plots')}") from error


def png(plot: Plot, theme: Theme) -> bytes:
    """A figure as PNG. Raises UsageError without matplotlib."""
    need_matplotlib()
    file = io.BytesIO()
    with _style(theme):
        figure(plot, theme).savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def figure(plot: Plot, theme: Theme) -> Figure:
    """The figure with title, axes, protocol and note. Raises UsageError without matplotlib."""
    need_matplotlib()
    from matplotlib.figure import Figure

    protocol = textwrap.wrap(plot.protocol, FOOT_COLUMNS)
    note = textwrap.wrap(plot.note, FOOT_COLUMNS)
    foot = MARGIN + FOOT_LINE * (len(protocol) + len(note))
    height = TOP + plot.height + plot.below + foot
    with _style(theme):
        drawn = Figure(figsize=(WIDTH, height))
        x = MARGIN / WIDTH
        width = (WIDTH - plot.left - RIGHT) / WIDTH
        bottom = (foot + plot.below) / height
        axes = drawn.add_axes((plot.left / WIDTH, bottom, width, plot.height / height))
        top = 1 - MARGIN / height
        drawn.text(x, top, plot.title, size=TITLE_POINTS, weight="bold", va="top")
        foot_text: dict[str, Any] = {"size": FOOT_POINTS, "va": "bottom", "linespacing": 1.3}
        below = MARGIN / 2 / height
        drawn.text(x, below, "\n".join(note), color=theme.wrong, **foot_text)
        above_note = below + FOOT_LINE * len(note) / height
        drawn.text(x, above_note, "\n".join(protocol), color=theme.dim, **foot_text)
        plot.draw(axes, theme)
    return drawn


@contextmanager
def _style(theme: Theme) -> Iterator[None]:
    """Matplotlib's default style in our colours; no text is read as a formula."""
    import matplotlib.style

    ours = {
        "font.family": ["DejaVu Sans"],  # comes with matplotlib
        "font.size": 9,
        "text.parse_math": False,
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.dim,
        "axes.labelcolor": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "text.color": theme.ink,
        "xtick.color": theme.dim,
        "ytick.color": theme.dim,
        "legend.frameon": False,
    }
    with warnings.catch_warnings(), matplotlib.style.context(["default", ours]):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names of videos
        yield


def share_axis(axes: Axes, which: str, name: str, most: float = 1.0) -> None:
    """Let an axis, x or y, run from 0 to 1, or to what some rules count beyond it."""
    limits = (-0.02, 1.02 * max(most, 1.0))
    axes.set(**{f"{which}lim": limits, f"{which}label": name})
    axes.grid(True, linewidth=0.6)


def legend(axes: Axes) -> None:
    """Name the curves above the axes, where no curve is."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=LEGEND_COLUMNS)


def shortened(name: str, columns: int) -> str:
    """A name in so many characters, shortened in its middle."""
    name = printable(name)
    if len(name) <= columns:
        return name
    end = columns // 2
    return f"{name[: columns - end - 1]}…{name[-end:]}"
