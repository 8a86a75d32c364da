"""Golden inputs and outputs: what the networks as trained, in float32 on a CPU, say of inputs that anybody can remake.

Each graph gets what it meets in use: drawn crops that shift a little, the features of those crops, the state after a
first push, windows of those features. So a graph or an engine is judged on numbers of the right size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from .runtime.engine import Tensors
from .specs import RecognizerSpec, SpotterSpec

SEED = 20
STRETCHES, TICKS = 2, 24  # what is drawn: the batch of every graph, and its length in time
GRAIN = 8  # px between the values that a drawn crop is interpolated from
DRIFT, NOISE = 0.4, 2.0  # px a tick; grey levels

Forms = Mapping[str, nn.Module]
Golden = dict[str, NDArray[np.generic]]


@torch.no_grad()
def golden(forms: Forms, tensors: Mapping[str, tuple[Tensors, Tensors]], spotter: SpotterSpec) -> dict[str, Golden]:
    """Arrays `in.NAME` and `out.NAME` for encoder, proposer and refiner, by graph."""
    crops = _drawn(STRETCHES * TICKS, spotter.side)
    earlier = [(torch.arange(len(crops)) - lag).clamp(0) for lag in range(1 + len(spotter.lags_ns))]
    pixels = torch.cat([crops[index] for index in earlier], 1)  # (B T, 3 (1 + D), S, S)
    features = forms["encoder"](pixels).view(STRETCHES, TICKS, -1).mT.contiguous()  # (B, L, T)
    half = TICKS // 2
    valid = torch.ones(STRETCHES, TICKS)
    valid[:, -spotter.radius :] = 0
    first = (features[:, :, :half].contiguous(), valid[:, :half].contiguous(), torch.zeros(STRETCHES, spotter.state))
    _, state = forms["proposer"](*first)
    then = (features[:, :, half:].contiguous(), valid[:, half:].contiguous(), state)
    given = {"encoder": (pixels[::4],), "proposer": then, "refiner": (_windows(features, spotter),)}
    return {name: _pairs(forms[name], tensors[name], inputs) for name, inputs in given.items()}


@torch.no_grad()
def golden_recognizer(
    forms: Forms, tensors: Mapping[str, tuple[Tensors, Tensors]], recognizer: RecognizerSpec
) -> dict[str, Golden]:
    """The same for frames and head; the head's input is what frames gives."""
    crops = _drawn(STRETCHES * recognizer.frames, recognizer.side)
    frames = _pairs(forms["frames"], tensors["frames"], (crops.view(STRETCHES, recognizer.frames, *crops.shape[1:]),))
    head = _pairs(forms["head"], tensors["head"], (torch.tensor(frames["out.product"]),))
    return {"frames": frames, "head": head}


def _pairs(form: nn.Module, tensors: tuple[Tensors, Tensors], inputs: tuple[Tensor, ...]) -> Golden:
    found = form(*inputs)
    outputs = found if isinstance(found, tuple) else (found,)
    values = zip(
        ("in",) * len(inputs) + ("out",) * len(outputs), (*tensors[0], *tensors[1]), (*inputs, *outputs), strict=True
    )
    # safetensors writes strided arrays in the wrong order, without a word
    return {f"{kind}.{spec.name}": np.ascontiguousarray(value.numpy()) for kind, spec, value in values}


def _drawn(count: int, side: int) -> Tensor:
    """(count, 3, S, S) uint8: one soft texture that drifts, under sensor noise."""
    random = np.random.default_rng(SEED)
    margin = int(np.ceil(DRIFT * count)) + 1
    cells = (side + margin) // GRAIN + 2
    coarse = torch.from_numpy(random.uniform(40, 215, (1, 3, cells, cells)).astype(np.float32))
    texture = F.interpolate(coarse, (side, side + margin), mode="bilinear")[0]
    crops = []
    for i in range(count):
        whole, part = divmod(DRIFT * i, 1)
        left, right = (texture[:, :, int(whole) + at : int(whole) + at + side] for at in (0, 1))
        noise = torch.from_numpy(random.normal(0, NOISE, left.shape).astype(np.float32))
        crops.append((left + part * (right - left) + noise).round().clamp(0, 255).to(torch.uint8))
    return torch.stack(crops)


def _windows(features: Tensor, spotter: SpotterSpec) -> Tensor:
    """(P, L, N_CR): a window of each length from each stretch, resampled linearly."""
    clips = [F.interpolate(features[:, :, :w], spotter.refine_length, mode="linear") for w in spotter.windows]
    return torch.cat(clips)
