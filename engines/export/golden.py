"""Golden inputs and outputs: what the networks as trained, in float32 on a CPU, say of drawn inputs.

Each graph gets what it meets in use: drawn crops that shift a little, the features of those crops, the state after a
first push, windows of those features. So a graph or an engine is judged on numbers of the right size. Nothing in drawn
crops is a micro-expression: every second segment and window of features is urged along the network's own gradient until
it is one to the network, so that decisions of both kinds are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.engine import Tensors
from ..specs import RecognizerSpec, SpotterSpec

SEED = 20
SEGMENTS, TICKS = 2, 24  # what is drawn: the batch of every graph, and its length in time
GRAIN = 8  # px between the values that a drawn crop is interpolated from
DRIFT, NOISE = 0.4, 2.0  # px a tick; grey levels
URGE, MOST_URGES = 0.02, 100  # size of a step, standard deviations of what is urged; steps
LEAST_SCORE = 1e-9  # added before the logarithm

Forms = Mapping[str, nn.Module]
Golden = dict[str, NDArray[np.generic]]


@torch.no_grad()
def golden(
    forms: Forms, tensors: Mapping[str, tuple[Tensors, Tensors]], spotter: SpotterSpec
) -> dict[str, Golden]:
    """Arrays `in.NAME` and `out.NAME` for encoder, proposer and refiner, by graph."""
    crops = _drawn(SEGMENTS * TICKS, spotter.side)
    earlier = [(torch.arange(len(crops)) - lag).clamp(0) for lag in range(1 + len(spotter.lags_ns))]
    pixels = torch.cat([crops[index] for index in earlier], 1)  # (B T, 3 (1 + D), S, S)
    features = forms["encoder"](pixels).view(SEGMENTS, TICKS, -1).mT.contiguous()  # (B, L, T)
    half = TICKS // 2
    valid = torch.ones(SEGMENTS, TICKS)
    valid[:, -spotter.radius :] = 0

    def second_push(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the proposer gets after a first push of the first half."""
        seen = valid[: len(features)]
        start = torch.zeros(len(features), spotter.state)
        _, state = forms["proposer"](
            features[:, :, :half].contiguous(), seen[:, :half].contiguous(), start
        )
        return features[:, :, half:].contiguous(), seen[:, half:].contiguous(), state

    def proposed(features: Tensor) -> Tensor:
        """Scores of the windows that end amid the second half."""
        scores: Tensor = forms["proposer"](*second_push(features))[0]
        return scores[:, :, half - spotter.radius // 2]

    windows = _windows(features, spotter)
    features[1::2] = _urged(features[1::2], proposed, spotter.t_cpn)
    windows[1::2] = _urged(
        windows[1::2], lambda clips: forms["refiner"](clips)[0][:, 1], spotter.t_crn
    )
    given = {"encoder": (pixels[::4],), "proposer": second_push(features), "refiner": (windows,)}
    return {name: _pairs(forms[name], tensors[name], inputs) for name, inputs in given.items()}


@torch.no_grad()
def golden_recognizer(
    forms: Forms, tensors: Mapping[str, tuple[Tensors, Tensors]], recognizer: RecognizerSpec
) -> dict[str, Golden]:
    """The same for frames and head; the head's input is what frames gives."""
    crops = _drawn(SEGMENTS * recognizer.frames, recognizer.side)
    frames = _pairs(
        forms["frames"],
        tensors["frames"],
        (crops.view(SEGMENTS, recognizer.frames, *crops.shape[1:]),),
    )
    head = _pairs(forms["head"], tensors["head"], (torch.tensor(frames["out.product"]),))
    return {"frames": frames, "head": head}


def _pairs(form: nn.Module, tensors: tuple[Tensors, Tensors], inputs: tuple[Tensor, ...]) -> Golden:
    found = form(*inputs)
    outputs = found if isinstance(found, tuple) else (found,)
    values = zip(
        ("in",) * len(inputs) + ("out",) * len(outputs),
        (*tensors[0], *tensors[1]),
        (*inputs, *outputs),
        strict=True,
    )
    # safetensors writes strided arrays in the wrong order, without a word
    return {
        f"{kind}.{spec.name}": np.ascontiguousarray(value.numpy()) for kind, spec, value in values
    }


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


@torch.enable_grad()
def _urged(features: Tensor, score: Callable[[Tensor], Tensor], threshold: float) -> Tensor:
    """Features near the given ones whose every score lies halfway between the threshold and 1, or as near as it got."""
    step = URGE * float(features.std())
    for _ in range(MOST_URGES):
        features = features.detach().requires_grad_()
        found = score(features)
        if float(found.detach().min()) >= (1 + threshold) / 2:
            break
        (slope,) = torch.autograd.grad((found + LEAST_SCORE).log().sum(), features)
        features = (features + step * slope.sign()).clamp(min=0)  # features follow a ReLU
    return features.detach()


def _windows(features: Tensor, spotter: SpotterSpec) -> Tensor:
    """(P, L, N_CR): a window of each length from each segment, resampled linearly."""
    clips = [
        F.interpolate(features[:, :, :w], spotter.refine_length, mode="linear")
        for w in spotter.windows
    ]
    return torch.cat(clips)
