"""Intervals over subjects: what would come out with other people of the same kind.

Whole subjects are drawn again with replacement; a figure's 2.5 % and 97.5 % quantiles are its
interval. The draws are seeded, so that a table has one interval. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exams.clusters import QUANTILES, RESAMPLES, SEED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Counts = NDArray[np.float64]  # (S, K) sums of each subject, or (R, K) of each resample
Figures = Callable[[Counts], dict[str, Floats]]  # (R, K) -> (R,) by name
MOST_CELLS = 1 << 22  # drawn in one go: bounds memory


class Subjects:
    """The subjects of a table, numbered in the order of their names."""

    def __init__(self, names: Sequence[str]) -> None:
        self.numbers = {name: place for place, name in enumerate(sorted(set(names)))}

    def places(self, names: Sequence[str]) -> Ints:
        """(N,) the numbers of the subjects that rows have."""
        return np.array([self.numbers[name] for name in names], np.int64)

    def count(self, places: Ints, weights: Floats) -> Floats:
        """(S,) the sum of the weights of each subject's rows; places and weights (N,)."""
        return np.bincount(places, weights, len(self.numbers)).astype(np.float64)


def resampled(counts: Counts, resamples: int = RESAMPLES) -> Counts:
    """(R, K) the sums of as many subjects as there are, drawn again; counts (S, K)."""
    rng = np.random.default_rng(SEED)
    chance = np.full(len(counts), 1 / len(counts))
    step = max(1, MOST_CELLS // len(counts))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([rng.multinomial(len(counts), chance, size) @ counts for size in sizes])


def intervals(
    counts: Counts, figures: Figures, resamples: int = RESAMPLES
) -> dict[str, list[float] | None]:
    """[low, high] of figures of subjects' sums (S, K), by name; None for fewer than two subjects.

    Resamples without a figure (NaN) are left out; None where all are.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = figures(resampled(counts, resamples) if resamples else counts)
    if len(counts) < 2 or not resamples:
        return dict.fromkeys(drawn)
    return {name: _ends(values[np.isfinite(values)]) for name, values in drawn.items()}


def _ends(values: Floats) -> list[float] | None:
    return [float(end) for end in np.quantile(values, QUANTILES)] if len(values) else None


def described(subjects: int, resamples: int) -> dict[str, Any] | None:
    """How the intervals of a report are made; None where there are none."""
    if subjects < 2 or not resamples:
        return None
    level = round(QUANTILES[1] - QUANTILES[0], 6)
    return {"over": "subjects", "subjects": subjects, "resamples": resamples, "level": level}
