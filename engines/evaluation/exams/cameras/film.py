"""A portrait filmed in a frame of a webcam's size, made smaller, coded, and received.

Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ....alignment.aligner import AlignOptions
from ....alignment.landmarker import width_px
from ....clips import SECOND_NS
from ....data.faces import FaceAsset
from ....data.generator.timeline import Movement
from ....data.generator.video_scene import VIDEO_NOISE, VIDEO_RECIPE, render_video
from ..recordings import Recording
from ..rendering import EXAM_RECIPE
from .video_link import Pixels, Receiver

# few distractors
VIDEO = replace(VIDEO_RECIPE, micro_px=EXAM_RECIPE.micro_px)
CANVAS = (640, 480)  # width, height
# In a wide picture MediaPipe finds no face under about a tenth of its width: sizes are compared in
# a picture of the smaller webcams.
SMALL_CANVAS = (400, 300)
FRAME_HZ = 30
FULL_WIDTH = 200.0  # mesh width of a face as it is filmed, px


class Reception(NamedTuple):
    """How a film is received: bitrate (bit/s), aligner, and width of the face (px)."""

    bitrate: int
    options: AlignOptions
    width: float


class Film(NamedTuple):
    """A canvas (width, height) and all receptions of what is filmed on it."""

    canvas: tuple[int, int]
    receptions: tuple[Reception, ...]


def film(
    face: FaceAsset,
    wanted: Film,
    micro_per_min: float,
    seed: int,
    seconds: float,
    side: int,
) -> tuple[list[Receiver], list[Movement]]:
    """Film a face FULL_WIDTH px wide; the closed receivers, one for each reception, and the truth.

    Receptions of a smaller width see the same film made smaller.
    """
    image, mesh = compose(face, FULL_WIDTH, wanted.canvas)
    recipe = replace(VIDEO, micro_per_min=micro_per_min)
    receivers = []
    for one in wanted.receptions:
        receivers.append(Receiver(one.bitrate, wanted.canvas, FRAME_HZ, side, one.options))
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, VIDEO_NOISE, (*image.shape[:2], 3)).astype(np.float32)
    try:
        movements, frames = render_video(image, mesh, seed, seconds, FRAME_HZ, recipe, side)
        for at_ns, frame in frames:
            noise = np.roll(noise, rng.integers(1, 64, 2), (0, 1))
            for one, receiver in zip(wanted.receptions, receivers, strict=True):
                receiver.push(at_ns, smaller(frame, one.width / FULL_WIDTH, noise))
        for receiver in receivers:
            receiver.push(0, None)
    finally:
        for receiver in receivers:
            receiver.close()
    return receivers, movements


def smaller(frame: Pixels, scale: float, noise: NDArray[np.float32]) -> Pixels:
    """A frame (H, W, 3) made smaller about its middle; its edges are repeated around it.

    The sensor's noise, which making it smaller averages away, is put back.
    """
    if scale == 1:
        return frame
    high, wide = frame.shape[:2]
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top = (high - small.shape[0]) // 2
    left = (wide - small.shape[1]) // 2
    bottom = high - small.shape[0] - top
    right = wide - small.shape[1] - left
    border = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_REPLICATE)
    lost = np.float32(math.sqrt(1 - scale**2))
    return np.asarray(cv2.add(border, noise * lost, dtype=cv2.CV_8U), np.uint8)


def compose(
    face: FaceAsset, width: float, canvas: tuple[int, int] = CANVAS
) -> tuple[Pixels, NDArray[np.float64]]:
    """The portrait scaled to a mesh `width` px wide, centred on a canvas, and its landmarks.

    canvas: width, height. The portrait's edge pixels are repeated to fill it; mirrored edges would
    show more faces.
    """
    scale = width / width_px(face.landmarks)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled: Any = cv2.resize(face.image, None, fx=scale, fy=scale, interpolation=how)
    mesh = face.landmarks * scale
    mesh[:, :2] += 0.5 * (scale - 1)  # pixel centres
    middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    shift = np.round((np.array(canvas) - 1) / 2 - middle)
    affine = np.concatenate([np.eye(2), shift[:, None]], axis=1)
    mesh[:, :2] += shift
    canvas = cv2.warpAffine(scaled, affine, canvas, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(canvas, np.uint8), mesh


def received(
    receiver: Receiver, name: str, movements: Sequence[Movement], seconds: float
) -> Recording:
    """The recording of what was received.

    Where nothing was aligned it is as long as the clip, without crops.
    """
    recording = receiver.recording(name, movements)
    if receiver.aligned > 1:
        return recording
    return replace(
        recording, times_ns=np.array([0, round(seconds * SECOND_NS)]), crops=recording.crops[:0]
    )
