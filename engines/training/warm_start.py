"""Begin with the weights of another network of the same layers, as large or smaller: fine-tuning and growing.

The grown network computes at first what the other did: its new filters are fresh, and what reads them starts at zero,
as in Chen, Goodfellow and Shlens, Net2Net (ICLR 2016). Not from the papers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import DataError


def digest_of(path: Path) -> str:
    """SHA-256 of a file of weights. Raises DataError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _no_weights(path, error) from error


def _no_weights(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} holds no weights to start from ({error}); name a run's spotter.safetensors"
    )


def warm_start(network: nn.Module, path: Path) -> None:
    """Put the weights of a safetensors file into `network`. Raises DataError where its layers are others or larger."""
    try:
        given = load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _no_weights(path, error) from error
    own = network.state_dict()
    if odd := sorted(set(own) ^ set(given)):
        raise DataError(
            f"{path.name} is of another network ({', '.join(odd[:3])}); train anew, without --weights"
        )
    for name, tensor in own.items():
        smaller = given[name].shape
        if len(smaller) != tensor.ndim or any(
            a > b for a, b in zip(smaller, tensor.shape, strict=True)
        ):
            raise DataError(
                f"{path.name}: {name} {tuple(smaller)} does not fit into {tuple(tensor.shape)}; train anew"
            )
    network.load_state_dict({name: _grown(tensor, given[name]) for name, tensor in own.items()})


def _grown(fresh: Tensor, given: Tensor) -> Tensor:
    """The given filters first, blind to new inputs and with the old kernel in the middle of a longer one."""
    grown = fresh.clone()
    rows = tuple(slice(n) for n in given.shape[:1])
    grown[rows] = 0
    middle = (
        slice((b - a) // 2, (b - a) // 2 + a)
        for a, b in zip(given.shape[2:], fresh.shape[2:], strict=True)
    )
    grown[(*(slice(n) for n in given.shape[:2]), *middle)] = given
    return torch.as_tensor(grown)
