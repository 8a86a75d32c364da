"""Scores of action units that are as often right as they say: temperatures, biases and a floor.

A network's probabilities are too sure, or right where units come as often as in its training. So a
unit's logit is divided by a temperature and raised by a bias (Platt 1999; Guo et al., "On
Calibration of Modern Neural Networks", 2017): both are its own where it moved in OWN samples or
more, else those that fit all units together. Not from the papers.

Shape letters: S samples, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..specs import BIASES, TEMPERATURES
from ..units.reading import logits_of, scaled
from .unit_metrics import Flags, Floats, constant_f1, mean_f1, sure

OWN = 60  # samples in which a unit moved, from which it has a fit of its own
FLOORS = tuple(round(0.05 * k, 2) for k in range(2, 19))
PRIOR = 1.0  # weight of the scores as they are, in samples: a few alone change nothing much
STEPS = 50  # of Newton's method, at most
ENOUGH = 1e-9  # of a step
DIGITS = 4


class Fit(NamedTuple):
    """What logits are divided and raised by."""

    temperature: float
    bias: float


AS_IT_IS = Fit(1.0, 0.0)


def fit(probabilities: Floats, truth: Flags) -> Fit:
    """The temperature and bias (S,) under which the truth (S,) is likeliest.

    AS_IT_IS where the scores say nothing of the truth, or the opposite.
    """
    design = np.stack([logits_of(probabilities), np.ones(len(probabilities))], axis=-1)
    start = np.array([1.0, 0.0])  # slope and bias
    weights = start
    for _ in range(STEPS):
        found = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (found - truth) + PRIOR * (weights - start)
        hessian = (design * (found * (1 - found))[:, None]).T @ design + PRIOR * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        share = 1.0
        while share > ENOUGH and _cost(design, truth, weights - share * step) > _cost(
            design, truth, weights
        ):
            share /= 2
        weights = weights - share * step
        if np.abs(step).max() < ENOUGH:
            break
    slope, bias = weights.tolist()
    if slope < 1 / TEMPERATURES[1]:
        return AS_IT_IS
    return Fit(max(1 / slope, TEMPERATURES[0]), float(np.clip(bias, *BIASES)))


def _cost(design: NDArray[np.float64], truth: Flags, weights: NDArray[np.float64]) -> float:
    """The penalised negative log-likelihood; the penalty is that of `fit`."""
    logits = design @ weights
    likely = np.logaddexp(0, np.where(truth, -logits, logits)).sum()
    return float(likely + PRIOR / 2 * ((weights - (1.0, 0.0)) ** 2).sum())


def fit_units(probabilities: Floats, truth: Flags) -> list[Fit]:
    """The fit of every unit, from probabilities and truth (S, U)."""
    together = fit(probabilities.ravel(), truth.ravel())
    found = []
    for i, moved in enumerate(truth.sum(0).tolist()):
        found.append(fit(probabilities[:, i], truth[:, i]) if moved >= OWN else together)
    return found


def told(probabilities: Floats, fits: Sequence[Fit]) -> Floats:
    """Probabilities (S, U) as they are told under the units' fits."""
    temperatures, biases = zip(*fits, strict=True)
    return scaled(probabilities, temperatures, biases)


def best_floor(scores: Floats, truth: Flags) -> float:
    """The floor of FLOORS with the best mean F1 over the units; of equal ones the highest."""
    return max(FLOORS, key=lambda floor: (round(mean_f1(scores >= floor, truth), DIGITS), floor))


def unit_calibration(
    probabilities: Floats, truth: Flags, clusters: Sequence[str], units: Sequence[str]
) -> dict[str, Any]:
    """Temperatures, biases and floor from probabilities and truth (S, U), and what they are worth.

    clusters (S,): the samples' faces. Keys: unit_temperatures, unit_biases, unit_floor; hits, faces
    and by unit `moved`, how often it did; `own`, the units with fits of their own; and over the
    samples f1, the best `constant` answer, and `sure` scores (`unit_metrics.sure`) `before` and
    `after`, where the faces of each half are told by the fits of the other half. Raises DataError
    for fewer than OWN samples or one face.
    """
    faces = sorted(set(clusters))
    if len(truth) < OWN or len(faces) < 2:
        raise DataError(
            f"{len(truth)} hits on {len(faces)} faces whose units are known: expected at least "
            f"{OWN} on 2 to fit scores to; give more --clips, and more portraits"
        )
    fits = fit_units(probabilities, truth)
    scores = told(probabilities, fits)
    floor = best_floor(scores, truth)
    half = np.isin(clusters, faces[::2])
    crossed = np.empty(truth.shape)
    for one, other in ((half, ~half), (~half, half)):
        crossed[one] = told(probabilities[one], fit_units(probabilities[other], truth[other]))
    moved = dict(zip(units, truth.sum(0).tolist(), strict=True))
    return {
        "unit_temperatures": [round(one.temperature, DIGITS) for one in fits],
        "unit_biases": [round(one.bias, DIGITS) for one in fits],
        "unit_floor": floor,
        "hits": len(truth),
        "faces": len(faces),
        "moved": moved,
        "own": [name for name, count in moved.items() if count >= OWN],
        "f1": round(mean_f1(scores >= floor, truth), DIGITS),
        "constant": round(constant_f1(truth), DIGITS),
        "before": _sure(probabilities, truth),
        "after": _sure(crossed, truth),
    }


def _sure(scores: Floats, truth: Flags) -> dict[str, Any]:
    count, right = sure(scores, truth)
    return {"count": count, "right": None if np.isnan(right) else round(right, DIGITS)}
