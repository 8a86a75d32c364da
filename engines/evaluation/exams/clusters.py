"""Intervals by cluster bootstrap: what would come out with other faces or other footage.

MEs of one face, or of one piece of footage, share what makes them easy or hard. So whole clusters
are drawn again with replacement, and the figure's 2.5 % and 97.5 % quantiles are its interval. With
few clusters it is too narrow; with one there is none. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
SEED = 17  # of the resampling
QUANTILES = (0.025, 0.975)
DIGITS = 3

Counts = NDArray[np.float64]  # (..., K): sums that a figure is made of
Statistic = Callable[[Counts], NDArray[np.float64]]  # (R, K) -> (R,)
Samples = NDArray[np.int64]  # indices
Span = list[float] | None


def by_cluster(rows: Iterable[tuple[str, Sequence[float]]]) -> Counts:
    """(C, K) the summed counts of every cluster; rows: cluster and K counts."""
    sums: dict[str, NDArray[np.float64]] = {}
    for cluster, counts in rows:
        sums[cluster] = sums.get(cluster, 0.0) + np.asarray(counts, np.float64)
    return np.array([sums[cluster] for cluster in sorted(sums)])


def interval(counts: Counts, statistic: Statistic) -> Span:
    """[low, high] of a figure of clusters (C, K); None for fewer than two, or without a figure."""
    if len(counts) < 2:
        return None
    return _span(statistic(_drawn(len(counts)) @ counts))


def interval_of(clusters: Sequence[str], figure: Callable[[Samples], float]) -> Span:
    """[low, high] of a figure that no sums make, of samples whose clusters (S,) are given.

    figure: of the samples of the drawn clusters, each as often as it is drawn. None for fewer than
    two clusters, or without a figure.
    """
    names, places = np.unique(np.asarray(clusters, str), return_inverse=True)
    if len(names) < 2:
        return None
    samples = np.arange(len(clusters))
    drawn = _drawn(len(names))[:, places]  # (R, S)
    return _span(np.array([figure(np.repeat(samples, times)) for times in drawn]))


def _drawn(clusters: int) -> NDArray[np.int64]:
    """(R, C) how often each of C clusters is drawn."""
    rng = np.random.default_rng(SEED)
    return rng.multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES)


def _span(found: NDArray[np.float64]) -> Span:
    """The interval of a figure's resamples (R,); None where none is known."""
    known = found[np.isfinite(found)]
    if not len(known):
        return None
    low, high = np.quantile(known, QUANTILES)
    return [round(float(low), DIGITS), round(float(high), DIGITS)]


def ratio(top: int, bottom: int) -> Statistic:
    """The statistic that divides one column by another; NaN where that is 0."""

    def share(sums: Counts) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[:, top] / sums[:, bottom])

    return share
