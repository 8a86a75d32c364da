"""Validation of the spotter while it trains: whole clips through the engines' contract, as the stream runs them.

Thresholds and figures are those of `engines.evaluation.calibration`, so that a run is judged as its export will be.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

from ...evaluation.calibration import best_thresholds, score_clip
from ...networks.mesnet import MESNet, steps
from ...runtime.engine import EngineSet
from ...runtime.torch_engine import TorchEngine
from ...specs import SpotterSpec
from ..crops import Crops
from .data import Clip

FIGURES = ("f1", "precision", "recall", "false_alarms_per_min", "truths")


def validate(
    network: MESNet, clips: Sequence[Clip], crops: Crops
) -> tuple[SpotterSpec, dict[str, float]]:
    """The spec with the thresholds of the best F1 on `clips`, and its figures there."""
    engines = _as_engines(copy.deepcopy(network).cpu())  # engines run on the CPU
    scored = [
        score_clip(
            engines,
            crops[clip.start : clip.start + len(clip.times_ns)],
            clip.times_ns,
            clip.micro_ns,
        )
        for clip in clips
    ]
    best = best_thresholds(scored, network.spec)
    spec = dataclasses.replace(network.spec, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
    return spec, {name: best[name] for name in FIGURES}


def _as_engines(network: MESNet) -> EngineSet:
    tensors = network.spec.tensors()
    made = {
        name: TorchEngine(form, *tensors[name], name=name) for name, form in steps(network).items()
    }
    return EngineSet(
        "training", "torch", network.spec, made["encoder"], made["proposer"], made["refiner"]
    )
