"""The generator: the same seed gives the same pixels, and what the truth says is what moves."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import MediaPipeAligner, face_to_crop
from microspot.engines.data.actions import MIRROR, SIDES, UNITS, Geometry, motion_field
from microspot.engines.data.backgrounds import Background
from microspot.engines.data.basis import Basis
from microspot.engines.data.behaviour import EMOTIONS, draw_actions, draw_blink, draw_micro
from microspot.engines.data.camera import CODECS, coded
from microspot.engines.data.faces import FaceAsset, find_faces, is_neutral, load_face, split_of
from microspot.engines.data.synthesize import (
    BACKGROUND_CLIPS,
    BASIS_CLIPS,
    TRAINING_RECIPE,
    Material,
    SetOptions,
    _jobs,
    synthesize,
)
from microspot.engines.data.synthetic import Clip, Motion, Renderer, render_video, strengths_at
from microspot.engines.data.timeline import Action, Recipe, capture_times
from microspot.engines.errors import DataError, UsageError
from microspot.realtime.sources.synthetic_clip import NEUTRAL_FRAME, SAMPLE_HZ, sample_clip

SAMPLE = sample_clip()
NEUTRAL_S = NEUTRAL_FRAME / SAMPLE_HZ  # mouth closed, eyes open, facing the camera
ONLY_MICRO = Recipe(
    macro_per_min=0,
    blink_per_min=0,
    speech_per_min=0,
    gaze_per_min=0,
    swallow_per_min=0,
    turn_per_min=0,
)
TINY = (1e-6, 2e-6)
STILL_CAMERA = dataclasses.replace(
    ONLY_MICRO,
    hz=(30.0,),
    time_jitter=0,
    lost_frames=0,
    repeated_frames=0,
    smears=0,
    noise=TINY,
    light=0,
    flicker=0,
    shrink=(1.0, 1.0 + 1e-9),
    codecs=(0.0, 0.0, 1.0),
    sway_rad=TINY,
    sway_px=TINY,
    warp_px=TINY,
    jitter_px=(0.0, 0.0),
    drift_px=0,
    place_px=0,
    micro_px=(1.2, 1.9),
)


@pytest.fixture(scope="module")
def face() -> FaceAsset:
    with av.open(str(SAMPLE)) as file:
        stream = file.streams.video[0]
        file.seek(int(NEUTRAL_S * av.time_base))
        image = next(
            f.to_ndarray(format="bgr24") for f in file.decode(stream) if f.time >= NEUTRAL_S - 1e-6
        )
    with MediaPipeAligner() as aligner:
        (mesh,) = aligner.landmarks(image)
    return FaceAsset("webcam", "train", image, mesh)


@pytest.fixture(scope="module")
def motion(face: FaceAsset) -> Motion:
    affine = face_to_crop(face.landmarks, 112).matrix
    return Motion(Geometry.of(face.landmarks[:, :2] @ affine[:, :2].T + affine[:, 2], 112, 112))


@pytest.fixture(scope="module")
def quiet_clips(face: FaceAsset) -> list[Clip]:
    renderer = Renderer(face, 112, STILL_CAMERA)
    return [renderer.clip(seed, 6.0) for seed in range(4)]


def drawn(motion: Motion, recipe: Recipe, count: int, seconds: float) -> Iterator[list[Action]]:
    for seed in range(count):
        yield draw_actions(np.random.default_rng(seed), seconds, recipe, motion.peak)


def change(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Difference of every crop to the first: mean of the 2 % that changed most, so that a small
    region shows."""
    levels = np.abs(crops.astype(np.float32) - crops[0]).mean(1).reshape(len(crops), -1)
    return np.asarray(np.sort(levels, axis=1)[:, -levels.shape[1] // 50 :].mean(1), np.float64)


def test_same_seed_same_clip_other_seed_other_clip(face: FaceAsset) -> None:
    one, again, other = (Renderer(face).clip(seed, 2.0) for seed in (5, 5, 6))
    assert np.array_equal(one.crops, again.crops)
    assert np.array_equal(one.times_ns, again.times_ns)
    assert one.movements == again.movements
    assert one.crops.shape != other.crops.shape or not np.array_equal(one.crops, other.crops)


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


def test_peak_px_is_the_peak_of_the_motion(motion: Motion) -> None:
    for actions in drawn(motion, ONLY_MICRO, 4, 20.0):
        for action in actions:
            move = action.movement
            at_apex = motion.peak(strengths_at([action], move.apex_ns / 1e9))
            assert at_apex == pytest.approx(move.peak_px, abs=0.01)
            assert Recipe().micro_px[0] <= move.peak_px <= Recipe().micro_px[1]
            assert at_rest_outside(action)


def at_rest_outside(action: Action) -> bool:
    """Whether nothing moves just before the onset and just after the offset."""
    before = (action.movement.onset_ns - 1) / 1e9
    after = (action.movement.offset_ns + 1) / 1e9
    return action.curve(before) == 0.0 and action.curve(after) == 0.0


def spans_of(actions: list[Action], kind: str) -> list[tuple[int, int]]:
    """Onset and offset in ns of the movements of a kind."""
    moves = [action.movement for action in actions if action.movement.kind == kind]
    return [(move.onset_ns, move.offset_ns) for move in moves]


def test_micro_expressions_overlap_neither_one_another_nor_macros(motion: Motion) -> None:
    recipe = Recipe(micro_per_min=30, macro_per_min=20)
    gap = recipe.margin_s * 1e9 - 2
    micro_count = 0
    macro_count = 0
    for actions in drawn(motion, recipe, 10, 20.0):
        micros = spans_of(actions, "micro")
        macros = spans_of(actions, "macro")
        micro_count += len(micros)
        macro_count += len(macros)
        for (_, before), (after, _) in pairwise(micros):
            assert after - before >= gap
        for onset, offset in micros:
            assert 0 <= onset < offset <= 20e9
            assert all(onset >= last + gap or first >= offset + gap for first, last in macros)
    assert micro_count > 20
    assert macro_count > 5


def test_rates_and_durations_follow_the_recipe(motion: Motion) -> None:
    recipe = Recipe()
    moves = [a.movement for actions in drawn(motion, recipe, 60, 30.0) for a in actions]
    kinds = [move.kind for move in moves]
    for kind, per_min in (("macro", 4.0), ("blink", 18.0), ("gaze", 10.0), ("turn", 5.0)):
        assert kinds.count(kind) / 30 == pytest.approx(per_min, rel=0.25), kind
    micros = [m for m in moves if m.kind == "micro"]
    per_min = len(micros) / 30  # those too close are dropped
    assert 0.7 * recipe.micro_per_min < per_min <= 1.1 * recipe.micro_per_min
    assert {(m.label5, m.label3) for m in micros} == {(e.label5, e.label3) for e in EMOTIONS}
    for move in micros:
        length = move.offset_ns - move.onset_ns
        assert 0.13e9 - 2 <= length <= 0.50e9 + 2
        assert 0.2 - 1e-6 <= (move.apex_ns - move.onset_ns) / length <= 0.8 + 1e-6
    assert all(m.label3 is None and m.label5 is None for m in moves if m.kind != "micro")
    longest = [(m.offset_ns - m.onset_ns) / 1e9 for m in moves if m.kind == "macro"]
    assert min(longest) >= 0.55 - 1e-6
    weak = [m.peak_px for m in moves if m.kind == "macro" and m.peak_px < recipe.micro_px[1]]
    assert weak, "without weak macro-expressions strength alone would tell an ME"


def test_sustained_expressions_begin_as_an_me_does_and_stay(motion: Motion) -> None:
    recipe = Recipe(micro_per_min=20, macro_per_min=0, sustained_per_min=20)
    actions = list(drawn(motion, recipe, 20, 20.0))
    sustained = [a for each in actions for a in each if a.movement.kind == "macro"]
    assert len(sustained) > 30
    for action in sustained:
        move = action.movement
        onset, apex, offset = (ns / 1e9 for ns in (move.onset_ns, move.apex_ns, move.offset_ns))
        assert 0.2 * recipe.micro_s[2] - 1e-6 <= apex - onset <= 0.8 * recipe.micro_s[3] + 1e-6
        assert offset - apex > recipe.sustained_s[0]
        assert at_rest_outside(action)
        assert action.curve(apex) == pytest.approx(1, abs=1e-6)
        kept = action.curve(apex + recipe.sustained_s[0])
        assert kept >= recipe.sustained_level[0] - 1e-6
        levels = [action.curve(t) for t in np.arange(onset, offset + 0.02, 0.01)]
        assert np.abs(np.diff(levels)).max() < 0.45  # no jump: the fastest rise takes 0.03 s
    faint = [a for a in sustained if a.movement.peak_px < recipe.micro_px[1]]
    assert 0.2 * len(sustained) < len(faint) < 0.9 * len(sustained)
    for each in actions:
        macros = spans_of(each, "macro")
        for onset_ns, offset_ns in spans_of(each, "micro"):
            assert all(offset_ns <= first or onset_ns >= last for first, last in macros)


def test_brows_and_cheeks_follow_a_blink_as_far_as_they_are_pulled() -> None:
    once, twice = (draw_blink(np.random.default_rng(3), 1.0, pull).strengths for pull in (1.0, 2.0))
    for unit in once:
        factor = 1 if unit[0] == "AU43" else 2
        assert twice[unit] == pytest.approx(factor * once[unit])


@pytest.mark.parametrize(
    ("label5", "label3"), [("others", None), ("disgust", "negative"), ("happiness", "positive")]
)
def test_labels_follow_the_units(motion: Motion, label5: str, label3: str | None) -> None:
    rng = np.random.default_rng(0)
    moves = [draw_micro(rng, 1.0, Recipe(), motion.peak).movement for _ in range(80)]
    mine = [m for m in moves if m.label5 == label5]
    assert mine
    assert {m.label3 for m in mine} == {label3}
    alone = {m.label5 for m in moves if {u[:3] for u in m.units} == {"AU4"}}
    assert alone <= {"others"}  # a lowered brow alone is not disgust


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


def test_parted_lips_are_dark_inside(face: FaceAsset, motion: Motion) -> None:
    renderer = Renderer(face, 112, STILL_CAMERA)
    parted = {("AU25", s): 1.0 for s in SIDES} | {("AU26", s): 0.6 for s in SIDES}
    rest, said = (renderer._moved(renderer._motion.total(strengths)) for strengths in ({}, parted))
    x, y = renderer._motion.geometry.landmarks[[13, 14]].mean(0).round().astype(int)
    assert said[y + 3, x].mean() < 0.75 * rest[y + 3, x].mean()


def test_the_step_between_the_lips_does_not_tear_the_cheek(motion: Motion) -> None:
    flow = motion.total({("AU26", s): 1.0 for s in SIDES})[..., 1]
    one_cm = motion.geometry.px_per_cm * motion.geometry.right
    x, y = (motion.geometry.landmarks[308] + one_cm).round().astype(int)
    column = flow[y - 10 : y + 17, x]
    assert column.max() > 0.5
    # 0.08 as built, 0.16 with a step that stays narrow
    assert np.abs(np.diff(column)).max() < 0.12 * column.max()


@pytest.mark.parametrize("seed", range(6))
def test_capture_times_rise_from_zero_at_a_rate_of_the_recipe(seed: int) -> None:
    recipe = Recipe()
    times = capture_times(np.random.default_rng(seed), 20.0, recipe)
    hz = 1e9 / float(np.median(np.diff(times)))
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert min(abs(hz / rate - 1) for rate in recipe.hz) < 0.05
    assert 0.9 < len(times) / (20 * hz) <= 1.02


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


def test_video_keeps_its_size_times_background_and_seed(face: FaceAsset) -> None:
    moves, stream = render_video(face.image, face.landmarks, 3, 1.0, 30)
    frames = list(stream)
    assert [at for at, _ in frames] == [round(i * 1e9 / 30) for i in range(30)]
    assert {image.shape for _, image in frames} == {face.image.shape}
    assert {image.dtype for _, image in frames} == {np.dtype(np.uint8)}
    again_moves, again = render_video(face.image, face.landmarks, 3, 1.0, 30)
    assert again_moves == moves
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(frames, again, strict=True))
    assert not np.array_equal(
        frames[0][1], next(render_video(face.image, face.landmarks, 4, 2.0, 30)[1])[1]
    )


def test_half_a_minute_of_video_holds_several_micro_expressions(face: FaceAsset) -> None:
    counts = []
    for seed in range(4):
        moves, _ = render_video(face.image, face.landmarks, seed, 30.0, 30)
        counts.append([move.kind for move in moves].count("micro"))
    assert 4 <= np.mean(counts) <= 9
    assert min(counts) >= 2


def test_split_is_by_name_or_origin_and_stable() -> None:
    names = [f"{i:04d}.jpg" for i in range(2000)]
    share = np.mean([split_of(n) == "validation" for n in names])
    assert share == pytest.approx(0.06, abs=0.02)
    assert [split_of(n) for n in names[:4]] == [split_of(n) for n in names[:4]]
    assert {split_of(n, "SelfishGene/SFHQ-dataset") for n in names} == {"validation", "test"}


def _folder(tmp_path: Path, face: FaceAsset, count: int) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), face.image)
    return folder


