"""Percentiles of real and generated micro-expressions, and how well both are told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..cells import LEAST, Least, enough, withheld
from .measures import UNITS, Sample
from .two_samples import told_apart

PERCENTILES = (10, 25, 50, 75, 90)  # the outer ones would be single MEs
CLASSIFIER = (
    "logistic regression on logarithms and their squares, asked of people and clips that it was "
    "not fitted to; AUC of pairs within a fold: 0.5 says that real and generated MEs cannot be "
    "told apart, 1 that they always can; interval over people and clips"
)


def realism(
    real: Sequence[Sample],
    generate: Callable[[int], Sequence[Sample]],
    least: Least = LEAST,
) -> dict[str, Any]:
    """`measures` with their percentiles for real and generated MEs, and `two_sample`.

    generate: gives as many generated MEs as it is asked for; it is not asked where the real ones
    are too few to be given away.
    """
    if not enough((each.cluster for each in real), least):
        return withheld(least)
    generated = generate(len(real))
    samples = {"real": real, "generated": generated}
    found = {
        kind: np.percentile([each.values for each in own], PERCENTILES, axis=0).T
        for kind, own in samples.items()
    }
    measures = {
        name: {"unit": unit} | {kind: _named(values[place]) for kind, values in found.items()}
        for place, (name, unit) in enumerate(UNITS.items())
    }
    return {
        "events": {kind: len(own) for kind, own in samples.items()},
        "measures": measures,
        "two_sample": {"classifier": CLASSIFIER, **told_apart(real, generated)},
    }


def _named(values: Sequence[float]) -> dict[str, float]:
    return {f"p{place}": float(value) for place, value in zip(PERCENTILES, values, strict=True)}
