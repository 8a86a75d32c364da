"""How well two samples are told apart by a simple classifier: 0.5 says not at all.

A logistic regression on the logarithms of the measures and on their squares, so that a sample that
only scatters more is told apart too. It is asked of clusters (people, clips) that it was not fitted
fitted to; both samples weigh the same in a fit. A classifier two-sample test (Lopez-Paz and Oquab,
ICLR 2017) with an AUC in place of the accuracy; the numbers are our own.

Pairs are compared within a fold alone, where one classifier scores both: between folds a sample
that is left out moves the classifier of the others away from itself, and samples that are alike
come out below 0.5. With 30 MEs of each kind, drawn alike, the AUC scatters by 0.1 about 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exams.clusters import interval_of
from ..metrics.ranks import auc
from .measures import Floats, Sample

FOLDS = 5  # at most; fewer where a sample has fewer clusters
SEED = 5  # of the folds
FLOOR = 0.05  # px, or a share: added before the logarithm, as noise is about so large
FARTHEST = 4.0  # standard deviations; what lies beyond counts as that
RIDGE = 10.0  # added to the curvature of each weight, in samples
STEPS = 25  # of Newton's method

Flags = NDArray[np.bool_]


def told_apart(real: Sequence[Sample], generated: Sequence[Sample]) -> dict[str, Any]:
    """`auc` of held-out scores, its `interval` over clusters, and `folds`.

    All None where one of the samples has fewer than two clusters.
    """
    names = [f"real {each.cluster}" for each in real]
    names += [f"generated {each.cluster}" for each in generated]
    is_real = np.arange(len(names)) < len(real)
    folds = _folds(names, is_real)
    if folds is None:
        return {"auc": None, "interval": None, "folds": None}
    values = np.log(FLOOR + np.array([each.values for each in (*real, *generated)]))
    scores = np.empty(len(names))
    for fold in np.unique(folds):
        test = folds == fold
        scores[test] = _scored(values[~test], is_real[~test], values[test])

    def figure(samples: NDArray[np.int64]) -> float:
        return _auc_within(folds[samples], scores[samples], is_real[samples])

    whole = figure(np.arange(len(names)))
    return {"auc": whole, "interval": interval_of(names, figure), "folds": int(folds.max()) + 1}


def _auc_within(folds: NDArray[np.int64], scores: Floats, is_real: Flags) -> float:
    """The share of pairs of one fold (S,) in which the real one scores higher; NaN without any."""
    right = pairs = 0.0
    for fold in range(FOLDS):
        own = folds == fold
        found = auc(scores[own], is_real[own])
        if found is not None:
            count = float(is_real[own].sum() * (~is_real[own]).sum())
            right += found * count
            pairs += count
    return right / pairs if pairs else np.nan


def _folds(names: Sequence[str], is_real: Flags) -> NDArray[np.int64] | None:
    """(S,) the fold of each sample: clusters are whole, those of both samples dealt out evenly."""
    rng = np.random.default_rng(SEED)
    places, clusters = np.unique(names, return_inverse=True)
    kinds = [np.unique(clusters[is_real]), np.unique(clusters[~is_real])]
    count = min(FOLDS, *map(len, kinds))
    if count < 2:
        return None
    fold = np.empty(len(places), np.int64)
    for own in kinds:
        fold[rng.permutation(own)] = np.arange(len(own)) % count
    return fold[clusters]


def _scored(training: Floats, is_real: Flags, test: Floats) -> Floats:
    """(T,) how much like the real ones of `training` (N, K) samples (T, K) are."""
    middle = training.mean(0)
    spread = np.maximum(training.std(0), np.finfo(np.float64).tiny)
    weights = _fitted(_terms((training - middle) / spread), is_real)
    return np.asarray(_terms((test - middle) / spread) @ weights, np.float64)


def _terms(values: Floats) -> Floats:
    """(N, 2 K + 1) values (N, K), their squares, and 1."""
    near = np.clip(values, -FARTHEST, FARTHEST)
    return np.hstack([near, near**2 - 1, np.ones((len(near), 1))])


def _fitted(terms: Floats, is_real: Flags) -> Floats:
    """(K,) weights of a logistic regression of `is_real` (N,) on `terms` (N, K), with a ridge."""
    share = np.where(is_real, 0.5 / is_real.mean(), 0.5 / (1 - is_real.mean()))
    ridge = RIDGE * np.eye(terms.shape[1])
    weights = np.zeros(terms.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(terms @ weights, -30, 30)))
        slope = terms.T @ (share * (is_real - chance)) - ridge @ weights
        curve = (terms * (share * chance * (1 - chance))[:, None]).T @ terms + ridge
        weights = weights + np.linalg.solve(curve, slope)
    return np.asarray(weights, np.float64)