def test_faces_are_found_with_and_without_stored_landmarks(tmp_path: Path, face: FaceAsset) -> None:
    folder = _folder(tmp_path, face, 2)
    detected = find_faces(folder)
    assert [path.name for path, _, _ in detected] == ["0.png", "1.png"]
    assert np.abs(detected[0][1][:468, :2] - face.landmarks[:468, :2]).max() < 2.0
    opened = np.array(face.landmarks[:468])
    opened[14, 1] += 20
    assert is_neutral(face.landmarks)
    assert not is_neutral(opened)
    np.savez(folder / "landmarks468.npz", L=np.stack([face.landmarks[:468], opened]))
    (kept,) = find_faces(folder)
    assert kept[0].name == "0.png"
    assert load_face(*kept).image.shape == face.image.shape
    np.savez(folder / "landmarks468.npz", L=opened[None])
    with pytest.raises(DataError, match="1 meshes for 2 images"):
        find_faces(folder)


def test_a_folder_without_faces_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder of"):
        find_faces(tmp_path / "nowhere")


def test_a_set_on_disk_equals_its_clips(tmp_path: Path, face: FaceAsset) -> None:
    folder = _folder(tmp_path, face, 2)
    np.savez(folder / "landmarks468.npz", L=np.repeat(face.landmarks[None, :468], 2, 0))
    (folder / "faces.csv").write_text("file,repo\n0.png,x/SFHQ-dataset\n1.png,x/SFHQ-T2I-dataset\n")
    done: list[int] = []
    synthesize(
        folder,
        tmp_path / "set",
        SetOptions(clips=5, seconds=1.5, seed=1),
        workers=1,
        progress=lambda n, _: done.append(n),
    )
    crops = np.load(tmp_path / "set" / "crops.npy", mmap_mode="r")
    index = json.loads((tmp_path / "set" / "index.json").read_text())
    clips = index["clips"]
    assert done == [1, 2, 3, 4, 5]
    assert [c["start"] for c in clips] == np.cumsum([0] + [c["count"] for c in clips])[:-1].tolist()
    assert len(crops) == sum(c["count"] for c in clips)
    entry = clips[-1]
    (path, mesh, split) = next(f for f in find_faces(folder) if f[0].name == entry["face"])
    clip = Renderer(load_face(path, mesh, split), recipe=TRAINING_RECIPE).clip(entry["seed"], 1.5)
    assert np.array_equal(crops[entry["start"] : entry["start"] + entry["count"]], clip.crops)
    assert clip.times_ns.tolist() == entry["times_ns"]


