"""Leave out the channels of an encoder's weights that do nothing, so that new ones can grow there.

Such a channel is never active and nothing reads it, so no gradient brings it back: weight decay
that went through Adam had killed most channels that a larger network began with. Not from the
papers.
"""

from __future__ import annotations

import torch
from torch import Tensor

# A channel whose greatest effect is this share of the median one of its layer does nothing.
DEAD_SHARE = 1e-3
EPSILON = 1e-5  # of torch's batch norms, which every norm of the encoder has


def without_dead_channels(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a MESNet with the living channels of the encoder alone.

    The last layer keeps all its channels, since the grid's places lie among them. What the network
    computes stays as it is, up to what channels of next to no effect added.
    """
    kept = dict(given)
    layer = 0
    while f"encoder.convs.{layer + 1}.weight" in given:
        rows = (~dead(given, layer)).nonzero().flatten()
        own = (f"encoder.convs.{layer}.", f"encoder.norms.{layer}.")
        for name, tensor in kept.items():
            if name.startswith(own) and tensor.ndim:  # a norm also counts its batches
                kept[name] = tensor[rows]
        reader = f"encoder.convs.{layer + 1}.weight"
        kept[reader] = kept[reader][:, rows]
        layer += 1
    return kept


def dead(given: dict[str, Tensor], layer: int) -> Tensor:
    """Which channels (C,) of a layer of the encoder, not its last, do nothing."""
    filters = given[f"encoder.convs.{layer}.weight"].flatten(1)
    norm = f"encoder.norms.{layer}."
    gain = given[norm + "weight"] / (given[norm + "running_var"] + EPSILON).sqrt()
    shift = given[norm + "bias"] + gain * (
        given[f"encoder.convs.{layer}.bias"] - given[norm + "running_mean"]
    )
    read = given[f"encoder.convs.{layer + 1}.weight"].transpose(0, 1).flatten(1)
    strength = gain.abs() * torch.linalg.vector_norm(filters, dim=1) + shift.clamp(min=0)
    effect = strength * torch.linalg.vector_norm(read, dim=1)
    return torch.le(effect, DEAD_SHARE * effect.median())
