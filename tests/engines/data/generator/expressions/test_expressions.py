"""Measured expressions: what the head does is taken out, what skin does is found and kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.actions import Geometry
from microspot.engines.data.generator.basis import POINTS
from microspot.engines.data.generator.expressions.library import (
    PACKAGED,
    packaged,
    read_fields,
    write_fields,
)
from microspot.engines.data.generator.expressions.measuring import (
    PER_REGION,
    Course,
    Found,
    _along,
    _lids,
    _unlike,
    measure,
    without_head,
)
from microspot.engines.data.generator.families import KEPT, MEASURED, MeasuredField
from microspot.engines.data.generator.sites import REGIONS
from microspot.engines.errors import DataError

FRAMES = 50
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def rest(face: FaceAsset) -> tuple[np.ndarray, np.ndarray]:
    """The face at rest: places (468, 2) in cm and depth (468,)."""
    geometry = Geometry.of(face.landmarks[:, :2], 1, 1)
    depth = face.landmarks[:POINTS, 2] / geometry.px_per_cm
    return _along(geometry, face.landmarks), depth


def _course(rest: tuple[np.ndarray, np.ndarray], moves: np.ndarray) -> Course:
    """A face whose landmarks are `moves` (FRAMES, 468, 2) cm away from rest."""
    places = rest[0] + moves
    depth = np.repeat(rest[1][None], FRAMES, 0)
    return Course(places, depth, _lids(places), np.arange(FRAMES) / 25)


def _corner_up(rest: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(FRAMES, 468, 2) the left corner of the mouth rises by 0.4 cm within 0.4 s and stays."""
    away = np.hypot(*(rest[0] - rest[0][291]).T)
    level = np.clip((np.arange(FRAMES) - 20) / 10, 0, 1)
    moves = np.zeros((FRAMES, POINTS, 2))
    moves[..., 1] = -0.4 * level[:, None] * np.exp(-0.5 * (away / 1.0) ** 2)
    return moves


def test_similarities_and_turns_are_taken_out(rest: tuple[np.ndarray, np.ndarray]) -> None:
    places, depth = rest
    centred = places - places.mean(0)
    turned = 0.02 * centred @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + 0.03 * centred + (0.3, -0.2)
    turned[:, 0] += 0.05 * depth
    turned[:, 1] -= 0.04 * depth
    assert np.abs(without_head(turned, places, depth)).max() < 1e-6
    own = _corner_up(rest)[-1]
    np.testing.assert_allclose(without_head(turned + own, places, depth), own, atol=0.04)


def test_a_corner_that_rises_is_found_where_it_is_and_nothing_else(
    rest: tuple[np.ndarray, np.ndarray],
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.005, (FRAMES, POINTS, 2))
    sway = 0.5 * np.sin(np.arange(FRAMES) / 9)[:, None, None] * np.array([1.0, 0.5])
    found = measure(_course(rest, _corner_up(rest) + noise + sway), "somebody", MEASURED)
    assert found
    strongest = max(found, key=lambda one: one.strength).field
    assert strongest.region == "mouth corner"
    assert strongest.side == "L"
    assert np.hypot(*strongest.moves.T).max() == pytest.approx(1, abs=1e-5)
    assert abs(strongest.moves[291, 1]) > 0.7
    assert {one.field.region for one in found} <= {"mouth corner", "lips", "nose-cheek", "chin"}
    assert measure(_course(rest, noise + sway), "somebody", MEASURED) == []


def test_blinks_are_left_out(rest: tuple[np.ndarray, np.ndarray]) -> None:
    moves = np.zeros((FRAMES, POINTS, 2))
    for lid in (159, 386):
        away = np.hypot(*(rest[0] - rest[0][lid]).T)
        moves[22:, :, 1] += 0.4 * np.exp(-0.5 * (away / 0.7) ** 2)
    lower = [145, 374]
    assert "eye" in {one.field.region for one in measure(_open(rest, moves), "a", MEASURED)}
    moves[22:, lower] = 0
    found = measure(_course(rest, moves), "somebody", MEASURED)
    assert [one for one in found if one.field.region == "eye"] == []


def _open(rest: tuple[np.ndarray, np.ndarray], moves: np.ndarray) -> Course:
    """The course with eyes that stay open whatever moves."""
    course = _course(rest, moves)
    return dataclasses.replace(course, lids=np.repeat(course.lids[:1], FRAMES, 0))


def test_what_only_a_moment_shows_is_the_mesh_s_own(rest: tuple[np.ndarray, np.ndarray]) -> None:
    moves = np.zeros((FRAMES, POINTS, 2))
    moves[24:26] = _corner_up(rest)[-1]
    assert measure(_course(rest, moves), "somebody", MEASURED) == []


def test_lips_that_part_are_left_out(rest: tuple[np.ndarray, np.ndarray]) -> None:
    level = np.clip((np.arange(FRAMES) - 20) / 10, 0, 1)
    away = np.hypot(*(rest[0] - rest[0][17]).T)
    moves = np.zeros((FRAMES, POINTS, 2))
    moves[..., 1] = 0.5 * level[:, None] * np.exp(-0.5 * (away / 0.9) ** 2)
    assert "lips" in {one.field.region for one in measure(_course(rest, moves), "a", MEASURED)}
    lower = [14, 17, 84, 314, 87, 317, 178, 402, 181, 405, 85, 315, 16, 15, 86, 316, 180, 404]
    moves[:, lower, 1] = 0.5 * level[:, None]
    moves[:, 13, 1] = 0
    found = measure(_course(rest, moves), "a", MEASURED)
    assert "lips" not in {one.field.region for one in found}


def _field(direction: float, family: str = MEASURED) -> MeasuredField:
    moves = np.zeros((POINTS, 2), np.float32)
    moves[:9] = np.cos(direction), np.sin(direction)
    return MeasuredField("somebody", family, "lips", "", moves)


def test_fields_that_are_alike_are_one_and_no_person_has_many() -> None:
    found = [Found(1.0 + i, _field(0.01 * i)) for i in range(5)]
    assert [field.moves[0, 1] for field in _unlike(found)] == pytest.approx([np.sin(0.04)])
    found = [Found(1.0, _field(2 * np.pi * i / 12)) for i in range(12)]
    assert len(_unlike(found)) == PER_REGION


def test_a_file_gives_back_its_fields(tmp_path: Path) -> None:
    fields = [_field(0.3), dataclasses.replace(_field(2.0, KEPT), side="L", region="chin")]
    write_fields(tmp_path / "own.npz", fields)
    again = read_fields(tmp_path / "own.npz")
    assert [(f.person, f.family, f.region, f.side) for f in again] == [
        (f.person, f.family, f.region, f.side) for f in fields
    ]
    np.testing.assert_allclose(again[1].moves, fields[1].moves, atol=0.005)
    np.savez(tmp_path / "other.npz", moves=np.zeros((2, 5, 2)))
    with pytest.raises(DataError, match=r"other\.npz holds no measured expressions"):
        read_fields(tmp_path / "other.npz")


def test_the_package_s_fields_are_small_varied_and_apart() -> None:
    assert PACKAGED.stat().st_size < MOST_BYTES
    fields = packaged()
    for family in (MEASURED, KEPT):
        assert {field.region for field in fields if field.family == family} == set(REGIONS)
    trained = {field.person for field in fields if field.family == MEASURED}
    kept = {field.person for field in fields if field.family == KEPT}
    assert len(trained) >= 5
    assert not trained & kept
    for field in fields:
        assert 0.9 < np.hypot(*field.moves.T).max() < 1.1
