"""Jitter of an aligner's crops, on a rendered clip whose true motion is known.

`microspot bench` uses it. One neutral picture sways by a known similarity, gets sensor noise and
goes through H.264. Where five rigid points of the picture land in the crop is then the known motion
composed with the crop's `affine`; all of their movement above 0.5 Hz is error. A second clip, the
same but for brows that rise by one crop pixel again and again, shows that crops are not steady by
smoothing alone: the rise is measured in the pixels of the crops, against crops that the true pose
cuts from the same frames (the codec removes up to a tenth of it, which the aligner is not charged
with). Not from the papers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ..alignment.affine import Affine, Matrix
from ..alignment.aligner import Aligner, Face
from ..alignment.face_template import SPAN, TEMPLATE, template_px
from ..alignment.registration import Pixels, PyramidView, box_width
from ..errors import DataError

SWAY_PX = 10.0
SWAY_DEGREES = 3.0
SWAY_HZ = (0.2, 1.0)
NOISE = 4.0  # standard deviation of the sensor noise, grey levels
# 1.6 Mbit/s at 400x300, as a webcam sends
CODEC = {"preset": "veryfast", "crf": "20", "tune": "zerolatency"}
HIGH_PASS_HZ = 0.5
RIGID_POINTS = (168, 133, 362, 33, 263)  # nose bridge, inner and outer eye corners
BROW_CENTRE = (0.24, -0.265)  # template units, mirrored for the other brow
BROW_SPREAD = (0.10, 0.06)  # standard deviations of the moving patch, template units
BROW_RISE_PX = 1.0
BROW_EVERY_S = 0.6
BROW_LASTS_S = 0.4


@dataclass(frozen=True)
class CropJitter:
    """Jitter of the crops in crop pixels (RMS length), registered and by landmarks alone.

    `me_survival` is the share of a known brow movement left in the crops, 1 at best.
    """

    motion_px_rms: float
    unregistered_px_rms: float
    me_survival: float


@dataclass(frozen=True, eq=False)
class _Clip:
    """A picture that sways.

    still: the picture (H, W, 3). home: its affine to crop px. sway: its pose in every frame, still
    px to frame px.
    """

    still: Pixels
    home: Affine
    side: int
    sway: list[Affine]
    hz: int
    seed: int


@dataclass(frozen=True, eq=False)
class _AlignedFrame:
    """One frame as aligned, and the grey crop (S, S) that the true pose cuts from it."""

    face: Face
    ideal: NDArray[np.float64]


def measure(
    image_bgr: Pixels,
    aligner_factory: Callable[[], Aligner],
    seed: int = 0,
    seconds: float = 8,
    hz: int = 30,
) -> CropJitter:
    """Sway a picture, align it without and with moving brows, and measure what is left.

    image_bgr: (H, W, 3) with one neutral face. Raises DataError where the aligner finds no face in
    the picture, or loses it on the way.
    """
    high = image_bgr.shape[0] // 2 * 2
    wide = image_bgr.shape[1] // 2 * 2
    still = np.ascontiguousarray(image_bgr[:high, :wide])
    with aligner_factory() as aligner:
        first = _only(aligner(still, 0).faces)
    times = np.arange(round(seconds * hz)) / hz
    side = first.pixels.shape[1]
    home = Affine(first.affine)
    centre = home.inverse().matrix @ (side / 2, side / 2, 1)
    sway = _sway(times, centre, np.random.default_rng(seed))
    clip = _Clip(still, home, side, sway, hz, seed)
    plain = _align(clip, np.zeros_like(times), aligner_factory)
    moved = _align(clip, _pulses(times), aligner_factory)
    return CropJitter(
        motion_px_rms=_motion(clip, [s.face.affine for s in plain]),
        unregistered_px_rms=_motion(clip, [s.face.placed for s in plain]),
        me_survival=_survival(plain, moved, clip),
    )


def _only(faces: tuple[Face, ...]) -> Face:
    if len(faces) != 1:
        raise DataError(
            f"expected one face in every frame, found {len(faces)}; give a near-frontal portrait"
        )
    return faces[0]


def _wave(times: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Three sines within SWAY_HZ, peak 1."""
    hertz = rng.uniform(*SWAY_HZ, (3, 1))
    phase = rng.uniform(0, 2 * np.pi, (3, 1))
    wave = np.sin(2 * np.pi * hertz * times + phase).sum(0)
    return np.asarray(wave / np.abs(wave).max())


def _sway(
    times: NDArray[np.float64], about: NDArray[np.float64], rng: np.random.Generator
) -> list[Affine]:
    """The pose at every time, still px to frame px: shift and turn about the face's centre."""
    shift = SWAY_PX * np.stack([_wave(times, rng), _wave(times, rng)], 1)
    turn = np.exp(1j * np.deg2rad(SWAY_DEGREES) * _wave(times, rng))
    affines = []
    for (dx, dy), z in zip(shift, turn, strict=True):
        linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
        affines.append(Affine(np.column_stack([linear, about - linear @ about + (dx, dy)])))
    return affines


