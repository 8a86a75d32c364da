"""The looks of clips: what is darker, where lines and glasses lie, and what moves with the skin."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.actions import SIDES
from microspot.engines.data.generator.appearance.glasses import Glasses
from microspot.engines.data.generator.appearance.look import Look, draw_look, of_small_faces
from microspot.engines.data.generator.appearance.skin import bearded, darker, lines
from microspot.engines.data.generator.synthetic import Renderer
from microspot.engines.data.generator.timeline import Looks, Recipe
from tests.engines.data.generator.rendering import STILL_CAMERA


@pytest.fixture(scope="module")
def renderer(face: FaceAsset) -> Renderer:
    return Renderer(face, 112, STILL_CAMERA)


def _at(renderer: Renderer, landmark: int) -> tuple[int, int]:
    x, y = renderer._motion.geometry.landmarks[landmark].round().astype(int)
    return int(y), int(x)


def test_darker_skin_is_darker_and_eyes_stay(renderer: Renderer) -> None:
    image, geometry = renderer._base, renderer._motion.geometry
    dark = darker(image, geometry, np.random.default_rng(0))
    cheek = _at(renderer, 50)
    assert dark[cheek].mean() < 0.9 * image[cheek].mean()
    eye = tuple(np.mean([_at(renderer, i) for i in (33, 133, 159, 145)], 0).round().astype(int))
    assert np.abs(dark[eye].astype(float) - image[eye]).max() < 12


def test_beards_grow_on_the_jaw_and_nowhere_else(renderer: Renderer) -> None:
    image, geometry = renderer._base, renderer._motion.geometry
    change = np.zeros(image.shape[:2])
    for seed in range(4):
        hairy = bearded(image, geometry, np.random.default_rng(seed)).astype(float)
        change += (image - hairy).mean(-1) / 4
    jaw = _at(renderer, 172)
    assert change[jaw[0] - 3 : jaw[0] + 4, jaw[1] - 3 : jaw[1] + 4].mean() > 4
    brow, lip = _at(renderer, 105), _at(renderer, 14)
    assert abs(change[brow]) < 0.6
    assert change[lip] < 0.4 * change[jaw[0] - 3 : jaw[0] + 4, jaw[1] - 3 : jaw[1] + 4].mean()


def test_lines_show_where_skin_is_pressed_and_not_at_rest(renderer: Renderer) -> None:
    motion = renderer._motion
    look = Look(renderer._base, lines(motion.geometry, np.random.default_rng(0)))
    plain = Look(renderer._base)
    rest = np.zeros_like(motion.field(("AU4", "L")))
    np.testing.assert_array_equal(renderer._shown(look, rest, 0), renderer._shown(plain, rest, 0))
    flow = motion.total({("AU4", side): 0.5 for side in SIDES})  # presses the glabella
    lined = renderer._shown(look, flow, 0).astype(float)
    change = lined - renderer._shown(plain, flow, 0)
    assert change.max() <= 1
    y, x = _at(renderer, 9)
    assert change[y : y + 12, x - 8 : x + 9].min() < -8
    nose = _at(renderer, 4)
    assert np.abs(change[nose]).max() < 1


def test_glasses_go_along_neither_with_skin_nor_with_time_but_for_highlights(
    renderer: Renderer,
) -> None:
    motion = renderer._motion
    glasses = Glasses.draw(motion.geometry, np.random.default_rng(1))
    covered = glasses.added.max(-1) > 0
    eye = _at(renderer, 159)
    assert 0.01 < covered.mean() < 0.2
    assert glasses.clear[eye].min() > 0.8  # one sees through
    assert glasses.shine.max() > 20
    grey = np.full_like(renderer._base, 120)
    early, late = (glasses.put_on(grey, t).astype(float) for t in (0.0, 0.9))
    moved = np.abs(late - early).max(-1)
    assert moved.max() > 2
    assert moved[glasses.shine < 1e-3].mean() < 0.3


def test_a_recipe_without_looks_leaves_everything_as_it_is(renderer: Renderer) -> None:
    rng = np.random.default_rng(0)
    look = draw_look(rng, Looks(), renderer._base, renderer._motion.geometry)
    assert look == Look(renderer._base) or look.portrait is renderer._base
    assert (look.lines, look.glasses, look.gain, look.noise) == (None, None, 1.0, 1.0)
    assert of_small_faces(rng, Recipe()) == Recipe()


def test_small_faces_have_few_pixels_and_mes_that_can_be_seen() -> None:
    recipe = Recipe(looks=Looks(small=1.0))
    rng = np.random.default_rng(0)
    for _ in range(20):
        small = of_small_faces(rng, recipe)
        low, high = small.shrink
        assert low == high
        assert 0.35 <= low <= 0.7
        assert small.micro_px[0] * low >= 0.29


def test_dark_rooms_are_dark(face: FaceAsset) -> None:
    lit = Renderer(face, 112, STILL_CAMERA).clip(0, 0.5).crops.mean()
    recipe = dataclasses.replace(STILL_CAMERA, looks=Looks(dark_room=1.0))
    dark = Renderer(face, 112, recipe).clip(0, 0.5).crops.mean()
    assert dark < 0.6 * lit
