"""How long a run is: by its configuration, or by a time that is turned into steps once.

Everything in a run follows its steps: two runs of the same steps end with the same weights, however
fast they went. `--minutes` measures the speed on copies of the networks before the first step. Not
from the papers.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable

from torch import nn

from .checkpoint import Progress
from .config import SpotterTraining

UNTIMED = 2  # first steps, which compile and fill caches
TIMED = 6

Step = Callable[[nn.Module, int], None]


def seconds_per_step(network: nn.Module, step: Step) -> float:
    """How long a step takes, on a copy of the network."""
    twin = copy.deepcopy(network)
    for i in range(UNTIMED):
        step(twin, i)
    began = time.monotonic()
    for i in range(TIMED):
        step(twin, UNTIMED + i)
    return (time.monotonic() - began) / TIMED


def planned(
    progress: Progress,
    config: SpotterTraining,
    seconds: float | None = None,
    pretrain_s: float = 0.0,
    joint_s: float = 0.0,
) -> Progress:
    """The progress with the length of both stages.

    seconds: what the whole run may take, None for all steps of the configuration. pretrain_s,
    joint_s: per step. Pre-training gets its share of the time at most, joint training the rest.
    """
    pretrain = config.pretrain_steps
    joint = config.joint_steps
    if seconds is not None:
        if pretrain:
            pretrain = min(pretrain, _steps(seconds * config.pretrain_share, pretrain_s))
        joint = min(joint, _steps(seconds - pretrain * pretrain_s, joint_s))
    return dataclasses.replace(progress, pretrain_steps=pretrain, joint_steps=joint)


def _steps(seconds: float, per_step: float) -> int:
    return max(1, int(seconds / per_step))


def rate(step: int, done: float, warm_steps: int) -> float:
    """Learning rate as a share of its peak: linear warm-up, then a cosine to zero."""
    warm_up = min(1.0, (step + 1) / warm_steps)
    return warm_up * (1 + math.cos(math.pi * done)) / 2
