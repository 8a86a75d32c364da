"""The folder of figures: a PNG for each, and the page of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from ...errors import DataError
from .drawing import need_matplotlib, png
from .page import Drawn, page
from .plot import LeftOut, Plot
from .theme import DARK, LIGHT

INDEX = "index.html"


def check_folder(folder: Path) -> None:
    """Make the folder before anything long runs.

    Raises UsageError without matplotlib, DataError where the folder holds something or cannot be
    written.
    """
    need_matplotlib()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DataError(f"{folder}: is not empty; name a new or an empty folder for the plots")
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def write_plots(plots: Sequence[Plot | LeftOut], folder: Path) -> list[LeftOut]:
    """Write a PNG of each figure and the page of all; return the figures that are left out.

    The same bytes for the same figures. Raises DataError where a file cannot be written.
    """
    figures = [
        Drawn(plot, png(plot, LIGHT), png(plot, DARK)) for plot in plots if isinstance(plot, Plot)
    ]
    left_out = [plot for plot in plots if isinstance(plot, LeftOut)]
    files = {f"{each.plot.name}.png": each.light for each in figures}
    files[INDEX] = page(figures, left_out).encode("utf-8", "backslashreplace")
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return left_out


def _cannot_write(folder: Path, error: OSError) -> DataError:
    return DataError(f"cannot write {folder}: {error.strerror or error}")
