"""When landmarks are asked for, and how faces are followed in between."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.affine import Affine
from microspot.engines.alignment.aligner import AlignOptions, MediaPipeAligner, face_to_crop
from microspot.engines.errors import EngineError
from tests.engines.alignment.scripted import TICK, Counting, Scripted, moved, turned


def test_landmarks_are_asked_now_and_then(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    with Counting(mesh, search_ns=80_000_000) as aligner:
        often = [aligner.show(image, i)[1] for i, image in enumerate(clip)]
    assert often == [1, 0, 0, 0, 0] * 2 + [1, 0]
    with Counting(mesh, still_ns=400_000_000) as aligner:
        still = [aligner.show(clip[0], i)[1] for i in range(12)]
    assert still == [1] + [0] * 9 + [1, 0], "a face that rests needs them more seldom"
    with Counting(mesh, still_ns=400_000_000) as aligner:
        sliding = [aligner.show(clip[0], i, (i, 0))[1] for i in range(12)]
    assert sliding == often, "one that moves by more than old_px does not"


def test_a_followed_face_is_where_landmarks_at_every_frame_put_it(clip: list[np.ndarray]) -> None:
    with (
        MediaPipeAligner(options=AlignOptions(landmarks_ns=0)) as often,
        MediaPipeAligner() as seldom,
    ):
        for i, image in enumerate(clip):
            one, other = (a(image, i * TICK).faces[0] for a in (often, seldom))
            away = (Affine(one.affine) @ Affine(other.affine).inverse()).matrix - np.eye(2, 3)
            assert np.abs(away[:, 2]).max() < 0.1, i
            assert np.abs(one.outline - other.outline).max() < 4, i


@pytest.mark.parametrize(("step", "asked"), [(3, 0), (8, 0), (12, 1)])
def test_a_quick_head_is_followed_as_far_as_it_leaps(
    clip: list[np.ndarray], mesh: np.ndarray, step: int, asked: int
) -> None:
    """Steps in frame px, which here are crop px within a tenth; the last is further than
    registration reaches."""
    with Counting(mesh) as aligner:
        (still,) = aligner.show(clip[0], 0)[0].faces
        for i in range(1, 4):
            found, runs = aligner.show(clip[0], i, (-i * step, 0))
            (face,) = found.faces
            assert runs == asked, i
            expected = (Affine(still.affine) @ Affine.shift(i * step, 0)).matrix
            assert np.abs(face.affine - expected).max() < 0.05
            np.testing.assert_allclose(face.outline, still.outline - (i * step, 0), atol=0.1)
            np.testing.assert_allclose(face.placed, expected, atol=0.1)


def test_another_face_at_a_cut_is_noticed_on_its_frame(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    stranger = cv2.flip(clip[0], 0)
    with Counting(mesh) as aligner:
        assert aligner.show(clip[0], 0)[1] == 1
        found, asked = aligner.show(stranger, 1)
        assert (found.rejected, asked) == ("registration lost", 1)


def test_a_face_that_goes_is_missed_on_its_frame_and_found_again(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    wall = np.full_like(clip[0], 90)
    with Counting(mesh) as aligner:
        aligner.show(clip[0], 0)
        aligner.mesh = None
        assert aligner.show(wall, 1)[0].rejected == "no face"
        aligner.mesh = mesh
        found, asked = aligner.show(clip[0], 2)
        assert (len(found.faces), asked) == (1, 1), "a face just lost is looked for at every frame"


def test_an_empty_room_is_looked_at_now_and_then(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    with Counting(mesh, landmarks_ns=10**9, search_ns=200_000_000) as aligner:
        aligner.mesh = None
        seen = [aligner.show(clip[0], i) for i in range(7)]
    assert [asked for _, asked in seen] == [1, 0, 0, 0, 0, 1, 0]
    assert {found.rejected for found, _ in seen} == {"no face"}


def test_near_the_edge_landmarks_are_asked_at_every_frame(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    home = face_to_crop(mesh, 112)
    left = int(home.inverse().matrix[0, 2])
    with Counting(mesh) as aligner:
        assert [aligner.show(clip[0], i, (3 - left, 0))[1] for i in range(3)] == [1, 0, 0]
        assert [aligner.show(clip[0], i, (-3 - left, 0))[1] for i in range(3, 6)] == [1, 1, 1]


def test_a_second_face_is_seen_before_long(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    wide = np.concatenate([clip[0], clip[0]], axis=1)
    with Scripted(faces=2, landmarks_ns=10**9, search_ns=200_000_000, answer_frames=1) as aligner:
        aligner.meshes = [mesh]
        aligner(wide, 0)
        aligner.meshes = [mesh, moved(mesh, 400)]
        assert [len(aligner(wide, i * TICK).faces) for i in range(1, 9)] == [1] * 5 + [2] * 3


def test_a_second_face_that_is_refused_is_told_without_another_search(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    wide = np.concatenate([clip[0], clip[0]], axis=1)
    with Counting(mesh, faces=2, landmarks_ns=10**9, search_ns=200_000_000) as aligner:
        aligner(wide, 0)
        aligner.also = [turned(moved(mesh, 400), 60)]
        found = [aligner.show(wide, i) for i in range(1, 12)]
    assert [asked for _, asked in found] == [0] * 4 + [1] + [0] * 4 + [1, 0]
    assert [alignment.rejected for alignment, _ in found] == [None] * 5 + ["turned away"] * 6
    assert all(len(alignment.faces) == 1 for alignment, _ in found)


def answered_at(clip: list[np.ndarray], mesh: np.ndarray, frames: int) -> list[int]:
    """Frames in which landmarks of an earlier frame took effect."""
    with Counting(mesh, answer_frames=frames) as aligner:
        shown = [aligner.show(clip[0], i)[0].faces[0] for i in range(14)]
    assert all(
        face.landmarks_ns in (None, (i - (frames if i else 0)) * TICK)
        for i, face in enumerate(shown)
    )
    return [i for i, face in enumerate(shown) if face.landmarks_ns is not None]


@pytest.mark.parametrize(("frames", "expected"), [(1, [0, 6, 11]), (3, [0, 8, 13])])
def test_an_answer_takes_effect_a_fixed_number_of_frames_later(
    clip: list[np.ndarray], mesh: np.ndarray, frames: int, expected: list[int]
) -> None:
    assert answered_at(clip, mesh, frames) == expected


def test_the_same_frames_give_the_same_crops_however_slow_the_landmarker_is(
    clip: list[np.ndarray],
) -> None:
    """Law 7: answers come after random delays, shorter and longer than the frames' distance."""

    class Slow(MediaPipeAligner):
        def landmarks(self, image_bgr: np.ndarray) -> list[np.ndarray]:
            time.sleep(delays.uniform(0, 0.03))
            return super().landmarks(image_bgr)

    quick = AlignOptions(landmarks_ns=80_000_000, still_ns=80_000_000)
    found = []
    for seed in range(3):
        delays = np.random.default_rng(seed)
        with Slow(options=quick) as aligner:
            faces = [aligner(image, i * TICK).faces[0] for i, image in enumerate(clip)]
        found.append(faces)
    assert sum(face.landmarks_ns is not None for face in found[0]) >= 3
    for faces in found[1:]:
        for one, other in zip(found[0], faces, strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)
            np.testing.assert_array_equal(one.affine, other.affine)
            assert one.landmarks_ns == other.landmarks_ns


