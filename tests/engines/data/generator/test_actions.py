"""Action units as motion fields, written by hand or of an external basis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.actions import MIRROR, SIDES, UNITS, motion_field
from microspot.engines.data.generator.basis import Basis
from microspot.engines.data.generator.synthetic import Motion
from microspot.engines.errors import DataError


def test_every_unit_moves_its_own_side(motion: Motion) -> None:
    nose = float(motion.geometry.landmarks[1, 0])
    for unit in UNITS:
        left, right = (np.hypot(*np.moveaxis(motion.field((unit, side)), -1, 0)) for side in SIDES)
        assert 0.1 < left.max() / motion.geometry.px_per_cm < 1.3, unit
        assert np.isfinite(left).all()
        both = motion.peak({(unit, side): 1.0 for side in SIDES}) / motion.geometry.px_per_cm
        # sides that lie on each other do not add up to twice a face's reach
        assert both < 1.3, unit
        if all(i in MIRROR and MIRROR[i] != i for blob in UNITS[unit] for i in blob.at):
            assert left.argmax() % 112 > nose > right.argmax() % 112, unit


def test_a_blink_closes_the_eye(face: FaceAsset, motion: Motion) -> None:
    """The iris is gone under the lid, and the rest of the face has not moved."""
    geometry = motion.geometry
    flow = motion_field(geometry, "AU43", "L")
    x, y = geometry.landmarks[[386, 374]].mean(0).round().astype(int)
    lower = geometry.landmarks[374]
    upper = geometry.landmarks[386]
    source_y = y - flow[y, x, 1]
    assert source_y <= upper[1] + 0.5  # the middle of the eye shows skin from the lid or above
    assert flow[round(float(lower[1])), x, 1] >= lower[1] - upper[1]
    assert np.abs(flow[round(float(geometry.landmarks[1, 1])) :]).max() < 0.05


def test_the_step_between_the_lips_does_not_tear_the_cheek(motion: Motion) -> None:
    flow = motion.total({("AU26", s): 1.0 for s in SIDES})[..., 1]
    one_cm = motion.geometry.px_per_cm * motion.geometry.right
    x, y = (motion.geometry.landmarks[308] + one_cm).round().astype(int)
    column = flow[y - 10 : y + 17, x]
    assert column.max() > 0.5
    # 0.08 as built, 0.16 with a step that stays narrow
    assert np.abs(np.diff(column)).max() < 0.12 * column.max()


def _basis_file(path: Path, names: tuple[str, ...] = ("browInnerUp_L", "mouthShrugLower")) -> Path:
    shapes = np.zeros((len(names), 468, 3), np.float16)
    shapes[0, [296, 334, 336, 285, 9], 1] = 0.5  # up
    shapes[-1, [199, 200, 18, 17], 1] = 0.8
    np.savez(path, D=shapes, names=np.array(names))
    return path


def test_an_external_basis_moves_what_it_has(tmp_path: Path, motion: Motion) -> None:
    basis = Basis.open(_basis_file(tmp_path / "basis.npz"))
    own = Motion(motion.geometry, basis=basis)
    brow = own.field(("AU1", "L"))
    at = motion.geometry.landmarks[296].round().astype(int)
    assert brow[at[1], at[0], 1] < -0.2 * motion.geometry.px_per_cm
    below = motion.geometry.landmarks[199].round().astype(int)
    assert np.abs(brow[below[1] - 4, below[0]]).max() < 0.1
    halves = [own.field(("AU17", side)) for side in SIDES]
    np.testing.assert_array_equal(*halves)
    np.testing.assert_array_equal(
        own.field(("AU12", "L")), motion.field(("AU12", "L"))
    )  # not in the file


def test_a_file_that_is_no_basis_says_so(tmp_path: Path) -> None:
    wrong = {"D": np.zeros((2, 5, 3)), "names": np.array(["a", "b"])}
    for name, content in (("wrong.npz", wrong), ("none.npz", {"other": 1})):
        np.savez(tmp_path / name, **content)
        with pytest.raises(DataError, match=name):
            Basis.open(tmp_path / name)
    with pytest.raises(DataError, match="ARKit"):
        Basis.open(_basis_file(tmp_path / "odd.npz", ("one", "two")))
