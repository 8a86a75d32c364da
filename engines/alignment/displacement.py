"""How far a face has moved since an event's onset: its curve where no network says it.

Without a recognizer nothing says where an event peaks. An expression moves parts of a face away
from where they were at the onset and back, so the apex is where they are farthest from there. The
optical flow (DIS, of OpenCV) from the first crop to each other one gives the way of every pixel;
what all of the crop shares is the head's, and is taken off; the parts that move most decide, since
micro-expressions are local. No class is computed. Not from the papers, and none of the numbers is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..specs import LUMA

SIDE = 112  # px to which crops are brought, so that the numbers do not depend on the weights
BLOCK = 8  # px: a grid of BLOCKS x BLOCKS means
BLOCKS = SIDE // BLOCK
STRONGEST = 0.05  # share of blocks that decide
PATCH_STRIDE = 4  # px between the patches that the flow follows


def displacement(clip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Displacement since the first crop in px of a crop of 112 px: clip (N, 3, S, S) RGB -> (N,).

    The first value is 0.
    """
    flow = dense_flow()
    onset = _grey(clip[0])
    moved = [0.0]
    for crop in clip[1:]:
        moved.append(strongest(_blocks(flow.calc(onset, _grey(crop), None))[0]))
    return np.array(moved, np.float32)


def block_flow(onset: NDArray[np.uint8], apex: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(BLOCKS, BLOCKS, 2) where each block of a crop goes from onset to apex, (3, S, S) RGB each.

    Px of a crop of 112 px, right and down; what all of the crop shares is taken off.
    """
    return local_and_shared(onset, apex)[0]


def local_and_shared(
    onset: NDArray[np.uint8], apex: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`block_flow`, and (2,) what is taken off there: the head's movement in the crop."""
    return _blocks(dense_flow().calc(_grey(onset), _grey(apex), None))


def strongest(blocks: NDArray[np.float32]) -> float:
    """Mean length of the block flows (BLOCKS, BLOCKS, 2) that are longest: the displacement."""
    lengths = np.linalg.norm(blocks, axis=-1).ravel()
    count = int(len(lengths) * STRONGEST)
    return float(np.sort(lengths)[-count:].mean())


def relative(moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """A curve (N,) divided by its peak, 0 to 1; all zeros where nothing moved."""
    peak = float(moved.max())
    return moved / np.float32(peak) if peak > 0 else np.zeros_like(moved)


def dense_flow() -> cv2.DISOpticalFlow:
    """DIS at full resolution and without its smoothing.

    Its preset FAST sees a third of a local movement of 2 px, this one all but 3 % of it, in 1.8 ms
    a pair.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow.setFinestScale(0)
    flow.setPatchStride(PATCH_STRIDE)
    flow.setVariationalRefinementIterations(0)
    return flow


def _grey(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma (112, 112) of a crop (3, S, S)."""
    luma = np.tensordot(np.array(LUMA, np.float32), crop.astype(np.float32), axes=(0, 0))
    if luma.shape != (SIDE, SIDE):
        luma = cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    grey: NDArray[np.uint8] = np.rint(luma).astype(np.uint8)
    return grey


def _blocks(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean flow of every block less the flow of all, and that: (112, 112, 2) -> two arrays."""
    blocks = flow.reshape(BLOCKS, BLOCK, BLOCKS, BLOCK, 2).mean((1, 3))
    shared = np.median(blocks, axis=(0, 1))
    return np.asarray(blocks - shared, np.float32), np.asarray(shared, np.float32)
