"""The template: which landmarks and which regions it takes."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.alignment.affine import Affine
from microspot.engines.alignment.aligner import face_to_crop
from microspot.engines.alignment.face_template import TEMPLATE, rigid_weights, template_px


@pytest.mark.parametrize("side", [64, 112])
def test_face_to_crop_recovers_a_known_similarity(side: int) -> None:
    points = np.zeros((468, 3))
    for index, place in TEMPLATE.items():
        points[index, :2] = template_px(np.array(place), side)
    turn = np.deg2rad(17)
    truth = 0.7 * np.array(
        [[np.cos(turn), -np.sin(turn), 12.0], [np.sin(turn), np.cos(turn), -30.0]]
    )
    points[:, :2] = Affine(truth).inverse().apply(points[:, :2])
    np.testing.assert_allclose(face_to_crop(points, side).matrix, truth, atol=1e-9)


def test_face_to_crop_does_not_follow_brows_lids_mouth_and_chin() -> None:
    expressive = {66, 107, 336, 296, 105, 334, 159, 145, 386, 374, 13, 14, 61, 291, 152}
    assert not expressive & set(TEMPLATE)


def test_rigid_mask_leaves_brows_lids_and_mouth_out() -> None:
    weights = rigid_weights(112)
    for name, place, low, high in [
        ("nose bridge", (0.0, -0.05), 0.9, 1.0),
        ("brow", (0.24, -0.265), 0.0, 0.01),
        ("upper lid", (0.23, -0.125), 0.0, 0.05),
        ("mouth corner", (0.19, 0.39), 0.0, 0.01),
    ]:
        x, y = np.rint(template_px(np.array(place), 112)).astype(int)
        assert low <= weights[y, x] <= high, name
