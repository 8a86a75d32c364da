"""The pose of a head and the opening of its eyes: known rotations, a real face mirrored."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.alignment.face_template import TEMPLATE, depth_at
from microspot.engines.alignment.head import LEFT_EYE, RIGHT_EYE, eyes_open, head_pose


def mean_face(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """A mesh of the template's landmarks, 200 px wide, pitched, then turned, then rolled."""
    mesh = np.zeros((478, 3))
    for index, (x, y) in TEMPLATE.items():
        mesh[index] = (x, y, depth_at(x, y))
    down = cv2.Rodrigues(np.array([math.radians(pitch), 0, 0]))[0]
    right = cv2.Rodrigues(np.array([0, math.radians(-yaw), 0]))[0]
    clockwise = cv2.Rodrigues(np.array([0, 0, math.radians(roll)]))[0]
    return mesh @ (clockwise @ right @ down).T * 200 + (320, 240, 5)


@pytest.mark.parametrize(
    "pose", [(0, 0, 0), (20, 0, 0), (0, 15, 0), (0, 0, -30), (-25, 10, 5), (30, -20, -15)]
)
def test_a_known_rotation_is_found(pose: tuple[float, float, float]) -> None:
    assert head_pose(mean_face(*pose)) == pytest.approx(pose, abs=1e-6)


def test_the_nose_says_which_way_is_positive() -> None:
    """The nose is the nearest point: it goes to the right, and down."""
    nose, sides = 195, (234, 454)
    for pose, axis in (({"yaw": 20}, 0), ({"pitch": 20}, 1)):
        mesh = mean_face(**pose)
        still = mean_face()
        middle = mesh[list(sides)].mean(0) - still[list(sides)].mean(0)
        assert (mesh[nose] - still[nose] - middle)[axis] > 10
    left, right = mean_face(roll=20)[list(sides)]
    assert left[1] < right[1], "clockwise"


def test_a_mirrored_and_a_rolled_picture_are_seen_so(
    aligner: MediaPipeAligner, clip: list[np.ndarray], mesh: np.ndarray
) -> None:
    pose = head_pose(mesh)
    (mirrored,) = aligner.landmarks(np.ascontiguousarray(clip[0][:, ::-1]))
    found = head_pose(mirrored)
    assert (found.yaw, found.pitch, found.roll) == pytest.approx(
        (-pose.yaw, pose.pitch, -pose.roll), abs=3
    )
    high, wide = clip[0].shape[:2]
    turn = cv2.getRotationMatrix2D((wide / 2, high / 2), -12, 1)  # clockwise
    rolled = cv2.warpAffine(clip[0], turn, (wide, high), borderMode=cv2.BORDER_REPLICATE)
    assert head_pose(aligner.landmarks(rolled)[0]).roll - pose.roll == pytest.approx(12, abs=2)


def test_an_eye_that_closes_is_told_from_the_other(mesh: np.ndarray) -> None:
    before = eyes_open(mesh)
    assert 0.2 < before.left < 0.4
    assert 0.2 < before.right < 0.4
    for eye, name in ((LEFT_EYE, "left"), (RIGHT_EYE, "right")):
        closing = mesh.copy()
        _, above_1, above_2, _, below_1, below_2 = eye
        closing[[above_1, above_2]] = closing[[below_1, below_2]]
        found = eyes_open(closing)._asdict()
        assert found.pop(name) == 0
        assert list(found.values()) == [getattr(before, other) for other in found]
