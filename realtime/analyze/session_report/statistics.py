"""Figures of trials: rates with exact intervals, medians with bootstrapped ones, a test.

Intervals and p are for one recording. Draws begin with SEED, so that a second run gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microspot.engines.evaluation.rates import CONFIDENCE, MINUTE_S, rate_per_min

from .trials import Trial

RESAMPLES = 9999
BATCH = 500  # resamples at a time, so that many trials fit into memory
SEED = 0
LEAST_LATENCIES = 5  # below, a bootstrap of the median repeats the few values
LEAST_TRIALS = 2  # of a condition that is compared
DIGITS = 4  # of figures in session.json


@dataclass(frozen=True)
class Rate:
    """A number of events in `seconds` in which a face was seen."""

    count: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Count, seconds, and per minute with its exact Poisson interval; null without seconds."""
        found = rate_per_min(self.count, self.seconds)
        return {
            "count": self.count,
            "seen_s": round(self.seconds, 3),
            "per_min": None if found is None else round(found.rate, DIGITS),
            "interval_per_min": None if found is None else _rounded(found.low, found.high),
        }


def rate_of(found: Sequence[Trial]) -> Rate:
    """Events and seen time of trials together."""
    count = sum(len(trial.latencies) for trial in found)
    return Rate(count, sum(trial.seen_s for trial in found))


def latency_of(found: Sequence[Trial]) -> dict[str, Any]:
    """The median latency (s) of trials, and its percentile bootstrap interval.

    The interval is null for fewer than LEAST_LATENCIES, the median where there is none.
    """
    latencies = np.array([each for trial in found for each in trial.latencies.values()])
    interval = None
    if len(latencies) >= LEAST_LATENCIES:
        from scipy.stats import bootstrap  # here, for its import takes a second

        interval = bootstrap(
            (latencies,),
            np.median,
            n_resamples=RESAMPLES,
            batch=BATCH,
            confidence_level=CONFIDENCE,
            method="percentile",
            random_state=np.random.default_rng(SEED),
        ).confidence_interval
    return {
        "median": round(float(np.median(latencies)), DIGITS) if len(latencies) else None,
        "interval": None if interval is None else _rounded(interval.low, interval.high),
    }


def permutation_test(conditions: dict[str, list[Trial]]) -> dict[str, Any] | None:
    """Whether the rates of trials differ between conditions more than by their order.

    Trials change conditions at random; the statistic is the variance between the means of the
    conditions. Conditions of fewer than LEAST_TRIALS trials with a seen face are left out. None
    where fewer than two are left, or all rates are equal.
    """
    rates = {name: _rates(found) for name, found in conditions.items()}
    compared = {name: values for name, values in rates.items() if len(values) >= LEAST_TRIALS}
    if len(compared) < 2 or not np.ptp(np.concatenate([*compared.values()])):
        return None
    from scipy.stats import permutation_test as permuted

    result = permuted(
        tuple(compared.values()),
        _between,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=BATCH,
        alternative="greater",
        random_state=np.random.default_rng(SEED),
    )
    return {"conditions": list(compared), "p": round(float(result.pvalue), DIGITS)}


def _rates(found: Sequence[Trial]) -> NDArray[np.float64]:
    """Events a minute of each trial in which a face was seen."""
    seen = [trial for trial in found if trial.seen_s]
    return np.array([len(trial.latencies) * MINUTE_S / trial.seen_s for trial in seen])


def _between(*groups: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The sum of squares between groups, but for what no permutation changes."""
    parts = [group.shape[axis] * group.mean(axis) ** 2 for group in groups]
    return np.asarray(np.sum(parts, axis=0))


def _rounded(*values: float) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