@pytest.mark.parametrize("share", [BACKGROUND_CLIPS, 1.0])
def test_basis_and_backgrounds_take_their_share_of_a_set(
    tmp_path: Path, face: FaceAsset, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path, face, 2)
    np.savez(folder / "landmarks468.npz", L=np.repeat(face.landmarks[None, :468], 2, 0))
    (folder / "faces.csv").write_text("file,repo\n0.png,x/SFHQ-dataset\n1.png,x/SFHQ-T2I-dataset\n")
    videos = tmp_path / "videos"
    videos.mkdir()
    with pytest.raises(DataError, match="0 videos"):
        synthesize(folder, tmp_path / "set", SetOptions(2, 1.0, seed=1, backgrounds=videos))
    with pytest.raises(UsageError, match="--carrier-share 2: expected 0 to 1"):
        SetOptions(2, 1.0, seed=1, background_share=2)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(DataError, match=r"the set takes about 0\.0 GB, 0\.0 are free"):
        synthesize(folder, tmp_path / "set", SetOptions(2, 1.0, seed=1))
    options = SetOptions(400, 1.0, seed=1, background_share=share)
    background = Background("v", *[np.zeros(0)] * 3)
    jobs = _jobs(folder, Material(options, Basis({}), (background,)))
    train = [job for job in jobs if job.split == "train"]
    assert np.mean([job.face is None for job in train]) == pytest.approx(share, abs=0.05)
    assert np.mean([job.basis for job in jobs]) == pytest.approx(BASIS_CLIPS, abs=0.08)
    assert all(job.face is not None for job in jobs if job.split == "validation")
