"""Weights of an even grid made into weights of the fine one, as a start for training.

The fine grid has twice the cells and half the channels of the last layer, so that no start can be
equal. The channels that its readers weigh most stay. What a reader gave to the largest value of a
cell it gives in parts to the finer cells on the same places: the same for a wide movement, less for
one at a single place. Not from the papers.

Shape letters: C channels that stay, E cells of the even grid, F of the fine one, L feature.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..networks.grid import EvenGrid, FineGrid

LAST = ("encoder.convs.3", "encoder.norms.3")  # what makes the channels
READERS = ("temporal.first.weight", "refiner.first.weight")  # (out, L, ticks)


def is_of_even_grid(given: dict[str, Tensor], own: dict[str, Tensor]) -> bool:
    """Whether the last layer that is given has twice the channels, for as long a feature."""
    name = f"{LAST[0]}.weight"
    if name not in given or name not in own:
        return False
    as_long = given[READERS[0]].shape[1] == own[READERS[0]].shape[1]
    return as_long and len(given[name]) == 2 * len(own[name])


def refined(given: dict[str, Tensor], side: int) -> dict[str, Tensor]:
    """The given weights for the fine grid of `side` x `side` places."""
    parts = _parts(side)  # (F, E)
    cells = parts.shape[1]
    importance = sum(_by_cell(given[name], cells).square().sum((0, 2, 3)) for name in READERS)
    assert isinstance(importance, Tensor)
    kept = importance.argsort(descending=True)[: len(importance) // 2].sort().values
    found = dict(given)
    for name, tensor in given.items():
        if name.startswith(LAST) and tensor.ndim:
            found[name] = tensor[kept]
        if name in READERS:
            reader = _by_cell(tensor, cells)[:, kept]  # (out, C, E, ticks)
            found[name] = torch.einsum("oket,fe->okft", reader, parts).flatten(1, 2)
    return found


def _by_cell(reader: Tensor, cells: int) -> Tensor:
    """Weights (out, L, ticks) by channel and cell."""
    by_cell: Tensor = reader.unflatten(1, (-1, cells))  # type: ignore[no-untyped-call]
    return by_cell


def _parts(side: int) -> Tensor:
    """(F, E) what each finer cell takes over of a cell; the parts of a cell sum to 1."""
    even = _places(EvenGrid(side), side)
    fine = _places(FineGrid(side), side)
    shared = fine @ even.T / fine.sum(1, keepdim=True)
    return shared / shared.sum(0, keepdim=True)


def _places(grid: EvenGrid | FineGrid, side: int) -> Tensor:
    """(cells, side side) 1 where a place reaches a cell."""
    single = torch.eye(side * side).view(-1, 1, side, side)
    reached: Tensor = grid(single)
    return (reached > 0).float().T
