"""Motion fields that are no units of the basis: where they lie, which way, and what is known."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from microspot.engines.data.generator.actions import UNITS
from microspot.engines.data.generator.behaviour import draw_micro
from microspot.engines.data.generator.families import (
    CONE,
    KEPT,
    LOCAL,
    MEASURED,
    LocalField,
    MeasuredField,
    OneSided,
    Patch,
    draw_local,
    draw_shape,
)
from microspot.engines.data.generator.sites import REGIONS
from microspot.engines.data.generator.synthetic import Motion
from microspot.engines.data.generator.timeline import Families, Recipe, Source

MIDDLES = {  # landmarks that a region's motion must reach, on either side
    "brow": (285, 55, 293, 63, 334, 105, 296, 66, 283, 53, 8),
    "eye": (386, 374, 159, 145),
    "nose-cheek": (423, 203, 280, 50),
    "mouth corner": (291, 61),
    "lips": (13, 14, 291, 61, 267, 37, 17),
    "chin": (199, 262, 32),
}


def _field(region: str, family: str = MEASURED) -> MeasuredField:
    moves = np.zeros((468, 2), np.float32)
    moves[:, 1] = 1
    return MeasuredField("somebody", family, region, "", moves)


@pytest.mark.parametrize("region", REGIONS)
def test_a_local_field_moves_its_region_and_leaves_far_ones(motion: Motion, region: str) -> None:
    points = motion.geometry.landmarks
    far = points[10] if region in ("lips", "chin", "mouth corner") else points[152]
    rng = np.random.default_rng(1)
    for _ in range(30):
        shape = draw_local(rng, Families(), region)
        assert (shape.family, shape.region) == (LOCAL, region)
        size = np.hypot(*np.moveaxis(motion.total(shape.strengths), -1, 0))
        assert 0.1 < size.max() / motion.geometry.px_per_cm < 2.0
        at = points[list(MIDDLES[region])].round().astype(int)
        assert size[at[:, 1], at[:, 0]].max() > 0.2 * size.max()
        x, y = np.clip(far.round().astype(int), 0, 111)
        assert size[y, x] < 0.15 * size.max()


def test_a_patch_peaks_where_it_lies_and_its_skew_lengthens_one_flank(motion: Motion) -> None:
    geometry = motion.geometry
    patch = Patch((291,), (0.0, 0.0), (0.0, -1.0), (0.5, 0.5), (0.4, 0.0))
    up = -patch.field(geometry)[..., 1] / geometry.px_per_cm
    x, y = geometry.landmarks[291].round().astype(int)
    assert up.max() == pytest.approx(1, abs=0.05)
    assert abs(int(up.max(0).argmax()) - x) <= 1
    step = round(0.6 * geometry.px_per_cm)
    assert up[y, x + step] > 1.5 * up[y, x - step]


def test_what_moves_one_lip_leaves_the_other(motion: Motion) -> None:
    geometry = motion.geometry
    patch = Patch((13, 14), (0.0, 0.0), (0.0, 1.0), (1.3, 0.7), (0.0, 0.0), "lower")
    down = patch.field(geometry)[..., 1] / geometry.px_per_cm
    x, y = geometry.landmarks[[13, 14]].mean(0)
    reach = 0.35 * geometry.px_per_cm
    assert down[round(y + reach), round(x)] > 0.7
    assert down[round(y - reach), round(x)] < 0.1


def test_the_unit_is_known_within_its_cone_and_only_there() -> None:
    rng = np.random.default_rng(2)
    known = 0
    for _ in range(300):
        shape = draw_local(rng, Families(), "mouth corner")
        (field,) = shape.strengths
        assert isinstance(field, LocalField)
        assert shape.side in ("", "L", "R")
        for unit in shape.units:
            known += 1
            name = unit.rstrip("LR")
            assert unit == name + shape.side
            patch = next(p for p in field.patches if p.at in ((291,), (61,)))
            mirror = 1 if patch.at == (291,) else -1
            own = UNITS[name][0]
            turn = math.atan2(own.dy, own.dx) - math.atan2(patch.move[1], mirror * patch.move[0])
            assert abs(math.remainder(turn, 2 * math.pi)) <= CONE + 1e-6
    assert 0.7 < known / 300 < 0.9  # the rest is of any direction
    nothing = [draw_local(rng, Families(free=1.0)).units for _ in range(50)]
    assert set(nothing) == {()}


def test_a_recipe_with_the_usual_family_alone_draws_nothing() -> None:
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    assert draw_shape(rng, Families(), [_field("brow")]) is None
    assert rng.bit_generator.state == before


def test_families_and_regions_follow_their_shares() -> None:
    shares = (0.0, 0.0, 0.0, 0.5, 0.5, 0.0)
    families = Families(usual=0.2, local=0.5, measured=0.3, regions=shares)
    fields = [_field("lips"), _field("lips"), _field("mouth corner"), _field("brow")]
    rng = np.random.default_rng(4)
    drawn = [draw_shape(rng, families, fields) for _ in range(2000)]
    found = Counter("usual" if shape is None else shape.family for shape in drawn)
    assert found["usual"] / 2000 == pytest.approx(0.2, abs=0.04)
    assert found[LOCAL] / 2000 == pytest.approx(0.5, abs=0.04)
    regions = Counter(shape.region for shape in drawn if shape is not None)
    assert set(regions) == {"lips", "mouth corner"}
    measured = Counter(shape.region for shape in drawn if shape and shape.family == MEASURED)
    assert measured["lips"] / sum(measured.values()) == pytest.approx(0.5, abs=0.06)


def test_measured_fields_move_a_face_as_far_as_they_say(motion: Motion) -> None:
    field = _field("lips", KEPT)
    flow = motion.field(field)
    x, y = motion.geometry.landmarks[1].round().astype(int)
    assert flow[y, x, 1] == pytest.approx(motion.geometry.px_per_cm, rel=0.1)
    assert motion.field(field) is flow  # made once


def test_a_measured_field_may_be_shown_on_one_side_alone(motion: Motion) -> None:
    points = motion.geometry.landmarks
    for side, here, there in (("L", 291, 61), ("R", 61, 291)):
        flow = motion.field(OneSided(_field("mouth corner"), side))[..., 1]
        near, far = (flow[tuple(points[at].round().astype(int)[::-1])] for at in (here, there))
        assert near > 0.9 * motion.geometry.px_per_cm
        assert far < 0.1 * near
    rng = np.random.default_rng(6)
    families = Families(usual=0, measured=1)
    for region, alone in (("mouth corner", True), ("chin", False)):
        shapes = [draw_shape(rng, families, [_field(region)]) for _ in range(60)]
        sides = {shape.side for shape in shapes if shape is not None}
        assert sides == ({"", "L", "R"} if alone else {""})


def test_labels_only_where_units_are_known(motion: Motion) -> None:
    recipe = Recipe(families=Families(usual=0, local=0.7, measured=0.3))
    rng = np.random.default_rng(5)
    moves = [draw_micro(rng, 1.0, recipe, motion.peak, [_field("chin", KEPT)]) for _ in range(60)]
    labels = set()
    for action in moves:
        move = action.movement
        assert all(isinstance(unit, Source) for unit in action.strengths)
        assert motion.peak(action.strengths) == pytest.approx(move.peak_px, abs=0.01)
        assert move.units or (move.label3, move.label5) == (None, None)
        labels.add((move.units and move.units[0].rstrip("LR"), move.label5))
    assert {action.movement.family for action in moves} == {LOCAL, KEPT}
    assert {label for unit, label in labels if unit == "AU12"} == {"happiness"}
    assert {label for unit, label in labels if unit == "AU14"} <= {None}  # of two emotions
