"""Golden inputs and outputs: random inputs, and the outputs of the networks as trained for them.

The outputs are computed in float32 on a CPU. Each graph gets what it meets in use: random crops
that shift a little, the features of those crops, the state after a first push, windows of those
features. So a graph or an engine is judged on numbers of the right size. Nothing in random crops is
a micro-expression: every second segment and window of features is moved by gradient ascent on the
network's own score until the network takes it for one, so that decisions of both kinds are
compared.
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
SEGMENTS = 2  # batch of every graph
TICKS = 24  # length of a segment
GRAIN = 8  # px between the random values that a crop is interpolated from
DRIFT = 0.4  # px a tick
NOISE = 2.0  # grey levels, standard deviation
ASCENT_STEP = 0.02  # size of a step of gradient ascent, in standard deviations of the features
MOST_STEPS = 100
LEAST_SCORE = 1e-9  # added before the logarithm

Modules = Mapping[str, nn.Module]
Golden = dict[str, NDArray[np.generic]]


@torch.no_grad()
def golden(
    modules: Modules, tensors: Mapping[str, tuple[Tensors, Tensors]], spotter: SpotterSpec
) -> dict[str, Golden]:
    """Arrays `in.NAME` and `out.NAME` for encoder, proposer and refiner, by graph.

    modules: the networks as trained, by graph. tensors: specs of their inputs and outputs.
    """
    crops = _random_crops(SEGMENTS * TICKS, spotter.side)
    earlier = [(torch.arange(len(crops)) - lag).clamp(0) for lag in range(1 + len(spotter.lags_ns))]
    pixels = torch.cat([crops[index] for index in earlier], 1)  # (B T, 3 (1 + D), S, S)
    features = modules["encoder"](pixels).view(SEGMENTS, TICKS, -1).mT.contiguous()  # (B, L, T)
    half = TICKS // 2
    valid = torch.ones(SEGMENTS, TICKS)
    valid[:, -spotter.radius :] = 0

    def second_push(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The proposer's inputs after a first push of the first half."""
        seen = valid[: len(features)]
        start = torch.zeros(len(features), spotter.state)
        first = features[:, :, :half].contiguous()
        state = modules["proposer"](first, seen[:, :half].contiguous(), start)[1]
        return features[:, :, half:].contiguous(), seen[:, half:].contiguous(), state

    def proposed(features: Tensor) -> Tensor:
        """Scores of the windows that end amid the second half."""
        scores: Tensor = modules["proposer"](*second_push(features))[0]
        return scores[:, :, half - spotter.radius // 2]

    def refined(clips: Tensor) -> Tensor:
        """The refiner's score of each window."""
        classes: Tensor = modules["refiner"](clips)[0]
        return classes[:, 1]

    windows = _windows(features, spotter)
    features[1::2] = _gradient_ascent(features[1::2], proposed, spotter.t_cpn)
    windows[1::2] = _gradient_ascent(windows[1::2], refined, spotter.t_crn)
    given = {"encoder": (pixels[::4],), "proposer": second_push(features), "refiner": (windows,)}
    return {name: _pairs(modules[name], tensors[name], inputs) for name, inputs in given.items()}


@torch.no_grad()
def golden_recognizer(
    modules: Modules, tensors: Mapping[str, tuple[Tensors, Tensors]], recognizer: RecognizerSpec
) -> dict[str, Golden]:
    """Arrays `in.NAME` and `out.NAME` for frames and head, by graph.

    The inputs of head are outputs of frames.
    """
    crops = _random_crops(SEGMENTS * recognizer.frames, recognizer.side)
    clips = crops.view(SEGMENTS, recognizer.frames, *crops.shape[1:])
    frames = _pairs(modules["frames"], tensors["frames"], (clips,))
    given = tuple(torch.tensor(frames[f"out.{spec.name}"]) for spec in tensors["head"][0])
    head = _pairs(modules["head"], tensors["head"], given)
    return {"frames": frames, "head": head}


def _pairs(
    module: nn.Module, tensors: tuple[Tensors, Tensors], inputs: tuple[Tensor, ...]
) -> Golden:
    """Inputs and outputs of one graph as named arrays."""
    found = module(*inputs)
    outputs = found if isinstance(found, tuple) else (found,)
    golden = {}
    for kind, specs, values in (("in", tensors[0], inputs), ("out", tensors[1], outputs)):
        for spec, value in zip(specs, values, strict=True):
            # contiguous: safetensors writes strided arrays in the wrong order, without a warning
            golden[f"{kind}.{spec.name}"] = np.ascontiguousarray(value.numpy())
    return golden


def _random_crops(count: int, side: int) -> Tensor:
    """(count, 3, S, S) uint8: one soft texture that drifts, under sensor noise."""
    random = np.random.default_rng(SEED)
    margin = int(np.ceil(DRIFT * count)) + 1
    cells = (side + margin) // GRAIN + 2
    coarse = torch.from_numpy(random.uniform(40, 215, (1, 3, cells, cells)).astype(np.float32))
    texture = F.interpolate(coarse, (side, side + margin), mode="bilinear")[0]
    crops = []
    for i in range(count):
        whole, part = divmod(DRIFT * i, 1)
        at = int(whole)
        left = texture[:, :, at : at + side]
        right = texture[:, :, at + 1 : at + 1 + side]
        noise = torch.from_numpy(random.normal(0, NOISE, left.shape).astype(np.float32))
        crops.append((left + part * (right - left) + noise).round().clamp(0, 255).to(torch.uint8))
    return torch.stack(crops)


@torch.enable_grad()
def _gradient_ascent(
    features: Tensor, score: Callable[[Tensor], Tensor], threshold: float
) -> Tensor:
    """Features near the given ones with every score at least halfway between the threshold and 1.

    After MOST_STEPS steps, what has been reached by then.
    """
    step = ASCENT_STEP * float(features.std())
    for _ in range(MOST_STEPS):
        features = features.detach().requires_grad_()
        found = score(features)
        if float(found.detach().min()) >= (1 + threshold) / 2:
            break
        (gradient,) = torch.autograd.grad((found + LEAST_SCORE).log().sum(), features)
        features = (features + step * gradient.sign()).clamp(min=0)  # features follow a ReLU
    return features.detach()


def _windows(features: Tensor, spotter: SpotterSpec) -> Tensor:
    """(P, L, N_CR): a window of each length from each segment, resampled linearly."""
    clips = [
        F.interpolate(features[:, :, :w], spotter.refine_length, mode="linear")
        for w in spotter.windows
    ]
    return torch.cat(clips)
