"""Sweeps: each face does something else, and the rate alone is varied."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from microspot.engines.evaluation.exams.cameras import sweep
from microspot.engines.evaluation.exams.cameras.sweep import AXES, RATE_RECIPE, Axis, _videos
from microspot.engines.evaluation.exams.rendering import EXAM_RECIPE
from tests import fakes


@pytest.mark.parametrize("axis", [axis for axis in AXES if axis not in ("rate", "bridge")])
def test_every_film_has_movements_of_its_own(axis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filmed: list[tuple[str, int]] = []
    link = SimpleNamespace(aligned=30, sent=30, bits=1, rejected=Counter[str]())

    def film(face: Any, wanted: Any, micro_per_min: float, seed: int, *_: Any) -> tuple[Any, Any]:
        filmed.append((face.name, seed))
        return [link] * len(wanted.receptions), []

    monkeypatch.setattr(sweep, "film", film)
    monkeypatch.setattr(sweep, "received", lambda *_: None)
    monkeypatch.setattr(sweep, "examine_segments", lambda *_: [])
    monkeypatch.setattr(sweep, "report", lambda *_: {})
    faces: Any = [SimpleNamespace(name=name) for name in ("a", "b")]
    plan = Axis(AXES[axis].values, clips=5, seconds=1.0)
    rows = _videos(fakes.engine_set(), faces, axis, plan, 7, lambda _: None)
    assert [name for name, _ in filmed] == ["a", "b", "a", "b", "a"]
    assert len({seed for _, seed in filmed}) == 5
    assert len(rows) == len(plan.values), "one film for all values"


def test_the_rates_of_a_sweep_share_all_else() -> None:
    assert RATE_RECIPE.rate_free
    assert not EXAM_RECIPE.rate_free
