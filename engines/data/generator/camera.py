"""How a moved face reaches the crop: head motion, capture times, sensor, codec, alignment.

The picture is taken at the scale of the camera with the head swaying through it, coded as a stream,
and only then cut out along the true pose plus the aligner's error, so that codec blocks slide over
the face as they do in real footage. Ranges are fitted to real clips: between frames 0.17 s apart a
resting face moves by 0.2 to 0.5 px (mean over the crop, S = 112) in ways that no similarity
explains. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.face_template import rigid_weights
from .actions import Field, Geometry
from .timeline import Recipe

Pixels = NDArray[np.uint8]
Affines = NDArray[np.float64]

SINES = 6  # per channel of a `Waves`
SWAY_HZ = (0.08, 1.6)
FADE = 0.7  # amplitude falls with frequency to this power
WARPS = 4  # non-rigid warps of a clip
WARP_HZ = (0.15, 2.5)
WARP_CELLS = (3, 8)  # their grid: from a third of the crop to an eighth
GOP = (12, 250)  # frames between key frames
PRESETS = ("ultrafast", "superfast", "veryfast")
CODECS = ("h264", "jpeg", "none")


class Waves:
    """`channels` smooth random signals of RMS 1: sums of sines, faster ones weaker."""

    def __init__(
        self, rng: np.random.Generator, channels: int, hz: tuple[float, float] = SWAY_HZ
    ) -> None:
        self._hz = np.exp(rng.uniform(np.log(hz[0]), np.log(hz[1]), (channels, SINES)))
        weight = self._hz**-FADE * rng.uniform(0.3, 1.0, (channels, SINES))
        self._weight = weight * np.sqrt(2 / (weight**2).sum(1, keepdims=True))
        self._phase = rng.uniform(0, 2 * np.pi, (channels, SINES))

    def __call__(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T,) s -> (T, channels)."""
        angle = 2 * np.pi * self._hz * times_s[:, None, None] + self._phase
        return np.asarray((self._weight * np.sin(angle)).sum(-1), np.float64)


class AlignmentResidual:
    """What alignment leaves of a motion field: without its best similarity on the rigid regions."""

    def __init__(self, side: int, margin: int) -> None:
        size = side + 2 * margin
        weight = np.zeros((size, size), np.float64)
        weight[margin : margin + side, margin : margin + side] = rigid_weights(side)
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        one = np.ones_like(x)
        none = np.zeros_like(x)
        parts = ((one, none), (none, one), (x / size, y / size), (-y / size, x / size))
        self._basis = np.stack([np.stack(part, -1) for part in parts])  # (4, size, size, 2)
        weighted = self._basis * weight[..., None]
        flat = weighted.reshape(4, -1)
        self._solve = np.linalg.solve(flat @ self._basis.reshape(4, -1).T, flat)

    def __call__(self, field: Field) -> Field:
        """The field (H, W, 2) without the similarity."""
        share = self._solve @ field.reshape(-1)
        return (field - np.tensordot(share, self._basis, 1)).astype(np.float32)


def parallax(geometry: Geometry, depth: NDArray[np.float64]) -> tuple[Field, Field]:
    """Fields (H, W, 2) of a yaw and a pitch of one radian: near parts move against far ones.

    depth: (N,) px of the landmarks, smaller is nearer. Between landmarks it is a normalised blur.
    """
    size = (geometry.height, geometry.width)
    sums = np.zeros(size, np.float32)
    counts = np.zeros(size, np.float32)
    at = np.rint(geometry.landmarks[: len(depth)]).astype(int)
    inside = ((at >= 0) & (at < (size[1], size[0]))).all(1)
    np.add.at(sums, (at[inside, 1], at[inside, 0]), depth[inside])
    np.add.at(counts, (at[inside, 1], at[inside, 0]), 1.0)
    spread = 0.4 * geometry.px_per_cm
    far = float(np.quantile(depth, 0.9))  # beside the face
    weight = cv2.GaussianBlur(counts, (0, 0), spread) + 1e-5
    z = (cv2.GaussianBlur(sums, (0, 0), spread) + 1e-5 * far) / weight
    right = geometry.right.astype(np.float32)
    down = geometry.down.astype(np.float32)
    return z[..., None] * right, z[..., None] * down


def nonrigid_warps(rng: np.random.Generator, size: int) -> list[Field]:
    """Smooth random fields (size, size, 2) of RMS 1 px: skin, hair and mesh beside action units."""
    fields = []
    for _ in range(WARPS):
        cells = int(rng.integers(*WARP_CELLS))
        coarse = rng.normal(0, 1, (cells, cells, 2)).astype(np.float32)
        field = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
        fields.append((field / np.sqrt((field**2).mean())).astype(np.float32))
    return fields


def similarity(shift: NDArray[np.float64], turn: float, growth: float, size: float) -> Affines:
    """(2, 3) about the middle of a picture of `size`; turn in radians, growth as a share."""
    cos = (1 + growth) * np.cos(turn)
    sin = (1 + growth) * np.sin(turn)
    half = (size - 1) / 2
    x = shift[0] + half - cos * half + sin * half
    y = shift[1] + half - sin * half - cos * half
    return np.array([[cos, -sin, x], [sin, cos, y]])


