"""What the heads that say what moved learn from: units, side, displacement and region of an ME.

MEs whose units the set does not know (`units.truth`) teach region, side and displacement alone. Not
from the papers.

Shape letters: B clips, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...networks.movement_heads import Movement
from ...specs import SIDES
from ...units.truth import MIRRORED, Moved

UNKNOWN = -1  # an index of a side or a region that nobody knows


@dataclass(frozen=True, eq=False)
class MovedBatch:
    """What moved in the clips of a batch.

    known (B,) bool: whether the units are known; units (B, U) 0 or 1; unit_sides (B, U): index in
    SIDES, UNKNOWN where the unit did not move; unit_px (B, U) and px (B,): px, 0 where not known;
    regions, side (B,): index or UNKNOWN.
    """

    known: Tensor
    units: Tensor
    unit_sides: Tensor
    unit_px: Tensor
    regions: Tensor
    side: Tensor
    px: Tensor


def moved_batch(
    moved: Sequence[Moved],
    mirrored: Sequence[bool],
    units: Sequence[str],
    regions: Sequence[str],
    device: str,
) -> MovedBatch:
    """The truths of a batch; in mirrored clips left is right."""
    shape = (len(moved), len(units))
    there = np.zeros(shape, np.float32)
    sides = np.full(shape, UNKNOWN)
    unit_px = np.zeros(shape, np.float32)
    of_clips = []
    for i, (one, mirror) in enumerate(zip(moved, mirrored, strict=True)):
        for name, (side, px) in (one.units or {}).items():
            if name in units:
                at = i, units.index(name)
                there[at] = 1
                sides[at] = SIDES.index(MIRRORED[side] if mirror else side)
                unit_px[at] = px
        side = MIRRORED.get(one.side, "") if mirror else one.side
        of_clips.append((_index(regions, one.region), _index(SIDES, side)))
    places = np.array(of_clips).reshape(-1, 2)
    return MovedBatch(
        known=torch.tensor([one.units is not None for one in moved], device=device),
        units=torch.from_numpy(there).to(device),
        unit_sides=torch.from_numpy(sides).to(device),
        unit_px=torch.from_numpy(unit_px).to(device),
        regions=torch.from_numpy(places[:, 0]).to(device),
        side=torch.from_numpy(places[:, 1]).to(device),
        px=torch.tensor([one.px for one in moved], dtype=torch.float32, device=device),
    )


def joined(batches: Sequence[MovedBatch]) -> MovedBatch:
    """The truths of several batches as one, on the CPU."""
    parts = {}
    for field in fields(MovedBatch):
        parts[field.name] = torch.cat([getattr(one, field.name).cpu() for one in batches])
    return MovedBatch(**parts)


def _index(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else UNKNOWN


def movement_loss(found: Movement, truth: MovedBatch) -> Tensor:
    """The mean of six losses, each over what is known; what nobody knows costs nothing.

    Binary cross-entropy of units, so that their outputs are probabilities, all units of a clip
    added up; cross-entropy of the units' sides, of region and side; Smooth L1 of the logarithms of
    displacements.
    """
    known = truth.known
    entropy = _mean(F.binary_cross_entropy_with_logits, found.units[known], truth.units[known])
    parts = [
        entropy * truth.units.shape[1],
        _classes(found.unit_sides.flatten(0, 1), truth.unit_sides.flatten()),
        _sizes(found.unit_log_px, truth.unit_px),
        _classes(found.regions, truth.regions),
        _classes(found.side, truth.side),
        _sizes(found.log_px, truth.px),
    ]
    return torch.stack(parts).mean()


def _mean(loss: Any, found: Tensor, truth: Tensor) -> Tensor:
    """A mean loss; 0 with a gradient where there is nothing to take it of."""
    value: Tensor = loss(found, truth) if truth.numel() else found.sum() * 0
    return value


def _classes(logits: Tensor, truth: Tensor) -> Tensor:
    known = truth != UNKNOWN
    return _mean(F.cross_entropy, logits[known], truth[known])


def _sizes(log_px: Tensor, px: Tensor) -> Tensor:
    known = px > 0
    return _mean(F.smooth_l1_loss, log_px[known], px[known].log())


def even_shares(moved: Sequence[Moved]) -> NDArray[np.float64]:
    """The probability (S,) of each sample, so that units and combinations are drawn evenly.

    Of the samples whose units are known half is drawn by unit and half by combination; the others
    by region. Both kinds are drawn as often as they are there. Drawn as the set has them, the heads
    would learn the table of emotions instead of the units.
    """
    known = [one.units is not None for one in moved]
    by_combination = _even([[one.combination] for one in moved], known)
    by_unit = _even([sorted(one.units or ()) for one in moved], known)
    by_region = _even([[one.region] for one in moved], [not each for each in known])
    share = sum(known) / len(known)
    return share * (by_combination + by_unit) / 2 + (1 - share) * by_region


def _even(names: Sequence[Sequence[str]], chosen: Sequence[bool]) -> NDArray[np.float64]:
    """(S,): each name of the chosen samples gets the same sum; a sample what its names get it."""
    counts: dict[str, int] = {}
    for listed, take in zip(names, chosen, strict=True):
        for name in listed if take else ():
            counts[name] = counts.get(name, 0) + 1
    shares = np.zeros(len(names))
    for i, (listed, take) in enumerate(zip(names, chosen, strict=True)):
        if take:
            shares[i] = sum(1 / counts[name] for name in listed) / len(counts)
    return shares
