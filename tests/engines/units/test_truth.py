"""What a set knows of what moved."""

from __future__ import annotations

from typing import Any

import pytest

from microspot.engines.units.truth import NOTHING_KNOWN, Moved, moved_in

BROW = {"region": "brow", "side": "", "peak_px": 1.5}


@pytest.mark.parametrize(
    ("movement", "found", "reason"),
    [
        ({"units": {}}, NOTHING_KNOWN, "a set that says nothing"),
        (
            {"units": ["AU4"], **BROW},
            Moved({"AU4": ("both", 1.5)}, "brow", "both", 1.5),
            "one unit of a set without displacements of units: they are the movement's",
        ),
        (
            {"units": ["AU12L"], "region": "mouth corner", "side": "L", "peak_px": 2.0},
            Moved({"AU12": ("L", 2.0)}, "mouth corner", "L", 2.0),
            "one side",
        ),
        (
            {"units": ["AU6", "AU12"], "unit_px": [1.0, 2.0], "region": "nose-cheek", "side": ""}
            | {"peak_px": 2.0},
            Moved({"AU6": ("both", 1.0), "AU12": ("both", 2.0)}, "mouth corner", "both", 2.0),
            "the region is that of the unit that moves farthest",
        ),
        (
            {"units": ["AU6", "AU12"], "region": "nose-cheek", "side": "", "peak_px": 2.0},
            Moved({"AU6": ("both", 0.0), "AU12": ("both", 0.0)}, "", "both", 2.0),
            "two regions, and nobody wrote down which moves farther",
        ),
        (
            {"units": ["AU1", "AU2"], **BROW},
            Moved({"AU1": ("both", 0.0), "AU2": ("both", 0.0)}, "brow", "both", 1.5),
            "two units of one region",
        ),
        (
            {"units": ["AU4"], **BROW, "second": "chin"},
            Moved(None, "brow", "both", 1.5),
            "a second site, whose unit nobody knows",
        ),
        ({"units": [], **BROW, "side": "R"}, Moved(None, "brow", "R", 1.5), "a free field"),
    ],
)
def test_moved_in(movement: dict[str, Any], found: Moved, reason: str) -> None:
    assert moved_in(movement) == found, reason


def test_a_combination_is_its_units_without_sides_or_else_its_region() -> None:
    both = Moved({"AU2": ("L", 1.0), "AU1": ("L", 1.0)}, "brow", "L", 1.0)
    assert both.combination == "AU1+AU2"
    assert Moved(None, "chin", "both", 1.0).combination == "chin"
