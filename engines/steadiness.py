"""How still an aligner holds a face, on a rendered clip whose true motion is known. Used by `microspot bench`.

One neutral picture sways by a known similarity, gets sensor noise and goes through H.264. Where five rigid points
of the picture land in the crop is then the known motion composed with the crop's `affine`; all of their movement
above 0.5 Hz is the aligner's error. A second clip, equal but for brows that rise by one crop pixel, shows that the
steadiness is not bought by smoothing: the rise is measured in the pixels of the crops. Not from the papers.
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

from .align import Aligner, Face
from .errors import DataError
from .register import TEMPLATE, Affine, Pixels, compose, inverse, template_px

SWAY_PX = 10.0
SWAY_DEGREES = 3.0
SWAY_HZ = (0.2, 1.0)
NOISE = 4.0  # standard deviation of the sensor noise, grey levels
CODEC = {"preset": "veryfast", "crf": "23", "tune": "zerolatency"}
HIGH_PASS_HZ = 0.5
RIGID_POINTS = (168, 133, 362, 33, 263)  # nose bridge, inner and outer eye corners
BROW_CENTRE = (0.24, -0.265)  # template units, mirrored for the other brow
BROW_SPREAD = (0.10, 0.06)  # standard deviations of the moving patch, template units
BROW_RISE_PX = 1.0
BROW_EVERY_S = 1.0
BROW_LASTS_S = 0.4


@dataclass(frozen=True)
class Steadiness:
    """Crop pixels. `me_survival` is the share of a known brow movement that is left in the crops (1 is ideal)."""

    motion_px_rms: float
    unregistered_px_rms: float
    me_survival: float


def measure(
    image_bgr: Pixels,
    aligner_factory: Callable[[], Aligner],
    seed: int = 0,
    seconds: float = 8,
    hz: int = 30,
) -> Steadiness:
    """Render `image_bgr` (HxWx3, one neutral face) for `seconds` at `hz` and align it, once plain and once with brows.

    Raises DataError where the aligner finds no face in the picture or loses it on the way.
    """
    still = np.ascontiguousarray(image_bgr[: image_bgr.shape[0] // 2 * 2, : image_bgr.shape[1] // 2 * 2])
    with aligner_factory() as aligner:
        home = _only(aligner(still, 0).faces).affine
        side = _only(aligner(still, 0).faces).pixels.shape[1]
    times = np.arange(round(seconds * hz)) / hz
    sway = _sway(times, inverse(home) @ (side / 2, side / 2, 1), np.random.default_rng(seed))
    rise = _pulses(times)
    field = _brow_field(still.shape[:2], home, side)
    plain, moved = (
        _align(_through_codec(_render(still, sway, field, amount, seed), hz), aligner_factory, hz)
        for amount in (0 * rise, rise)
    )
    return Steadiness(
        motion_px_rms=_motion([f.affine for f in plain], sway, home, side, hz),
        unregistered_px_rms=_motion([f.placed for f in plain], sway, home, side, hz),
        me_survival=_survival(plain, moved, rise, _ideal(still, field, home, side), home, side),
    )


def _only(faces: tuple[Face, ...]) -> Face:
    if len(faces) != 1:
        raise DataError(f"expected one face in the picture, found {len(faces)}; give a near-frontal portrait")
    return faces[0]


def _wave(times: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Three sines within SWAY_HZ, peak 1."""
    hertz, phase = rng.uniform(*SWAY_HZ, (3, 1)), rng.uniform(0, 2 * np.pi, (3, 1))
    wave: NDArray[np.float64] = np.sin(2 * np.pi * hertz * times + phase).sum(0)
    return wave / np.abs(wave).max()


def _sway(times: NDArray[np.float64], about: NDArray[np.float64], rng: np.random.Generator) -> list[Affine]:
    """Still px -> frame px at every time: shift and turn about the face's centre."""
    shift = SWAY_PX * np.stack([_wave(times, rng), _wave(times, rng)], 1)
    turn = np.exp(1j * np.deg2rad(SWAY_DEGREES) * _wave(times, rng))
    affines = []
    for (dx, dy), z in zip(shift, turn, strict=True):
        linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
        affines.append(np.column_stack([linear, about - linear @ about + (dx, dy)]))
    return affines


