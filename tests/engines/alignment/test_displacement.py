"""Displacement since the onset: it follows what moves, and not what moves with the whole face."""

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.displacement import (
    BLOCKS,
    SIDE,
    block_flow,
    displacement,
    relative,
)

LEVELS = (0.0, 0.5, 1.2, 2.0, 1.4, 0.6, 0.1)  # px, highest at 3


def face(side: int) -> np.ndarray:
    """A smooth random texture (side, side) uint8."""
    rough = np.random.default_rng(5).normal(size=(side, side))
    smooth = cv2.GaussianBlur(rough, (0, 0), side / 60)
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def moved(picture: np.ndarray, up_px: float, sway_px: float = 0.0) -> np.ndarray:
    """(3, S, S): a patch of an eighth of the picture moved up, then all of it to the side."""
    side = picture.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    patch = np.exp(-(((y - side / 3) ** 2 + (x - side / 2) ** 2) / (side / 8) ** 2))
    warped = cv2.remap(
        picture,
        (x + sway_px).astype(np.float32),
        (y + up_px * patch).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.stack([warped] * 3)


@pytest.mark.parametrize("side", [64, 112, 128])
def test_the_curve_peaks_where_a_part_of_the_face_is_farthest_from_its_onset(side: int) -> None:
    picture = face(side)
    clip = np.stack([moved(picture, level * side / 112) for level in LEVELS])
    curve = displacement(clip)
    assert curve.dtype == np.float32
    assert curve[0] == 0
    assert int(curve.argmax()) == 3
    assert 1.0 < curve[3] < 1.5  # px of a crop of 112: 1.25 is the mean of these blocks
    assert curve[1] < curve[2] < curve[3] > curve[4] > curve[5] > curve[6]


def test_what_the_whole_face_does_is_not_counted() -> None:
    picture = face(112)
    still = displacement(np.stack([moved(picture, 0, sway) for sway in (0, 1, 2, 3)]))
    swaying = displacement(np.stack([moved(picture, 2, sway) for sway in (0, 1, 2, 3)]))
    assert still.max() < 0.5
    assert swaying[1:].max() < 0.5  # the patch was up at the onset already
    assert displacement(np.stack([moved(picture, up, 3 * up) for up in (0, 1, 2)]))[2] > 1


@pytest.mark.parametrize("side", [64, 112])
def test_the_flow_of_blocks_is_that_of_the_part_that_moves(side: int) -> None:
    """The patch moves up by 2 px of 112 while the whole picture shifts by 3."""
    picture = face(side)
    share = side / SIDE
    found = block_flow(moved(picture, 0), moved(picture, 2 * share, 3 * share))
    assert found.shape == (BLOCKS, BLOCKS, 2)
    lengths = np.linalg.norm(found, axis=-1)
    row, column = np.unravel_index(lengths.argmax(), lengths.shape)
    assert (row, column) in {(4, 6), (4, 7)}, "of 14: a third from the top, in the middle"
    assert found[row, column, 1] == pytest.approx(-2, abs=0.6)
    assert abs(found[row, column, 0]) < 0.6
    assert np.median(lengths) < 0.3


def test_relative_to_the_peak() -> None:
    curve = relative(np.array([0, 0.5, 2, 1], np.float32))
    assert curve.tolist() == [0, 0.25, 1, 0.5]
    flat = displacement(np.zeros((5, 3, 112, 112), np.uint8))
    assert relative(flat).tolist() == [0] * 5
