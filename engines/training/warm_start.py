"""Warm start: begin with the weights of a network of the same layers, as large or smaller.

A larger network computes at first what the smaller one did: its new filters are fresh, and the
weights that read them start at zero, as in Chen, Goodfellow and Shlens, Net2Net (ICLR 2016). So do
those that read further channels of the flow, which come after the others, and nuisance heads that
the smaller one lacks are fresh. Another grid, parallax or ridge is an approximate start. Not from
the papers.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import DataError
from ..networks.grid import FineGrid
from ..networks.mesnet import MESNet
from ..networks.motion import FlowOptions
from .finer_grid import is_of_even_grid, refined

NUISANCE = "nuisance."  # the heads' names begin so
INPUTS = "encoder.convs.0.weight"  # (channels, inputs, rows, columns)
NORM_GAINS = re.compile(r"encoder\.norms\.\d+\.weight")


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


def warm_start(network: nn.Module, path: Path) -> list[int]:
    """Put the weights of a safetensors file into `network`.

    Returns how many channels of each layer of the encoder the file has.

    Raises DataError where the file's layers are others or larger.
    """
    try:
        given = load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _no_weights(path, error) from error
    own = network.state_dict()
    fresh = {name for name in own if name.startswith(NUISANCE)} - set(given)
    given |= {name: own[name] for name in fresh}
    if isinstance(network, MESNet):
        given = _as_inputs_of(network, given, path)
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
    return [len(given[name]) for name in own if NORM_GAINS.fullmatch(name)]


def _as_inputs_of(network: MESNet, given: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The given weights for the grid of `network`.

    Raises DataError where they read a part of the flow's further channels: which, no file says.
    """
    own = network.state_dict()
    if isinstance(network.encoder.grid, FineGrid) and is_of_even_grid(given, own):
        given = refined(given, network.encoder.grid.side)
    if network.encoder.flow is not None and INPUTS in given:
        inputs = given[INPUTS].shape[1]
        if FlowOptions().channels(network.encoder.lags) < inputs < own[INPUTS].shape[1]:
            raise DataError(
                f"{path.name} reads {inputs} channels and the network {own[INPUTS].shape[1]}: "
                "start from weights without further channels of the flow, or with the same"
            )
    return given


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
