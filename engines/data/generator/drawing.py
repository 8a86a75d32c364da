"""Numbers, sizes and times that the generator's parts draw alike. Not from the papers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .timeline import Action, Recipe, Strengths
from .truth import RETURN_S

Peak = Callable[[Strengths], float]  # peak displacement in px of a face with these strengths


def random_strengths(
    rng: np.random.Generator, units: tuple[str, ...], sides: tuple[str, ...]
) -> Strengths:
    """Strengths of `units` on `sides` at random."""
    return {(unit, side): float(rng.uniform(0.5, 1.0)) for unit in units for side in sides}


def sized(
    rng: np.random.Generator, shape: Strengths, px: tuple[float, float], peak: Peak
) -> tuple[float, Strengths]:
    """A peak displacement drawn from `px`, log-uniform, and the shape at that displacement."""
    target = log_uniform(rng, px)
    scale = target / max(peak(shape), 1e-6)
    return round(target, 3), {unit: strength * scale for unit, strength in shape.items()}


def spaced(
    rng: np.random.Generator,
    recipe: Recipe,
    count: int,
    latest: float,
    others: list[Action],
    draw: Callable[[float], Action],
    apart: bool = False,
) -> list[Action]:
    """At most `count` actions, each at least the recipe's margin from `others`.

    apart: from each other too; of what an ME leaves behind only RETURN_S counts. No action starts
    after `latest`, in s; one that finds no place in the recipe's tries is left out.
    """
    margin = ns(recipe.margin_s)
    taken = [(a.movement.onset_ns - margin, a.movement.offset_ns + margin) for a in others]
    actions: list[Action] = []
    for _ in range(count):
        for _ in range(recipe.tries):
            action = draw(float(rng.uniform(0.2, max(latest, 0.3))))
            move = action.movement
            if all(move.offset_ns <= first or move.onset_ns >= last for first, last in taken):
                actions.append(action)
                if apart:
                    over = min(move.offset_ns, move.onset_ns + ns(RETURN_S))
                    taken.append((move.onset_ns - margin, over + margin))
                break
    return actions


def starts(rng: np.random.Generator, per_min: float, seconds: float) -> list[float]:
    """Times in s at which something begins in a clip of `seconds`, in order."""
    times = number(rng, per_min, seconds)
    return sorted(rng.uniform(0.2, max(seconds - 0.2, 0.3), times).tolist())


def number(rng: np.random.Generator, per_min: float, seconds: float) -> int:
    """How often something happens in `seconds`."""
    return int(rng.poisson(per_min * seconds / 60))


def between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal number, drawn again until it lies between `low` and `high`."""
    while True:
        drawn = float(rng.normal(mean, sd))
        if low <= drawn <= high:
            return drawn


def log_uniform(rng: np.random.Generator, span: tuple[float, float]) -> float:
    """A number between the two of `span`, as often in every octave."""
    return math.exp(rng.uniform(*np.log(span)))


def ns(t: float) -> int:
    """Seconds to nanoseconds."""
    return round(t * 1e9)
