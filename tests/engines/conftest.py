"""The neutral face of the sample clip, and its motion."""

from __future__ import annotations

import av
import pytest

from microspot.engines.alignment.aligner import MediaPipeAligner, face_to_crop
from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.actions import Geometry
from microspot.engines.data.generator.synthetic import Motion
from microspot.realtime.sources.synthetic_clip import NEUTRAL_FRAME, SAMPLE_HZ, sample_clip

SAMPLE = sample_clip()
NEUTRAL_S = NEUTRAL_FRAME / SAMPLE_HZ  # mouth closed, eyes open, facing the camera


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