def rng_of_frames(rng: np.random.Generator, recipe: Recipe) -> np.random.Generator:
    """What the numbers of every single frame are drawn from; `rng` draws those of the clip.

    It is `rng` itself, so that what is drawn later depends on the number of frames; or, where the
    recipe is rate_free, another one of the same seed.
    """
    return rng.spawn(1)[0] if recipe.rate_free else rng


def capture_times(rng: np.random.Generator, seconds: float, recipe: Recipe) -> NDArray[np.int64]:
    """Capture times (ns) of a camera of the recipe, strictly rising from 0."""
    frames = rng_of_frames(rng, recipe)
    hz = float(recipe.hz[rng.integers(len(recipe.hz))])
    count = max(int(seconds * hz), 2)
    jitter = np.zeros(count)
    if rng.random() < 0.6:
        jitter = np.clip(frames.normal(0, recipe.time_jitter, count), -0.4, 0.4)
    times = np.round((np.arange(count) + jitter) * 1e9 / hz).astype(np.int64)
    chance = frames.random(count)
    lost = recipe.lost_frames if rng.random() < 0.5 else 0.0
    keep = chance >= lost
    keep[:2] = True
    return np.asarray(times[keep] - times[0])


class Sensor:
    """Exposure, light and noise of one clip; pictures of `size` px.

    gain, grain: times the light and the noise that are drawn.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        recipe: Recipe,
        size: int,
        gain: float = 1.0,
        grain: float = 1.0,
    ) -> None:
        self._rng = rng_of_frames(rng, recipe)
        noise = rng.normal(0, 1, (2 * size, 2 * size, 3)).astype(np.float32)
        if rng.random() < 0.5:
            noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * np.float32(1.6)
        level = np.exp(rng.uniform(*np.log(recipe.noise))) if recipe.noise[1] else 0
        self._noise = noise * np.float32(level * grain)
        self._size = size
        self._gain = rng.uniform(0.75, 1.2) * gain
        ramp = rng.normal(0, 0.08)
        row = 1 + ramp * np.linspace(-0.5, 0.5, size, dtype=np.float32)
        self._ramp = np.repeat(np.repeat(row[None, :, None], size, 0), 3, 2).astype(np.float32)
        self._drift = recipe.light * rng.uniform(0, 1), rng.uniform(0.05, 0.6), rng.uniform(0, 6.28)
        flicker = rng.uniform(0.002, 0.02) if rng.random() < recipe.flicker else 0.0
        self._flicker = flicker, rng.uniform(2, 14)
        self._smear = rng.uniform(*recipe.smear) if rng.random() < recipe.smears else 0.0
        self._repeats = recipe.repeated_frames if rng.random() < 0.5 else 0.0
        self._last: NDArray[np.float32] | None = None
        self._shown: Pixels | None = None

    def __call__(self, image: Pixels, t: float) -> Pixels:
        """The picture taken at time t (s): lit, smeared, noisy; or the last one again."""
        if self._shown is not None and self._rng.random() < self._repeats:
            return self._shown
        amount, hz, phase = self._drift
        depth, rate = self._flicker
        drift = amount * np.sin(6.28 * hz * t + phase)
        gain = self._gain * (1 + drift + depth * np.sin(6.28 * rate * t))
        lit: Any = cv2.multiply(image, self._ramp, scale=gain, dtype=cv2.CV_32F)
        if self._smear and self._last is not None:
            lit = cv2.addWeighted(lit, 1 - self._smear, self._last, self._smear, 0)
        self._last = lit
        y, x = self._rng.integers(0, self._size, 2)
        noise = self._noise[y : y + self._size, x : x + self._size]
        self._shown = np.asarray(cv2.add(lit, noise, dtype=cv2.CV_8U), np.uint8)
        return self._shown


def coded(
    frames: Sequence[Pixels], rng: np.random.Generator, recipe: Recipe, hz: float
) -> Sequence[Pixels]:
    """The frames (H, W, 3) BGR of even sides as a codec drawn from the recipe leaves them."""
    codec = CODECS[rng.choice(len(CODECS), p=recipe.codecs)]
    if codec == "h264":
        options = {
            "preset": PRESETS[rng.integers(len(PRESETS))],
            "tune": "zerolatency",
            "crf": str(int(rng.integers(*recipe.crf))),
            "g": str(int(rng.integers(*GOP))),
        }
        return h264(frames, round(hz), options)
    if codec == "jpeg":
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*recipe.jpeg))]
        packets = (cv2.imencode(".jpg", frame, quality)[1] for frame in frames)
        return [np.asarray(cv2.imdecode(packet, cv2.IMREAD_COLOR), np.uint8) for packet in packets]
    return frames


def h264(frames: Sequence[Pixels], hz: int, options: dict[str, str]) -> list[Pixels]:
    """Encode and decode in memory; with one thread, since the bytes depend on their number."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frames[0].shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, hz)
    encoder.options = options
    encoder.thread_count = 1
    decoder: Any = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    out: list[Pixels] = []

    def decode(packets: list[Any]) -> None:
        for packet in packets:
            for frame in decoder.decode(packet):
                image = cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420)
                out.append(np.asarray(image, np.uint8))

    for i, image in enumerate(frames):
        planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = i
        decode(encoder.encode(frame))
    decode([*encoder.encode(None), None])
    return out