def test_an_answer_is_moved_along_with_the_face(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    """The head moves on by 2 px a frame while the landmarker looks: its answer must, too."""
    with Counting(mesh, answer_frames=3) as aligner:
        for i in range(20):
            (face,) = aligner.show(clip[0], i, (-2 * i, 0))[0].faces
            expected = (face_to_crop(mesh, 112) @ Affine.shift(2 * i, 0)).matrix
            np.testing.assert_allclose(face.placed, expected, atol=0.15)
            np.testing.assert_allclose(face.affine, expected, atol=0.15)


def test_an_answer_without_a_followed_face_is_looked_into_at_once(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    """Registration still holds something that looks alike; the landmarker says that it is none."""
    with Counting(mesh) as aligner:
        for i in range(5):
            aligner.show(clip[0], i)
        aligner.mesh = None
        assert aligner.show(clip[0], 5)[1] == 1, "asked"
        found, asked = aligner.show(clip[0], 6)
        assert (found.faces, found.rejected, asked) == ((), "no face", 1)


def test_an_answer_far_from_the_crop_ends_the_segment(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    with Counting(mesh) as aligner:
        for i in range(5):
            aligner.show(clip[0], i)
        aligner.mesh = moved(mesh, 25 / face_to_crop(mesh, 112).matrix[0, 0])
        aligner.show(clip[0], 5)
        assert aligner.show(clip[0], 6)[0].rejected == "registration lost"


def test_a_face_is_where_its_last_answer_put_it(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    with Counting(mesh) as aligner:
        for i in range(5):
            (before,) = aligner.show(clip[0], i)[0].faces
        aligner.mesh = moved(mesh, 4)
        moved_outline = before.outline + np.array([4, 0])
        aligner.show(clip[0], 5)
        for i in range(6, 9):
            (face,) = aligner.show(clip[0], i)[0].faces
            np.testing.assert_allclose(face.outline, moved_outline, atol=0.1)


def test_a_closed_aligner_asks_nothing_more(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    aligner = Counting(mesh)
    for i in range(5):
        aligner.show(clip[0], i)
    aligner.close()
    with pytest.raises(EngineError, match="closed"):
        aligner.show(clip[0], 5)
