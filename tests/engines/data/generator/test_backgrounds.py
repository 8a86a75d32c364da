"""Real-video backgrounds: the part that is shown, what is warped in, and what stays as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.data.generator.backgrounds import (
    Background,
    _cut,
    _judged,
    _shares,
    background_clip,
    read_backgrounds,
)
from microspot.engines.data.generator.synthetic import Motion
from microspot.engines.data.generator.timeline import Movement, Recipe, Slow
from microspot.engines.errors import DataError
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()
NEVER = dataclasses.replace(Recipe(), micro_px=(1.5, 1.9))


@pytest.fixture(scope="module")
def backgrounds() -> list[Background]:
    return read_backgrounds(SAMPLE, stop_s=3.0)


def test_a_video_becomes_segments_in_crop_pixels(backgrounds: list[Background]) -> None:
    (background,) = backgrounds
    assert background.crops.shape == (75, 3, 112, 112)
    assert background.times_ns[0] == 0
    assert np.allclose(np.diff(background.times_ns), 40_000_000, atol=2)
    noses = background.landmarks[:, 1]
    assert ((noses > 40) & (noses < 90)).all()


def test_a_clip_is_a_part_of_the_footage_played_forward(backgrounds: list[Background]) -> None:
    firsts = set()
    seen = 0
    for seed in range(8):
        clip = background_clip(backgrounds, seed, 2.0, NEVER)
        assert (clip.split, clip.face) == ("train", "webcam.mp4")
        assert clip.times_ns[0] == 0
        assert 1.9e9 < clip.times_ns[-1] <= 2e9
        assert np.allclose(np.diff(clip.times_ns), 40_000_000, atol=2)
        assert {m.kind for m in clip.movements} <= {"micro", "doubtful"}
        assert not clip.reversible
        rows, times = _cut(backgrounds[0].times_ns, 2.0, np.random.default_rng(seed))
        assert (np.diff(rows) == 1).all()
        assert len(rows) == len(times)
        firsts.add(int(rows[0]))
        seen += len(clip.movements)
    assert len(firsts) > 4
    assert seen >= 1
    again = background_clip(backgrounds, 3, 2.0, NEVER)
    np.testing.assert_array_equal(again.crops, background_clip(backgrounds, 3, 2.0, NEVER).crops)


def test_footage_that_is_shorter_than_a_clip_is_shown_once(backgrounds: list[Background]) -> None:
    clip = background_clip(backgrounds, 0, 6.0, NEVER)
    np.testing.assert_array_equal(clip.times_ns, backgrounds[0].times_ns)


def test_a_share_of_clips_is_footage_as_it_is(backgrounds: list[Background]) -> None:
    pure = dataclasses.replace(NEVER, pure_backgrounds=1.0, sustained_per_min=60)
    assert background_clip(backgrounds, 0, 3.0, pure).movements == ()
    mixed = dataclasses.replace(pure, pure_backgrounds=0.5, micro_per_min=60)
    moving = [bool(background_clip(backgrounds, s, 3.0, mixed).movements) for s in range(24)]
    assert 5 < sum(moving) < 19


def test_mes_lie_on_slow_expressions_in_footage_too(backgrounds: list[Background]) -> None:
    recipe = dataclasses.replace(NEVER, slow=Slow(under=1.0))
    kinds = [
        m.kind for s in range(8) for m in background_clip(backgrounds, s, 3.0, recipe).movements
    ]
    assert kinds.count("slow") == kinds.count("micro") + kinds.count("doubtful") > 0


def test_no_person_is_drawn_much_more_than_another(backgrounds: list[Background]) -> None:
    (one,) = backgrounds
    many = [dataclasses.replace(one, person="a") for _ in range(16)]
    shares = _shares([*many, dataclasses.replace(one, person="b")], 6.0)
    assert shares[:16].sum() == pytest.approx(4 * shares[16])


def test_sustained_expressions_are_warped_in_where_the_recipe_has_them(
    backgrounds: list[Background],
) -> None:
    recipe = dataclasses.replace(NEVER, sustained_per_min=20)
    kinds = []
    for seed in range(6):
        clip = background_clip(backgrounds, seed, 6.0, recipe)
        kinds += [move.kind for move in clip.movements]
    assert kinds.count("macro") >= 2
    assert kinds.count("micro") >= 2


def test_movements_are_warped_in_and_nothing_else_is(backgrounds: list[Background]) -> None:
    """One frame over and over, so that all that changes is the fresh noise and what was warped
    in."""
    frozen = [
        dataclasses.replace(c, crops=np.repeat(c.crops[:1], len(c.crops), 0)) for c in backgrounds
    ]
    moved = 0.0
    rest = 0.0
    for seed in range(12):
        clip = background_clip(frozen, seed, 4.0, NEVER)
        for move in clip.movements:
            at = int(np.abs(clip.times_ns - move.apex_ns).argmin())
            change = np.abs(clip.crops[at].astype(int) - clip.crops[0].astype(int)).mean(0)
            quiet = np.abs(clip.crops[1].astype(int) - clip.crops[0].astype(int)).mean(0)
            moved += float(np.sort(change.ravel())[-300:].mean())
            rest += float(quiet.mean())
    assert moved > 2 * rest > 0


def test_a_video_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"broken\.mp4"):
        read_backgrounds(tmp_path / "broken.mp4")


def test_an_me_of_a_mouth_that_speaks_is_doubtful(motion: Motion) -> None:
    times = np.arange(50) * 40_000_000
    shown = np.repeat(motion.geometry.landmarks[None, :, :2], 50, 0)
    speaking = shown.copy()
    speaking[20:25, 14, 1] += 0.4 * motion.geometry.px_per_cm
    ns = (800_000_000, 900_000_000, 1_100_000_000)
    lips = Movement("micro", *ns, ("AU24",), None, "others", 1.0, "usual", "lips")
    brow = dataclasses.replace(lips, region="brow")
    early = dataclasses.replace(lips, onset_ns=0, apex_ns=200_000_000, offset_ns=400_000_000)
    for move, mouth, kind in (
        (lips, shown, "micro"),
        (lips, speaking, "doubtful"),
        (brow, speaking, "micro"),
        (early, speaking, "micro"),
    ):
        judged = _judged(move, mouth, times, motion.geometry)
        assert judged.kind == kind
        assert (judged.label5 is None) == (kind == "doubtful")
