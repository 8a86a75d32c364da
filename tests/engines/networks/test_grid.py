"""The cells of the last layer: as many values as before, and brows and lips seen more finely."""

from __future__ import annotations

import pytest
import torch

from microspot.engines.networks.grid import EvenGrid, FineGrid, bands


def test_at_the_shipped_side_brows_and_lips_have_rows_of_their_own() -> None:
    """Of 7 rows of 16 px: brows lie in the first two, lips in the fifth and sixth."""
    found = [(band.start, band.stop, band.kernel) for band in bands(7)]
    assert found == [(0, 2, (1, 2)), (2, 4, (2, 2)), (4, 6, (1, 2)), (6, 7, (1, 2))]
    assert EvenGrid(7).cells == 16
    assert FineGrid(7).cells == 32


@pytest.mark.parametrize("side", [1, 2, 3, 5, 7, 8, 14])
def test_a_grid_has_the_cells_it_says(side: int) -> None:
    for grid in (EvenGrid(side), FineGrid(side)):
        assert grid(torch.rand(2, 3, side, side)).shape == (2, 3 * grid.cells)


@pytest.mark.parametrize("side", [2, 5, 7])
def test_every_place_reaches_the_feature(side: int) -> None:
    for grid in (EvenGrid(side), FineGrid(side)):
        for place in range(side * side):
            x = torch.zeros(1, 1, side * side)
            x[..., place] = 1
            assert grid(x.view(1, 1, side, side)).max() == 1
        assert not grid(-torch.ones(1, 1, side, side)).any()


def test_neighbours_at_the_lips_are_told_apart() -> None:
    def feature(row: int, column: int) -> torch.Tensor:
        x = torch.zeros(1, 1, 7, 7)
        x[0, 0, row, column] = 1
        return FineGrid(7)(x)

    assert not torch.equal(feature(4, 2), feature(5, 2))
    assert not torch.equal(feature(4, 2), feature(4, 3))
    assert torch.equal(feature(2, 2), feature(3, 3)), "eyes and cheeks are pooled"
