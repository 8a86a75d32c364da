"""Figures of labels and intensities: UF1, UAR, Spearman."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.errors import DataError
from microspot.engines.evaluation.metrics import spearman, uf1_uar


def test_uf1_and_uar_of_a_pooled_confusion() -> None:
    uf1, uar = uf1_uar([[5, 1, 0], [2, 2, 0], [0, 1, 0]])
    assert uf1 == pytest.approx((10 / 13 + 4 / 8 + 0) / 3)
    assert uar == pytest.approx((5 / 6 + 2 / 4 + 0) / 3)
    assert uf1_uar([[3, 0], [0, 0]]) == (1, 1)  # a class that never occurs has no recall
    for wrong in ([[1, 2]], [[0, 0], [0, 0]]):
        with pytest.raises(DataError, match="confusion matrix"):
            uf1_uar(wrong)


def test_spearman_uses_mid_ranks() -> None:
    from scipy import stats

    random = np.random.default_rng(0)
    first, second = random.integers(0, 6, (2, 20, 11))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second), expected)
