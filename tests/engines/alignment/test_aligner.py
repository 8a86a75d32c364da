"""The aligner on the sample clip: crops, determinism, errors; and the fixed aligner."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.aligner import FixedAligner, MediaPipeAligner
from microspot.engines.errors import EngineError, UsageError
from tests.engines.alignment.scripted import TICK


def test_finds_the_face_and_reports_it(aligner: MediaPipeAligner, clip: list[np.ndarray]) -> None:
    aligner.reset()
    found = aligner(clip[0], 0)
    (face,) = found.faces
    assert found.rejected is None
    assert face.face == 0
    assert face.pixels.shape == (3, 112, 112)
    assert face.pixels.dtype == np.uint8
    assert face.pixels[0].mean() > face.pixels[2].mean() + 20, (
        "skin is redder than blue: the planes are RGB"
    )
    assert 0.5 < face.quality <= 1
    assert face.outline.dtype == np.float32
    eyes = aligner.landmarks(clip[0])[0][[33, 263], :2]
    for eye in eyes:
        assert cv2.pointPolygonTest(face.outline, tuple(map(float, eye)), False) > 0
    assert face.pixels.flags.c_contiguous


def test_pixels_are_one_warp_of_the_frame_by_the_affine(
    aligner: MediaPipeAligner, clip: list[np.ndarray]
) -> None:
    aligner.reset()
    for i, image in enumerate(clip[:4]):
        (face,) = aligner(image, i * TICK).faces
    again = cv2.warpAffine(image, face.affine, (112, 112), flags=cv2.INTER_LINEAR)
    assert np.abs(again[:, :, ::-1].transpose(2, 0, 1).astype(int) - face.pixels).max() <= 2


def test_same_frames_give_the_same_crops(aligner: MediaPipeAligner, clip: list[np.ndarray]) -> None:
    runs = []
    for _ in range(2):
        aligner.reset()
        runs.append([aligner(image, i * TICK).faces[0] for i, image in enumerate(clip[:4])])
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.affine, other.affine)
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_noise_holds_no_face(aligner: MediaPipeAligner) -> None:
    aligner.reset()
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    found = aligner(noise, 0)
    assert found.faces == ()
    assert found.rejected == "no face"


def test_a_segment_does_not_depend_on_what_was_before(
    aligner: MediaPipeAligner, clip: list[np.ndarray]
) -> None:
    runs = []
    for first in (0, 3):
        aligner.reset()
        for i in range(first, 4):
            aligner(clip[i], i * TICK)
        aligner.reset()
        runs.append([aligner(clip[i], i * TICK).faces[0] for i in range(4, 12)])
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        np.testing.assert_array_equal(one.affine, other.affine)


def test_fixed_aligner_cuts_where_it_is_told() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    with FixedAligner(np.array([[1, 0, -5], [0, 1, -3]]), side=32) as aligner:
        (face,) = aligner(image, 0).faces
    np.testing.assert_array_equal(face.pixels, image[3:35, 5:37, ::-1].transpose(2, 0, 1))
    np.testing.assert_allclose(face.outline, [[4.5, 2.5], [36.5, 2.5], [36.5, 34.5], [4.5, 34.5]])


def test_fixed_aligner_takes_the_whole_frame_by_default() -> None:
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    (face,) = FixedAligner()(image, 0).faces
    np.testing.assert_array_equal(face.pixels, image[:, :, ::-1].transpose(2, 0, 1))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="faces 0"):
        MediaPipeAligner(faces=0)


def test_closes_twice_and_leaves_nothing_behind(clip: list[np.ndarray]) -> None:
    aligner = MediaPipeAligner()
    aligner(clip[0], 0)
    aligner.close()
    aligner.close()
    left = weakref.ref(aligner)
    del aligner
    gc.collect()
    assert left() is None


def test_a_missing_system_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import mediapipe

    def missing(*_: Any) -> None:
        raise OSError("libGLESv2.so.2: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(mediapipe.tasks.vision.FaceLandmarker, "create_from_options", missing)
    monkeypatch.setattr("microspot.engines.alignment.landmarker._tasks", [])
    with pytest.raises(EngineError, match=r"libGLESv2.*apt install .*libgles2"):
        MediaPipeAligner()
