"""The ablations of CMNet [S2 C30]: runs that change one switch, and weights evaluated otherwise."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...networks.cmnet import Exchange
from ...networks.weights import load_weights
from ...specs import TEXTURES
from ..losses import SCOPES, STRATEGIES
from .checkpoint import network_of
from .data import AUGMENTATIONS, VALIDATION, RecognizerConfig, read_samples
from .train import train
from .validation import CURVES, constant, shuffled, validate

BASE_RECOGNIZER = "recognizer-shipped"
# Rows that evaluate the weights of BASE_RECOGNIZER again, with other intensities that magnify.
EXCHANGES = {"recognizer-constant-s": constant, "recognizer-shuffled-s": shuffled}
LAMBDAS = ((0.1, 0.1, 1.0), (1.0, 1.0, 1.0))  # distillation, tendency, classes
PAPER_AUGMENTATIONS = ("blur", "brightness", "contrast")  # what is left of the paper's for luma

Row = dict[str, Any]


def recognizer_runs(base: RecognizerConfig) -> dict[str, RecognizerConfig]:
    """The recogniser's runs by name; what equals the base is left out.

    Those of EXCHANGES are none: they evaluate the weights of `recognizer-shipped` again.
    """
    weights = base.coefficients
    lambdas = {}
    for values in LAMBDAS:
        name = "lambda-" + "-".join(f"{x:g}" for x in values)
        pairs = zip(("distillation", "tendency", "classes"), values, strict=True)
        lambdas[name] = {"coefficients": weights | dict(pairs)}
    changes: dict[str, dict[str, Any]] = {
        "no-distillation": {"coefficients": weights | {"distillation": 0.0}},
        "no-tendency": {"coefficients": weights | {"tendency": 0.0}},
        "classes-only": {"coefficients": weights | {"distillation": 0.0, "tendency": 0.0}},
        "no-movement": {"units": (), "regions": ()},
        "no-ice": {"magnify": False},
        **{f"texture-{name}": {"texture": name} for name in TEXTURES},
        **{f"negatives-{name}": {"strategy": name} for name in STRATEGIES},
        **lambdas,
        **{f"scope-{name}": {"scope": name} for name in SCOPES},
        "form-literal": {"form": "literal"},
        "augmentations-paper": {"augmentations": PAPER_AUGMENTATIONS},
        **{f"augmentations-no-{name}": _without(base, name) for name in AUGMENTATIONS},
    }
    runs = {BASE_RECOGNIZER: base}
    for name, change in changes.items():
        config = replace(base, **change)
        if config != base:
            runs[f"recognizer-{name}"] = config
    return runs


def _without(base: RecognizerConfig, name: str) -> dict[str, Any]:
    return {"augmentations": tuple(one for one in base.augmentations if one != name)}


def train_recognizer(
    config: RecognizerConfig, minutes: float | None, say: Callable[[str], None]
) -> Row:
    """Train one recogniser for `minutes`; steps taken and the figures on the validation MEs.

    Their intervals are jittered true ones. Without ICE there is no intensity curve to evaluate.
    """
    once = replace(config, validate_epochs=config.epochs)
    found = train(once, minutes=minutes, say=say)
    with (Path(config.out) / "recognizer.csv").open(newline="", encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    row: Row = {"steps": int(last["step"])}
    row |= _rounded(found)
    if not config.magnify:
        row |= dict.fromkeys(CURVES)
    return row


def exchanged_figures(config: RecognizerConfig, exchange: Exchange) -> Row:
    """The figures of the weights in `config.out` where `exchange` magnifies in place of s."""
    network = network_of(config)
    load_weights(network, Path(config.out) / "recognizer.safetensors")
    crops, samples = read_samples(config)
    row = _rounded(validate(network, crops, samples[VALIDATION], config, exchange))
    return row | dict.fromkeys(CURVES)  # the curve is the same as without


def _rounded(figures: Mapping[str, float]) -> Row:
    """Figures for the table; what the set does not tell is left empty."""
    return {name: None if math.isnan(value) else round(value, 4) for name, value in figures.items()}