def _pulses(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share 0..1 of the brow rise at every time: one raised cosine a second, as long as a micro-expression."""
    phase = (times % BROW_EVERY_S - (BROW_EVERY_S - BROW_LASTS_S) / 2) / BROW_LASTS_S
    return np.where((phase > 0) & (phase < 1), 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)


def _brow_field(shape: tuple[int, ...], home: Affine, side: int) -> NDArray[np.float32]:
    """(H, W, 2) displacement in still px of the full rise, upwards as the face sees it."""
    back = inverse(home)
    up = back[:, :2] @ (0.0, -BROW_RISE_PX)
    unit = np.linalg.norm(template_px(np.array([1.0, 0.0]), side) - template_px(np.zeros(2), side))
    y, x = np.mgrid[: shape[0], : shape[1]]
    crop = np.stack([x, y, np.ones_like(x)], -1) @ home.T
    bump = np.zeros(shape)
    for sign in (1.0, -1.0):
        away = (crop - template_px(np.multiply(BROW_CENTRE, (sign, 1.0)), side)) / np.multiply(BROW_SPREAD, unit)
        bump += np.exp(-0.5 * (away**2).sum(-1))
    return (bump[..., None] * up).astype(np.float32)


def _bend(still: Pixels, affine: Affine, shift: NDArray[np.float32], size: tuple[int, int]) -> Pixels:
    """Warp `still` by the still-px displacement `shift`, then by `affine` (still -> output), in one interpolation."""
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    back = inverse(affine).astype(np.float32)
    moved = cv2.warpAffine(shift, affine, size, flags=cv2.INTER_LINEAR)
    at = [row[0] * x + row[1] * y + row[2] - moved[..., i] for i, row in enumerate(back)]
    return cv2.remap(still, at[0], at[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def _render(
    still: Pixels, sway: list[Affine], field: NDArray[np.float32], rise: NDArray[np.float64], seed: int
) -> Iterator[Pixels]:
    rng = np.random.default_rng(seed)
    size = (still.shape[1], still.shape[0])
    for affine, share in zip(sway, rise, strict=True):
        frame = _bend(still, affine, field * np.float32(share), size)
        noisy = frame + NOISE * rng.standard_normal(frame.shape, dtype=np.float32)
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
    with av.open(store) as file:
        for frame in file.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def _align(frames: Iterator[Pixels], aligner_factory: Callable[[], Aligner], hz: int) -> list[Face]:
    with aligner_factory() as aligner:
        return [_only(aligner(image, i * 1_000_000_000 // hz).faces) for i, image in enumerate(frames)]


def _motion(affines: list[Affine], sway: list[Affine], home: Affine, side: int, hz: int) -> float:
    """RMS length, crop px, of the rigid points' movement above HIGH_PASS_HZ."""
    points = np.column_stack([template_px(np.array([TEMPLATE[i] for i in RIGID_POINTS]), side), np.ones(5)])
    still = np.column_stack([points @ inverse(home).T, np.ones(5)])
    track = np.stack([still @ compose(a, g).T for a, g in zip(affines, sway, strict=True)])  # (T, 5, 2)
    fast = _high_pass(track.reshape(len(track), -1), hz)
    return float(np.sqrt((fast**2).sum() / (len(track) * len(RIGID_POINTS))))


def _high_pass(track: NDArray[np.float64], hz: int) -> NDArray[np.float64]:
    """(T, n) less its cosines below HIGH_PASS_HZ; cosines, because a clip does not close on itself as Fourier asks."""
    n = len(track)
    order = np.arange(int(np.ceil(2 * HIGH_PASS_HZ * n / hz)))
    slow = np.cos(np.pi * (np.arange(n)[:, None] + 0.5) * order / n)
    slow /= np.linalg.norm(slow, axis=0)
    return track - slow @ (slow.T @ track)


def _ideal(still: Pixels, field: NDArray[np.float32], home: Affine, side: int) -> tuple[Pixels, Pixels]:
    """Crops of the still face before and at the full rise: no sway, no noise, no codec, a perfect aligner."""
    before, after = (_bend(still, home, share * field, (side, side)) for share in (np.float32(0), np.float32(1)))
    return before, after


def _survival(
    plain: list[Face],
    moved: list[Face],
    rise: NDArray[np.float64],
    ideal: tuple[Pixels, Pixels],
    home: Affine,
    side: int,
) -> float:
    """Rise seen in the crops per rise rendered, by regression over the clip; 1 for the ideal pair."""
    y, x = np.mgrid[:side, :side]
    weight = np.zeros((side, side))
    unit = np.linalg.norm(template_px(np.array([1.0, 0.0]), side) - template_px(np.zeros(2), side))
    for sign in (1.0, -1.0):
        cx, cy = template_px(np.multiply(BROW_CENTRE, (sign, 1.0)), side)
        sx, sy = np.multiply(BROW_SPREAD, unit)
        weight += np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))
    before, after = (image.astype(np.float64).mean(-1) for image in ideal)
    whole = _shift(after - before, before, weight)
    greys = [np.stack([f.pixels.astype(np.float32).mean(0) for f in faces]) for faces in (plain, moved)]
    # gradients of the mean crop: the codec's blur is in them, as in the differences, and the noise is not
    seen = np.array([_shift(b - a, greys[0].mean(0), weight) for a, b in zip(*greys, strict=True)])
    return float(seen @ rise / (rise @ rise) / whole)


def _shift(change: NDArray[Any], base: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """Vertical displacement that explains `change`, least squares; a change of light is not mistaken for it."""
    gy, gx = np.gradient(base.astype(np.float64))
    design = np.stack([gy, gx, base, np.ones_like(gy)]).reshape(4, -1)
    weighted = design * weight.ravel()
    return -float(np.linalg.solve(weighted @ design.T, weighted @ change.ravel())[0])
