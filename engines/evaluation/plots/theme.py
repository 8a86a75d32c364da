"""Light and dark."""

from __future__ import annotations

from dataclasses import dataclass

LINE_STYLES = ("-", "--", ":")  # of the series: told apart without colours too


@dataclass(frozen=True)
class Theme:
    """Colours, of the palette of Okabe and Ito, which most colour-blind people tell apart.

    series: of curves; right, wrong: of hits, and of misses and false alarms; empty, full: of cells
    that hold none and all of a row; turn: the share from which a cell's text is in `background`.
    """

    background: str
    ink: str
    dim: str
    grid: str
    series: tuple[str, str, str]
    right: str
    wrong: str
    empty: str
    full: str
    turn: float


LIGHT = Theme(
    background="#ffffff",
    ink="#1b1f24",
    dim="#57606a",
    grid="#d8dee4",
    series=("#0072b2", "#c24e00", "#008060"),
    right="#0072b2",
    wrong="#c24e00",
    empty="#f3f6f9",
    full="#0072b2",
    turn=0.8,
)
DARK = Theme(
    background="#15181c",
    ink="#e8eaed",
    dim="#a5adb8",
    grid="#363c44",
    series=("#56b4e9", "#f5934a", "#35c79c"),
    right="#56b4e9",
    wrong="#f5934a",
    empty="#22272e",
    full="#56b4e9",
    turn=0.6,
)
