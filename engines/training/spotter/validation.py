"""Validation of the spotter while it trains: whole clips through engines, as the stream runs them.

Thresholds and figures are those of `engines.evaluation.calibration`, so that a run is evaluated as
its export will be.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

from ...evaluation.calibration import best_thresholds, score_clip
from ...networks.mesnet import Branch, MESNet, steps
from ...runtime.engine import EngineSet
from ...runtime.torch_engine import TorchEngine
from ...specs import SpotterSpec
from ..crops import Crops
from .data import TrainingClip

QUIET = -20.0  # logits added to CPN's, so that no window passes
FIGURES = ("f1", "precision", "recall", "false_alarms_per_min", "truths")


def validate(
    network: MESNet, clips: Sequence[TrainingClip], crops: Crops
) -> tuple[SpotterSpec, dict[str, float]]:
    """The spec with the thresholds of the best F1 on `clips`, and its figures there."""
    engines = as_engines(copy.deepcopy(network).cpu(), "training")  # engines run on the CPU
    scored = []
    for clip in clips:
        pixels = crops[clip.start : clip.start + len(clip.times_ns)]
        scored.append(score_clip(engines, pixels, clip.times_ns, clip.micro_ns, clip.doubtful_ns))
    best = best_thresholds(scored, network.spec)
    spec = dataclasses.replace(network.spec, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
    return spec, {name: best[name] for name in FIGURES}


def quietened(network: MESNet) -> MESNet:
    """A copy of the network whose CPN lets no window pass."""
    twin = copy.deepcopy(network)
    for branch in twin.proposals.branches:
        assert isinstance(branch, Branch)
        assert branch.second.bias is not None
        branch.second.bias.data += QUIET
    return twin


def as_engines(network: MESNet, name: str) -> EngineSet:
    """A network on the CPU as an engine set called `name`, without a recognizer."""
    tensors = network.spec.tensors()
    parts = {}
    for part, module in steps(network).items():
        parts[part] = TorchEngine(module, *tensors[part], name=part)
    return EngineSet(
        name, "torch", network.spec, parts["encoder"], parts["proposer"], parts["refiner"]
    )
