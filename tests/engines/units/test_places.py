"""Where the regions of a face lie in its crop."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.alignment.face_template import MESH_WIDTH_CM, face_to_crop, template_px
from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.sites import MOUTH, REGION_OF, REGIONS
from microspot.engines.units.places import PLACES, block_places, outlines

SIDE = 112
NEAR_CM = 0.6  # a face differs from the mean one


def test_every_region_of_the_generator_has_a_place() -> None:
    assert tuple(PLACES) == REGIONS
    assert set(REGION_OF.values()) <= set(PLACES)
    assert {name for name, place in PLACES.items() if not place.paired} < set(MOUTH)


def test_the_middles_are_those_of_the_points_on_a_face(face: FaceAsset) -> None:
    mesh = face.landmarks
    crop = face_to_crop(mesh, SIDE).apply(mesh[:, :2])
    px_per_cm = np.ptp(template_px(np.array([[0, 0], [1 / MESH_WIDTH_CM, 0]]), SIDE)[:, 0])
    for name, place in PLACES.items():
        for side, middle in place.middles().items():
            seen = crop[list(place.points[side])].mean(0)
            wrong = np.hypot(*(template_px(np.array(middle), SIDE) - seen)) / px_per_cm
            assert wrong < NEAR_CM, (name, side)


@pytest.mark.parametrize("name", list(PLACES))
def test_outlines_lie_within_the_crop_and_at_their_reach(name: str) -> None:
    for polygon in outlines(name, "both", SIDE):
        assert polygon.min() > 0
        assert polygon.max() < SIDE - 1
    place = PLACES[name]
    (polygon, *_) = outlines(name, "L", 1000)
    middle = template_px(np.array(place.middle), 1000)
    np.testing.assert_allclose(polygon.mean(0), middle, atol=1e-6)


def test_blocks_lie_side_by_side_over_the_whole_crop() -> None:
    places = block_places(14)
    assert places.shape == (14, 14, 2)
    in_crop = template_px(places, 112)
    np.testing.assert_allclose(in_crop[0, 0], [3.5, 3.5])
    np.testing.assert_allclose(in_crop[2, 5], [5 * 8 + 3.5, 2 * 8 + 3.5])
