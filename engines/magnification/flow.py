"""How far each part of a face went between two steady pictures of it.

The optical flow of DIS (`alignment.displacement`) finds large movements and is within 3 % of small
ones, but follows sensor noise by a tenth of a pixel, which magnified by 6 is seen. So the least
squares of Lucas and Kanade (IJCAI 1981), as the encoder has them (`networks.motion`), refine it:
one wide window, and a ridge that leaves flat skin where it is. Measured on a portrait whose brows
move by 0.69 px, with noise of a standard deviation of 4 grey levels: DIS 0.69 px and 0.13 px of
noise; refined 0.70 px and 0.03 px. A second step of it changed nothing. None of the numbers is from
the papers.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..alignment.displacement import SIDE, dense_flow

# Standard deviations of Gaussian windows, px of a crop of 112 px
LOCAL_MEAN = 12.0  # what varies over more than this is light, not movement
FINE = 0.7  # before slopes are taken
FIRST = 2.0  # of the flow that is refined
WINDOW = 4.0  # of the least squares: half a centimetre of face
RIDGE = 0.5  # added to the slopes' energy, (grey levels per px)^2

Picture = NDArray[np.uint8]
Flow = NDArray[np.float32]


def local_flow(start: Picture, now: Picture) -> Flow:
    """Where each place of `start` has gone in `now`, (112, 112, 2): right and down.

    Px of a crop of 112 px; what most of the crop shares is the head's, and is taken off. start,
    now: (S, S, 3) BGR of any side.
    """
    before = _grey(start)
    after = _grey(now)
    flow = _smooth(dense_flow().calc(before, after, None), FIRST)
    flow = _refined(flow, _even(before), _even(after))
    return np.asarray(flow - _common(flow), np.float32)


def _common(flow: Flow) -> Flow:
    """(2,) the mean of that half of a flow that is nearest to its median, where nothing moves."""
    away = np.linalg.norm(flow - np.median(flow, axis=(0, 1)), axis=-1)
    return np.asarray(flow[away <= np.median(away)].mean(0), np.float32)


def _refined(flow: Flow, before: Flow, after: Flow) -> Flow:
    """The flow (112, 112, 2) that explains two grey pictures (112, 112) best, from a first one."""
    x, y = places()
    slope_x = cv2.Sobel(before, cv2.CV_32F, 1, 0, scale=1 / 8)
    slope_y = cv2.Sobel(before, cv2.CV_32F, 0, 1, scale=1 / 8)
    xx = _smooth(slope_x * slope_x, WINDOW) + RIDGE
    yy = _smooth(slope_y * slope_y, WINDOW) + RIDGE
    xy = _smooth(slope_x * slope_y, WINDOW)
    area = xx * yy - xy * xy
    across = flow[..., 0]
    down = flow[..., 1]
    found = cv2.remap(after, x + across, y + down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    change = before - found + slope_x * across + slope_y * down
    xt = _smooth(slope_x * change, WINDOW)
    yt = _smooth(slope_y * change, WINDOW)
    best = np.stack([yy * xt - xy * yt, xx * yt - xy * xt], axis=-1) / area[..., None]
    return np.asarray(best, np.float32)


def places() -> tuple[Flow, Flow]:
    """Places of the pixels of a crop of 112 px: x and y, (112, 112) each."""
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))
    return x, y


def _grey(picture: Picture) -> Picture:
    """(112, 112) grey levels of a picture."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    shrinks = len(grey) > SIDE
    sized: Picture = cv2.resize(
        grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return sized


def _even(grey: Picture) -> Flow:
    """Grey levels without light, and without the finest noise."""
    values = grey.astype(np.float32)
    return _smooth(values - _smooth(values, LOCAL_MEAN), FINE)


def _smooth(values: Flow, spread: float) -> Flow:
    smoothed: Flow = cv2.GaussianBlur(values, (0, 0), spread)
    return smoothed
