"""The generator: the same seed gives the same pixels, and what the truth says is what moves."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.actions import SIDES
from microspot.engines.data.generator.appearance.look import Look
from microspot.engines.data.generator.camera import CODECS, capture_times, coded
from microspot.engines.data.generator.synthetic import Clip, Motion, Renderer
from microspot.engines.data.generator.timeline import Recipe, Strengths
from tests.engines.data.generator.rendering import STILL_CAMERA, TINY, change


@pytest.fixture(scope="module")
def quiet_clips(face: FaceAsset) -> list[Clip]:
    renderer = Renderer(face, 112, STILL_CAMERA)
    return [renderer.clip(seed, 6.0) for seed in range(4)]


def test_same_seed_same_clip_other_seed_other_clip(face: FaceAsset) -> None:
    one, again, other = (Renderer(face).clip(seed, 2.0) for seed in (5, 5, 6))
    assert np.array_equal(one.crops, again.crops)
    assert np.array_equal(one.times_ns, again.times_ns)
    assert one.movements == again.movements
    assert one.crops.shape != other.crops.shape or not np.array_equal(one.crops, other.crops)


RATE_FREE = dataclasses.replace(
    Recipe(), rate_free=True, time_jitter=0, lost_frames=0, repeated_frames=0, smears=0,
    noise=TINY, codecs=(0.0, 0.0, 1.0), jitter_px=(0.0, 0.0),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_shows_the_same_at_every_rate_where_the_recipe_says_so(
    face: FaceAsset, seed: int
) -> None:
    """Sway, light and the aligner's error, each with what is drawn for single frames before it."""
    slow, fast = (
        Renderer(face, recipe=dataclasses.replace(RATE_FREE, hz=(hz,))).clip(seed, 2.0)
        for hz in (15.0, 60.0)
    )
    same = fast.crops[::4]
    assert slow.movements == fast.movements
    assert np.abs(slow.times_ns - fast.times_ns[::4]).max() <= 1
    assert np.abs(slow.crops.astype(int) - same).mean() < 0.1


def test_frames_are_lost_in_the_same_clips_at_every_rate() -> None:
    recipe = dataclasses.replace(Recipe(), rate_free=True, lost_frames=0.3)
    lost = [
        [len(capture_times(np.random.default_rng(seed), 4.0, rated)) < 4 * hz for seed in range(20)]
        for hz in (15.0, 60.0)
        for rated in (dataclasses.replace(recipe, hz=(hz,)),)
    ]
    assert lost[0] == lost[1]
    assert 0 < sum(lost[0]) < 20


def test_a_clip_has_the_promised_form(face: FaceAsset) -> None:
    began = time.perf_counter()
    clip = Renderer(face).clip(1, 6.0)
    print(f"{len(clip.crops) / (time.perf_counter() - began):.0f} frames/s, fields included")
    assert (clip.face, clip.split) == ("webcam", "train")
    assert (clip.crops.dtype, clip.crops.shape[1:]) == (np.uint8, (3, 112, 112))
    assert len(clip.times_ns) == len(clip.crops)
    assert clip.times_ns[0] == 0
    assert (np.diff(clip.times_ns) > 0).all()
    red, _, blue = clip.crops.mean((0, 2, 3))
    assert red > blue  # skin: RGB, not BGR


def test_pixels_move_within_micro_expressions_and_rest_between_them(
    quiet_clips: list[Clip],
) -> None:
    seen = 0
    for clip in quiet_clips:
        level = change(clip.crops)
        times = clip.times_ns
        spans = [(times > m.onset_ns) & (times < m.offset_ns) for m in clip.movements]
        at_rest = level[~np.logical_or.reduce([np.zeros(len(level), bool), *spans])]
        assert at_rest.max() < 0.5
        for move, here in zip(clip.movements, spans, strict=True):
            shown = int(clip.times_ns[here][level[here].argmax()])
            assert abs(shown - move.apex_ns) <= 67_000_000, move
            assert level[here].max() > at_rest.max() + 2, move
            seen += 1
    assert seen >= 3


def test_parted_lips_are_dark_inside(face: FaceAsset, motion: Motion) -> None:
    renderer = Renderer(face, 112, STILL_CAMERA)
    parted: Strengths = {("AU25", s): 1.0 for s in SIDES} | {("AU26", s): 0.6 for s in SIDES}
    look = Look(renderer._base)
    rest, said = (
        renderer._shown(look, renderer._motion.total(strengths), 0.0) for strengths in ({}, parted)
    )
    x, y = renderer._motion.geometry.landmarks[[13, 14]].mean(0).round().astype(int)
    assert said[y + 3, x].mean() < 0.75 * rest[y + 3, x].mean()


def test_a_still_face_moves_as_much_as_the_recipe_says(face: FaceAsset) -> None:
    """The head turns and the skin warps: pixels change, more with more of either."""
    levels = []
    for rad, px in ((1e-6, 1e-6), (0.05, 1e-6), (1e-6, 0.4)):
        recipe = dataclasses.replace(
            STILL_CAMERA, micro_per_min=0, sway_rad=(rad, rad), warp_px=(px, px)
        )
        levels.append(float(change(Renderer(face, 112, recipe).clip(3, 4.0).crops)[20:].mean()))
    assert levels[0] < 0.5
    assert min(levels[1:]) > 5 * max(levels[0], 0.2)


def test_head_turns_leave_parallax_but_no_similarity(face: FaceAsset) -> None:
    renderer = Renderer(face, 112)
    yaw = renderer._motion.field(("YAW", ""))
    size = np.hypot(*np.moveaxis(yaw, -1, 0))
    x, y = renderer._motion.geometry.landmarks[1].round().astype(int)
    assert size.max() * 0.05 > 0.3, "three degrees move something by a third of a pixel"
    np.testing.assert_allclose(renderer._residual(yaw), yaw, atol=1e-3)
    side_x, side_y = renderer._motion.geometry.landmarks[454].round().astype(int)
    assert yaw[y, x, 0] * yaw[side_y, side_x, 0] < 0, (
        "the nose goes one way, the side of the face the other"
    )


@pytest.mark.parametrize("codec", ["h264", "jpeg", "none"])
def test_every_codec_gives_back_every_frame(codec: str) -> None:
    shares = tuple(float(codec == name) for name in CODECS)
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    frames = [np.roll(ramp, i, axis=1) for i in range(20)]
    out = coded(frames, rng, dataclasses.replace(Recipe(), codecs=shares), 25.0)
    assert [f.shape for f in out] == [f.shape for f in frames]
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, out, strict=True)]
    assert max(errors) < 12
    assert (max(errors) == 0) == (codec == "none")
