"""NMS is compiled when it is first needed, with a cache on disk or without one."""

from __future__ import annotations

import subprocess
import sys

import numba
import numpy as np
import pytest

from microspot.engines import intervals
from microspot.engines.intervals import Intervals, nms

FOUND = Intervals.of([0, 1, 30], [10, 11, 40], [0.9, 0.8, 0.7])


def test_importing_compiles_nothing() -> None:
    code = "import sys, microspot.engines.intervals; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("rule", "kept"), [("greedy", [0, 2]), ("author", [0, 2]), ("soft", [0, 2, 1])]
)
def test_a_user_who_cannot_write_a_cache_gets_the_same(
    rule: str, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(intervals._greedy)
    intervals._compiled.cache_clear()
    found, scores = nms(FOUND, 0.5, rule)
    intervals._compiled.cache_clear()
    assert found.tolist() == kept
    assert np.all(np.diff(scores) < 0)
