"""The region that moved most, by the optical flow alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.aligner import face_to_crop
from microspot.engines.alignment.displacement import BLOCKS, block_flow
from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.synthetic import Motion
from microspot.engines.data.generator.timeline import Strengths
from microspot.engines.units.flow_region import region_of_flow

SIDE = 112
PX = 1.5  # of the crop, as far as an ME
MOVED: list[tuple[Strengths, str, str]] = [
    ({("AU12", "L"): 1.0}, "mouth corner", "L"),
    ({("AU12", "R"): 1.0}, "mouth corner", "R"),
    ({("AU15", "L"): 1.0, ("AU15", "R"): 1.0}, "mouth corner", "both"),
    ({("AU1", "L"): 1.0, ("AU1", "R"): 1.0}, "brow", "both"),
    ({("AU2", "R"): 1.0}, "brow", "R"),
    ({("AU7", "L"): 1.0}, "eye", "L"),
    ({("AU17", "L"): 1.0, ("AU17", "R"): 1.0}, "chin", "both"),
    ({("AU24", "L"): 1.0, ("AU24", "R"): 1.0}, "lips", "both"),
]


def crops(face: FaceAsset, motion: Motion, strengths: Strengths) -> tuple[np.ndarray, np.ndarray]:
    """A crop of the still face, and one in which it moved by PX and swayed as a whole by 2 px."""
    affine = face_to_crop(face.landmarks, SIDE).matrix
    still = cv2.warpAffine(face.image, affine, (SIDE, SIDE), flags=cv2.INTER_AREA)
    flow = motion.total(strengths) * np.float32(PX / motion.peak(strengths))
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    places = np.stack([x, y], axis=-1) - flow - np.float32(2)
    moved = cv2.remap(still, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return still[:, :, ::-1].transpose(2, 0, 1), moved[:, :, ::-1].transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("strengths", "name", "side"), MOVED, ids=[f"{name} {side}" for _, name, side in MOVED]
)
def test_the_region_that_a_unit_moves_is_found(
    face: FaceAsset, motion: Motion, strengths: Strengths, name: str, side: str
) -> None:
    found = region_of_flow(block_flow(*crops(face, motion, strengths)))
    assert found == (name, side)


def test_the_weaker_half_decides_about_both_sides() -> None:
    flow = np.zeros((BLOCKS, BLOCKS, 2), np.float32)
    flow[1:3, 8:11] = 0, -1
    assert region_of_flow(flow) == ("brow", "L")
    flow[1:3, 3:6] = 0, -0.5
    assert region_of_flow(flow) == ("brow", "L")
    flow[1:3, 3:6] = 0, -0.7
    assert region_of_flow(flow) == ("brow", "both")
    assert region_of_flow(flow[:, ::-1]) == ("brow", "both")
    flow[1:3, 8:11] = 0
    assert region_of_flow(flow) == ("brow", "R")


def test_a_side_of_a_region_on_the_midline_is_a_half_of_it() -> None:
    flow = np.zeros((BLOCKS, BLOCKS, 2), np.float32)
    flow[12:14, 7:10] = 1, 0
    assert region_of_flow(flow) == ("chin", "L")
    assert region_of_flow(flow[:, ::-1]) == ("chin", "R")
