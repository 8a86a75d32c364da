"""Known movements magnified: measured gain, stillness under noise, the map of colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from microspot.engines.magnification import lagrangian as lagrangian_module
from microspot.engines.magnification.color_map import FULL_PX, color_map
from microspot.engines.magnification.flow import local_flow, places
from microspot.engines.magnification.magnify import GAINS, WAYS, Magnification

SIDES = (112, 224)  # of pictures
MOVED_PX = 0.7  # of a crop of 112 px, down
PATCH = 0.22  # half the side of what moves, sides of the picture
MIDDLE = 0.1  # half the side of what is measured, all of which moves alike
SEARCHED_PX = 7  # px of a crop of 112 px, each way
FINENESS = 16  # steps a px of a crop of 112 px
NOISE = 4.0  # standard deviation in grey levels of a sensor's noise in each colour

Clip = NDArray[np.uint8]


def texture(side: int, finest: float = 1.5) -> NDArray[np.float32]:
    """Grey levels that vary over `finest` and more px of a crop of 112 px, like skin and hair."""
    noise = np.random.default_rng(5).standard_normal((side, side)).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(noise, (0, 0), s * side / 112) for s in (finest, 4 * finest))
    return np.float32(120) + 15 * (fine / fine.std() + coarse / coarse.std())


def moved(grey: NDArray[np.float32], px: float) -> NDArray[np.float32]:
    """The texture with its middle moved down by `px` of a crop of 112 px."""
    side = len(grey)
    half = round(PATCH * side)
    middle = slice(side // 2 - half, side // 2 + half)
    share = np.zeros((side, side), np.float32)
    share[middle, middle] = 1
    share = cv2.GaussianBlur(share, (0, 0), side / 25)
    at = np.arange(side, dtype=np.float32)
    x, y = np.meshgrid(at, at)
    down = y - share * np.float32(px * side / 112)
    return np.asarray(cv2.remap(grey, x, down, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT))


def picture(grey: NDArray[np.float32], rng: np.random.Generator | None = None) -> Clip:
    """A coloured picture, with a sensor's noise where `rng` is given."""
    values = np.stack([0.9 * grey, grey, 1.1 * grey], axis=-1)
    if rng is not None:
        values = values + NOISE * rng.standard_normal(values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def measured_px(start: Clip, now: Clip) -> NDArray[np.float64]:
    """How far the middle went, in px of a crop of 112 px: right, down, to FINENESS of a px.

    It is looked for where it fits best, by no flow.
    """
    side = len(start)
    scale = FINENESS * 112 // side
    middle = round(MIDDLE * side)
    around = middle + round(SEARCHED_PX * side / 112)
    parts = []
    for one, reach in ((now, around), (start, middle)):
        part = slice(side // 2 - reach, side // 2 + reach)
        grey = cv2.cvtColor(one, cv2.COLOR_BGR2GRAY)[part, part].astype(np.float32)
        parts.append(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
    fits = cv2.matchTemplate(*parts, cv2.TM_CCOEFF_NORMED)
    row, column = np.unravel_index(fits.argmax(), fits.shape)
    centre = (len(fits) - 1) / 2
    return np.array([column - centre, row - centre]) / FINENESS


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("gain", [2.0, 4.0, 6.0])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_known_movement_is_as_much_larger_as_is_asked_for(
    side: int, gain: float, noisy: bool
) -> None:
    rng = np.random.default_rng(2) if noisy else None
    grey = texture(side)
    start = picture(grey, rng)
    (magnified,) = Magnification(gain)(picture(moved(grey, MOVED_PX), rng)[None], start)
    right, down = measured_px(start, magnified)
    assert down == pytest.approx(gain * MOVED_PX, rel=0.1)
    assert right == pytest.approx(0, abs=0.1 * gain * MOVED_PX)


def test_smooth_skin_moves_as_far_as_fine_texture() -> None:
    grey = texture(224, finest=4.0)
    start = picture(grey)
    (magnified,) = Magnification(4.0)(picture(moved(grey, MOVED_PX))[None], start)
    assert measured_px(start, magnified)[1] == pytest.approx(4 * MOVED_PX, rel=0.1)


def test_the_measure_itself_sees_the_movement() -> None:
    grey = texture(224)
    found = measured_px(picture(grey), picture(moved(grey, 2.8)))
    assert found == pytest.approx(np.array([0, 2.8]), abs=1 / FINENESS)


def test_grey_levels_magnified_move_only_what_is_coarse() -> None:
    gains = {}
    for finest in (1.5, 4.0):
        grey = texture(224, finest)
        start = picture(grey)
        clip = picture(moved(grey, MOVED_PX))[None]
        (magnified,) = Magnification(4.0, "eulerian")(clip, start)
        gains[finest] = measured_px(start, magnified)[1] / MOVED_PX
    assert gains[4.0] == pytest.approx(4, rel=0.2)
    assert gains[1.5] < 3, "its waves are shorter than 8 times the movement"
    (brighter,) = Magnification(4.0, "eulerian")(start[None] + np.uint8(5), start)
    assert np.median(brighter - start) == 4 * 5, "light is magnified as movement is"


@pytest.mark.parametrize(
    ("way", "most", "coarse_most"), [("lagrangian", 1.3, 4), ("eulerian", 1.5, 9)]
)
def test_a_still_clip_stays_still_under_noise(way: str, most: float, coarse_most: float) -> None:
    rng = np.random.default_rng(3)
    grey = texture(224)
    start = picture(grey, rng)
    clip = np.stack([picture(grey, rng) for _ in range(4)])
    magnified = Magnification(6.0, way)(clip, start)
    assert noise(magnified, grey) / noise(clip, grey) < most
    # Noise that is coarse as movements are, of which a sensor has little: 3.0 and 6.3 times.
    assert noise(magnified, grey, 6) / noise(clip, grey, 6) < coarse_most
    farthest = max(np.abs(measured_px(start, one)).max() for one in magnified)
    assert farthest < 0.3, "px, where a movement of 0.7 px becomes one of 4.2 px"


def noise(clip: Clip, grey: NDArray[np.float32], spread: float = 0.0) -> float:
    """Standard deviation of a clip about its texture, in what varies over `spread` px and more."""
    errors = clip.astype(np.float32).mean(-1) - picture(grey).astype(np.float32).mean(-1)
    if spread:
        errors = np.stack([cv2.GaussianBlur(one, (0, 0), spread / 2) for one in errors])
    return float(errors.std())


def test_what_the_whole_crop_does_is_left_as_it_is() -> None:
    grey = texture(112)
    start = picture(grey)
    swayed = picture(np.roll(grey, 2, axis=1))
    (magnified,) = Magnification(8.0)(swayed[None], start)
    assert measured_px(start, magnified) == pytest.approx(np.array([2, 0]), abs=0.4), "not 16"


def test_each_place_is_drawn_where_its_magnified_way_ends() -> None:
    x, y = places()
    ramp = np.stack([2 * x] * 3, axis=-1).astype(np.uint8)
    flow = np.zeros((112, 112, 2), np.float32)
    flow[..., 0] = 1.5 * np.exp(-((x - 56) ** 2) / (2 * 9**2))
    across = flow[..., 0]
    drawn = lagrangian_module._magnified(ramp, flow, 4.0)[..., 0].astype(np.float32)
    ends = cv2.remap(drawn, x + 4 * across, y, cv2.INTER_LINEAR)
    inner = slice(10, 100)
    np.testing.assert_allclose(ends[inner, inner] / 2, (x + across)[inner, inner], atol=0.5)


def test_a_large_movement_does_not_tear_the_face() -> None:
    added = np.zeros((1, 3, 2), np.float32)
    added[0, :, 1] = 3, 12, 300
    bounded = lagrangian_module._bounded(added)[0, :, 1]
    assert bounded[0] == pytest.approx(3, rel=0.01)
    assert 8 < bounded[1] < bounded[2] <= lagrangian_module.MOST_PX


def test_light_that_changes_moves_nothing() -> None:
    grey = texture(112)
    brighter = picture(grey + np.linspace(0, 12, 112, dtype=np.float32))
    assert np.abs(local_flow(picture(grey), brighter)).max() < 0.15


def test_colours_say_where_to_and_grey_that_nothing_moved() -> None:
    face = np.full((112, 112, 3), 128, np.uint8)
    still = color_map(face, np.zeros((112, 112, 2), np.float32))
    assert (still[:80] == 128).all(), "above the key"
    assert (still[80:] != 128).any(), "the key"
    flow = np.zeros((112, 112, 2), np.float32)
    flow[:20, :, 0] = FULL_PX  # right: red
    flow[20:40, :, 0] = -FULL_PX  # left: red's opposite
    drawn = color_map(face, flow)
    blue, green, red = drawn[5, 50].astype(int)
    assert red > blue + 100
    assert red > green + 100
    blue, green, red = drawn[30, 50].astype(int)
    assert min(blue, green) > red + 100
    assert (color_map(face, flow / 2)[5, 50] - 128).astype(np.int8)[2] > 0, "weaker, not gone"


@pytest.mark.parametrize(
    ("gain", "way", "words"),
    [
        (GAINS[0] - 0.1, "lagrangian", "expected 2 to 8"),
        (GAINS[1] + 0.1, "lagrangian", "expected 2 to 8"),
        (float("nan"), "lagrangian", "expected 2 to 8"),
        (4.0, "both", "lagrangian or eulerian"),
    ],
)
def test_other_magnifications_are_refused(gain: float, way: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Magnification(gain, way)
    assert set(WAYS) == {"lagrangian", "eulerian"}
