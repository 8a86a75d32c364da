"""Warm start: begin with the weights of a network of the same layers, as large or smaller.

A larger network computes at first what the smaller one did: its new filters are fresh, and the
weights that read them start at zero, as in Chen, Goodfellow and Shlens, Net2Net (ICLR 2016). So do
those that read further channels of the flow, which come after the others. Nuisance heads, and heads
that say what moved, are fresh where the smaller one has others. Another grid, parallax or ridge is
an approximate start. Not from the papers.

What the weights' lags, surroundings and heads are, no tensor says: it is read from the run's
`spotter.json` or from the `manifest.json` beside them. Without either, lags and surroundings are
taken to be those of the network, and the heads to be its first ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import DataError, EngineError
from ..networks.grid import FineGrid
from ..networks.mesnet import MESNet
from ..networks.motion import FlowOptions
from ..specs import SpotterSpec
from .dead_channels import without_dead_channels
from .finer_grid import is_of_even_grid, refined

NUISANCE = "nuisance."  # the heads' names begin so
MOVEMENT = "movement."  # and those of the heads that say what moved
INPUTS = "encoder.convs.0.weight"  # (channels, inputs, rows, columns)
NORM_GAINS = re.compile(r"encoder\.norms\.\d+\.weight")


def digest_of(path: Path) -> str:
    """SHA-256 of a file of weights; DataError where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _no_weights(path, error) from error


def _no_weights(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} holds no weights to start from ({error}); name a run's .safetensors")


def warm_start(network: nn.Module, path: Path) -> list[int]:
    """Put the weights of a safetensors file into `network`.

    Returns how many channels of each layer of the encoder go on as the file has them.

    Raises DataError where the layers are others or larger, or see other lags or surroundings.
    """
    try:
        given = load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _no_weights(path, error) from error
    own = network.state_dict()
    if isinstance(network, MESNet):
        spec = spec_beside(path)
        if spec is not None:
            _check_channels(network.spec, spec, path)
            given = _with_heads_by_name(network, given, spec)
        given = without_dead_channels(_as_inputs_of(network, given, path))
    given = _with_movement_heads(given, own)
    fresh = {name for name in own if name.startswith(NUISANCE)} - set(given)
    given |= {name: own[name] for name in fresh}
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


def spec_beside(path: Path) -> SpotterSpec | None:
    """The spec of a run's weights, or of those of a folder that ships; None where no file says it.

    Raises DataError where the file beside them cannot be read.
    """
    for beside in (path.with_suffix(".json"), path.with_name("manifest.json")):
        if not beside.exists():
            continue
        try:
            content = json.loads(beside.read_text(encoding="utf-8"))
            if beside.stem == path.stem or path.name in content["files"]:
                return SpotterSpec.from_json(content["spotter"])
        except (OSError, ValueError, KeyError, TypeError, EngineError) as error:
            raise DataError(
                f"{beside} does not say what {path.name} is of ({error}): "
                "name weights with their own file beside them, or move it away"
            ) from error
    return None


def _check_channels(own: SpotterSpec, given: SpotterSpec, path: Path) -> None:
    """Raise DataError where the first channels of the flow would mean something else."""
    pairs = {"lags_ns": (given.lags_ns, own.lags_ns)}
    if given.surround_ns:
        pairs["surround_ns"] = (given.surround_ns, own.surround_ns)
    for name, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise DataError(
                f"{path.name} was trained with {name} {theirs}, the network has {ours}: "
                "start from weights with the same, or train anew"
            )


def _with_heads_by_name(
    network: MESNet, given: dict[str, Tensor], spec: SpotterSpec
) -> dict[str, Tensor]:
    """The given weights with the heads that `network` has, in its order; what is new is fresh."""
    own = network.state_dict()
    names = network.spec.nuisance
    mapped = {name: tensor for name, tensor in given.items() if not name.startswith(NUISANCE)}
    for key in (name for name in own if name.startswith(NUISANCE)):
        rows = own[key].clone()
        for i, name in enumerate(names):
            if name in spec.nuisance and key in given:
                rows[i] = given[key][spec.nuisance.index(name)]
        mapped[key] = rows
    return mapped


def _with_movement_heads(given: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The given weights with fresh heads of what moved where theirs tell other units apart."""
    heads = {name: tensor for name, tensor in own.items() if name.startswith(MOVEMENT)}
    theirs = {name: tensor for name, tensor in given.items() if name.startswith(MOVEMENT)}
    if {n: t.shape for n, t in heads.items()} == {n: t.shape for n, t in theirs.items()}:
        return given
    return {name: tensor for name, tensor in given.items() if name not in theirs} | heads


def _as_inputs_of(network: MESNet, given: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The given weights for the grid of `network`.

    Raises DataError where they read a part of the flow's further channels.
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
