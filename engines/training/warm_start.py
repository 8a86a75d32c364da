"""Warm start: begin with the weights of a network of the same layers, as large or smaller.

A larger network computes at first what the smaller one did: its new filters are fresh, and the
weights that read them start at zero, as in Chen, Goodfellow and Shlens, Net2Net (ICLR 2016). Not
from the papers.
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
    """SHA-256 of a file of weights; DataError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _no_weights(path, error) from error


def _no_weights(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} holds no weights to start from ({error}); name a run's spotter.safetensors"
    )


def warm_start(network: nn.Module, path: Path) -> None:
    """Put the weights of a safetensors file into `network`.

    Raises DataError where the file's layers are others or larger.
    """
    try:
        given = load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _no_weights(path, error) from error
    own = network.state_dict()
    odd = sorted(set(own) ^ set(given))
    if odd:
        raise DataError(
            f"{path.name} is of another network ({', '.join(odd[:3])}); "
            "train anew, without --weights"
        )
    for name, tensor in own.items():
        if not _fits(given[name], tensor):
            raise DataError(
                f"{path.name}: {name} {tuple(given[name].shape)} does not fit into "
                f"{tuple(tensor.shape)}; train anew"
            )
    network.load_state_dict({name: _enlarged(tensor, given[name]) for name, tensor in own.items()})


def _fits(given: Tensor, into: Tensor) -> bool:
    """Whether a tensor has the dimensions of another and is nowhere larger."""
    if given.ndim != into.ndim:
        return False
    return all(a <= b for a, b in zip(given.shape, into.shape, strict=True))


def _enlarged(fresh: Tensor, given: Tensor) -> Tensor:
    """`fresh` with the given filters first.

    They do not see new inputs, and the given kernel lies in the middle of a longer one.
    """
    enlarged = fresh.clone()
    rows = tuple(slice(n) for n in given.shape[:1])
    enlarged[rows] = 0
    place = [slice(n) for n in given.shape[:2]]
    for short, long in zip(given.shape[2:], fresh.shape[2:], strict=True):
        first = (long - short) // 2
        place.append(slice(first, first + short))
    enlarged[tuple(place)] = given
    return torch.as_tensor(enlarged)
