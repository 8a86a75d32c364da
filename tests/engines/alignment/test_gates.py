"""Which faces are used, and which reference and number they keep, on scripted meshes."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.alignment.aligner import MediaPipeAligner, face_to_crop
from microspot.engines.alignment.registration import RegisterOptions
from tests.engines.alignment.scripted import TICK, Scripted, moved, scaled, turned


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (
            [
                (29, 100, None),
                (34, 100, None),
                (36, 100, "turned away"),
                (33, 100, "turned away"),
                (29, 100, None),
            ],
            "yaw",
        ),
        ([(-36, 100, "turned away")], "either side"),
        (
            [
                (0, 85, "too small"),
                (0, 91, None),
                (0, 82, None),
                (0, 79, "too small"),
                (0, 85, "too small"),
            ],
            "width",
        ),
    ],
)
def test_gates_have_hysteresis(
    clip: list[np.ndarray], mesh: np.ndarray, steps: list[tuple[float, float, str | None]], why: str
) -> None:
    with Scripted(
        min_face_px=90.0, register=RegisterOptions(lost_below=-9, lost_px=1e9)
    ) as aligner:
        for i, (yaw, width, expected) in enumerate(steps):
            aligner.meshes = [turned(scaled(mesh, width), yaw)]
            assert aligner(clip[0], i * TICK).rejected == expected, f"{why}, step {i}"


def test_a_face_that_is_refused_is_told_with_its_place_and_width(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    with Scripted(min_face_px=60.0) as aligner:
        aligner.meshes = [scaled(mesh, 50)]
        (refused,) = aligner(clip[0], 0).refused
        assert (refused.face, refused.reason) == (0, "too small")
        assert refused.width_px == pytest.approx(50, abs=0.1)
        assert np.ptp(refused.outline[:, 0]) == pytest.approx(50, rel=0.1)
        aligner.meshes = [scaled(mesh, 64)]
        found = aligner(clip[0], TICK)
        assert not found.refused
        assert found.faces[0].width_px == pytest.approx(64, abs=0.1)


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_faces_alike_the_one_that_was_begun_with_is_kept(
    clip: list[np.ndarray], mesh: np.ndarray, first: int
) -> None:
    two = np.concatenate([clip[0], clip[0]], axis=1)
    pair = [mesh, moved(mesh, clip[0].shape[1])]
    begun = pair[first]
    with Scripted() as aligner:
        aligner.meshes = [begun]
        aligner(two, 0)
        for i in range(1, 40):  # the landmarker gives them in any order
            aligner.meshes = pair[:: 1 if i % 3 else -1]
            found = aligner(two, i * TICK)
            (face,) = found.faces
            assert found.rejected is None
            assert not found.refused
            assert face.outline[:, 0].mean() == pytest.approx(begun[:, 0].mean(), abs=15)


def test_the_landmarker_shows_one_face_more_than_is_wanted(clip: list[np.ndarray]) -> None:
    two = np.concatenate([clip[0], clip[0]], axis=1)
    with MediaPipeAligner(faces=1) as aligner:
        assert len(aligner.landmarks(two)) == 2
        assert len(aligner(two, 0).faces) == 1


def test_a_face_leaving_the_picture_is_rejected(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    with Scripted() as aligner:
        aligner.meshes = [moved(mesh, -mesh[:, 0].min() - 40)]
        assert aligner(clip[0], 0).rejected == "out of frame"


@pytest.mark.parametrize(("away", "steady"), [(2, True), (5, False)])
def test_a_short_rejection_keeps_the_reference_and_a_long_one_does_not(
    clip: list[np.ndarray], mesh: np.ndarray, away: int, steady: bool
) -> None:
    with Scripted() as aligner:
        aligner.meshes = [mesh]
        aligner(clip[0], 0)
        aligner.meshes = [turned(mesh, 50)]
        for i in range(1, away + 1):
            assert aligner(clip[0], i * 30_000_000).rejected == "turned away"
        shifted = moved(mesh, 1)  # landmarks that err by a pixel; the picture has not moved
        aligner.meshes = [shifted]
        (face,) = aligner(clip[0], (away + 1) * 30_000_000).faces
        error = np.abs(face.affine - face_to_crop(mesh, 112).matrix)[:, 2].max()
        assert (error < 0.1) == steady


def test_registration_that_fails_is_rejected_until_the_segment_ends(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    other = 255 - clip[0]
    with Scripted() as aligner:
        aligner.meshes = [mesh]
        aligner(clip[0], 0)
        assert aligner(other, TICK).rejected == "registration lost"
        assert aligner(clip[0], 2 * TICK).rejected is None
        reasons = [aligner(other, (3 + i) * TICK).rejected for i in range(4)]
        assert reasons == ["registration lost", "registration lost", "registration lost", None]


def test_reset_takes_a_new_reference(clip: list[np.ndarray], mesh: np.ndarray) -> None:
    with Scripted() as aligner:
        aligner.meshes = [mesh]
        aligner(clip[0], 0)
        aligner.meshes = [moved(mesh, 1)]
        (face,) = aligner(clip[0], TICK).faces
        assert np.abs(face.affine - face_to_crop(mesh, 112).matrix).max() < 0.1
        aligner.reset(0)
        np.testing.assert_array_equal(
            aligner(clip[0], 2 * TICK).faces[0].affine, face_to_crop(moved(mesh, 1), 112).matrix
        )


def test_a_hole_that_no_bridge_spans_takes_a_new_reference(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    """The face could be followed on, but the stream begins a new segment, and so does the
    aligner."""
    with Scripted(landmarks_ns=1_000_000_000) as aligner:
        aligner.meshes = [mesh]
        for i in range(4):
            aligner(clip[0], i * TICK)
        aligner.meshes = [moved(mesh, 1)]  # seen only where the landmarker is asked
        (followed,) = aligner(clip[0], 4 * TICK).faces
        (anew,) = aligner(clip[0], 10 * TICK).faces
    assert np.abs(followed.affine - face_to_crop(mesh, 112).matrix)[:, 2].max() < 0.1
    assert np.abs(anew.affine - face_to_crop(moved(mesh, 1), 112).matrix).max() < 1e-6


def test_identities_follow_overlap_and_free_numbers_return(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    wide = np.concatenate([clip[0], clip[0]], axis=1)
    left = mesh
    right = moved(mesh, 400)
    with Scripted(faces=2) as aligner:

        def ids(meshes: list[np.ndarray], now: int) -> list[tuple[int, bool]]:
            aligner.meshes = meshes
            return [(f.face, bool(f.outline[:, 0].mean() > 400)) for f in aligner(wide, now).faces]

        assert ids([left, scaled(right, 110)], 0) == [(0, True), (1, False)], (
            "the largest face is 0"
        )
        assert ids([right, left], TICK) == [(0, True), (1, False)], (
            "MediaPipe's order does not matter"
        )
        assert ids([left], 2 * TICK) == [(1, False)]
        assert ids([left, right], 3 * TICK) == [(0, True), (1, False)]
        for i in range(4, 20):
            ids([left], i * TICK)
        assert ids([left, moved(right, -150)], 20 * TICK) == [(0, True), (1, False)], (
            "0 is free again"
        )


def test_a_cut_to_another_place_waits_until_the_number_is_free(
    clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    wide = np.concatenate([clip[0], clip[0]], axis=1)
    with Scripted() as aligner:
        aligner.meshes = [mesh]
        aligner(wide, 0)
        aligner.meshes = [moved(mesh, 400)]
        assert aligner(wide, TICK).rejected == "registration lost"
        assert aligner(wide, 600_000_000).rejected is None
