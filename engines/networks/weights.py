"""Weights on disk: safetensors, with weights that training has driven near zero set to zero.

The L2 term drives weights that are not needed towards zero for ever. A float32 below 1.2e-38 is
denormal, and so may be the product of a tiny weight and an activation: a processor multiplies these
up to a hundred times slower. Not from the papers.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import EngineError

# The largest size of a weight that counts as zero; sums of 10^5 of them are below float32's
# resolution.
TRACE = 1e-12


def save_weights(network: nn.Module, path: Path) -> None:
    """Write the network's tensors as safetensors."""
    tensors = {name: _cleared(tensor) for name, tensor in network.state_dict().items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the tensors of `path` into the network. Raises EngineError when they do not fit it."""
    try:
        tensors = {name: _cleared(tensor) for name, tensor in load_file(path).items()}
        network.load_state_dict(tensors)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise EngineError(
            f"{path.name} does not hold weights of this spec: {error}; re-train or re-export"
        ) from error


def _cleared(tensor: Tensor) -> Tensor:
    return torch.where(tensor.abs() <= TRACE, 0, tensor)  # NaN stays NaN
