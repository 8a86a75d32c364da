"""When landmarks are asked for, and how faces are followed in between."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.affine import Affine
from microspot.engines.alignment.aligner import AlignOptions, MediaPipeAligner, face_to_crop
from tests.engines.alignment.scripted import TICK, Counting, Scripted, moved


def test_landmarks_are_asked_now_and_then(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    with Counting(mesh, search_ns=80_000_000) as aligner:
        assert [aligner.show(image, i)[1] for i, image in enumerate(clip)] == [
            1,
            0,
            0,
            0,
            0,
        ] * 2 + [1, 0]


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
    with Scripted(faces=2, landmarks_ns=10**9, search_ns=200_000_000) as aligner:
        aligner.meshes = [mesh]
        aligner(wide, 0)
        aligner.meshes = [mesh, moved(mesh, 400)]
        assert [len(aligner(wide, i * TICK).faces) for i in range(1, 8)] == [1] * 4 + [2] * 3