def _pulses(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share 0..1 of the brow rise at every time: raised cosines, each as long as an ME."""
    phase = (times % BROW_EVERY_S - (BROW_EVERY_S - BROW_LASTS_S) / 2) / BROW_LASTS_S
    return np.where((phase > 0) & (phase < 1), 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)


def _brows(crop_px: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Share of the brows' movement at points (..., 2) of the crop, about 0..1."""
    share = np.zeros(crop_px.shape[:-1])
    for sign in (1.0, -1.0):
        centre = template_px(np.multiply(BROW_CENTRE, (sign, 1.0)), side)
        away = (crop_px - centre) / np.multiply(BROW_SPREAD, side / SPAN)
        share += np.exp(-0.5 * (away**2).sum(-1))
    return share


def _align(
    clip: _Clip, rise: NDArray[np.float64], aligner_factory: Callable[[], Aligner]
) -> list[_AlignedFrame]:
    """Render, encode, decode and align one clip whose brows are up by `rise` (T,), 0..1."""
    box = box_width(clip.home)
    seen = []
    with aligner_factory() as aligner:
        for i, image in enumerate(_through_codec(_render(clip, rise), clip.hz)):
            face = _only(aligner(image, i * 1_000_000_000 // clip.hz).faces)
            pose = clip.home @ clip.sway[i].inverse()
            ideal = PyramidView(image, pose, clip.side, box).crop(pose)
            seen.append(_AlignedFrame(face, ideal.mean(-1)))
    return seen


def _render(clip: _Clip, rise: NDArray[np.float64]) -> Iterator[Pixels]:
    """The frames of a clip, with noise."""
    rng = np.random.default_rng(clip.seed)
    high, wide = clip.still.shape[:2]
    x, y = np.meshgrid(np.arange(wide, dtype=np.float32), np.arange(high, dtype=np.float32))
    up = clip.home.inverse().matrix[:, :2] @ (0.0, -BROW_RISE_PX)
    places = np.stack([x, y, np.ones_like(x)], -1) @ clip.home.matrix.T
    share = _brows(places, clip.side).astype(np.float32)
    for affine, now in zip(clip.sway, rise, strict=True):
        lifted = cv2.warpAffine(share, affine.matrix, (wide, high)) * np.float32(now)
        (a, b, c), (d, e, f) = affine.inverse().matrix.astype(np.float32)
        at_x = a * x + b * y + c - np.float32(up[0]) * lifted
        at_y = d * x + e * y + f - np.float32(up[1]) * lifted
        frame = cv2.remap(
            clip.still, at_x, at_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        noisy = frame + np.float32(NOISE) * rng.standard_normal(frame.shape, dtype=np.float32)
        yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _through_codec(frames: Iterator[Pixels], hz: int) -> Iterator[Pixels]:
    """The frames as H.264 leaves them, BGR."""
    store = io.BytesIO()
    with av.open(store, "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=hz, options=CODEC)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the bytes depend on the number of threads
        for image in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = image.shape[:2]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(stream.encode(None))
    store.seek(0)
    with av.open(store, "r") as file:
        for frame in file.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def _motion(clip: _Clip, affines: list[Matrix]) -> float:
    """RMS length, crop px, of the rigid points' movement above HIGH_PASS_HZ."""
    ones = np.ones((len(RIGID_POINTS), 1))
    rigid = np.array([TEMPLATE[i] for i in RIGID_POINTS])
    points = np.hstack([template_px(rigid, clip.side), ones])
    still = np.hstack([points @ clip.home.inverse().matrix.T, ones])
    places = []
    for affine, sway in zip(affines, clip.sway, strict=True):
        places.append(still @ (Affine(affine) @ sway).matrix.T)
    track = np.stack(places)  # (T, 5, 2)
    fast = _high_pass(track.reshape(len(track), -1), clip.hz)
    return float(np.sqrt((fast**2).sum() / (len(track) * len(RIGID_POINTS))))


def _high_pass(track: NDArray[np.float64], hz: int) -> NDArray[np.float64]:
    """(T, n) less its cosines below HIGH_PASS_HZ; cosines, as a clip does not end as it began."""
    n = len(track)
    order = np.arange(int(np.ceil(2 * HIGH_PASS_HZ * n / hz)))
    slow = np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * order / n)
    slow /= np.linalg.norm(slow, axis=0)
    return track - slow @ (slow.T @ track)


def _survival(plain: list[_AlignedFrame], moved: list[_AlignedFrame], clip: _Clip) -> float:
    """The brows' movement in the aligner's crops per movement in the ideal crops.

    By regression over the clip.
    """
    y, x = np.mgrid[: clip.side, : clip.side]
    weight = _brows(np.stack([x, y], -1).astype(np.float64), clip.side)

    def shifts(
        before: list[NDArray[np.float64]], after: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        # gradients of the mean crop: the codec's blur is in them as in the differences, and the
        # noise is not
        base = np.mean(before, axis=0)
        rises = [[_shift(b - a, base, weight)] for a, b in zip(before, after, strict=True)]
        return _high_pass(np.array(rises), clip.hz)[:, 0]

    seen = shifts(_grey_crops(plain), _grey_crops(moved))
    ideal = shifts([frame.ideal for frame in plain], [frame.ideal for frame in moved])
    return float(seen @ ideal / (ideal @ ideal))


def _grey_crops(frames: list[_AlignedFrame]) -> list[NDArray[np.float64]]:
    return [frame.face.pixels.mean(0) for frame in frames]


def _shift(change: NDArray[Any], base: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """Vertical displacement in px that explains `change` (S, S) of `base`.

    A change of light is fitted beside it, so that it counts as none.
    """
    gy, gx = np.gradient(base)
    design = np.stack([gy, gx, base, np.ones_like(gy)]).reshape(4, -1)
    weighted = design * weight.ravel()
    return -float(np.linalg.solve(weighted @ design.T, weighted @ change.ravel())[0])
