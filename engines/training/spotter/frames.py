"""The frames that the spotter trains on, and how augmentation changes them.

Flow sees grey of half the side, less its local mean. What augmentation does not change, the grey of
half the side, is made once and kept beside the set as `grey-DIGEST.npy`, uint16 (total, H, H), a
sixth of crops.npy: light, mirroring and shift act on it as on the crops. Encoders that see colours
or differences get the crops. Not from the papers.

Shape letters: K frames, S crop side, H = S / 2.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ...specs import LUMA, SpotterSpec
from ...system.processes import is_running
from ...system.replacement import replace
from ..crops import Crops, Indices, Pixels

WHITE = 65535  # of uint16: a step is a 257th of a grey level
BLOCK = 512  # crops made grey at a time
PROBES = 64  # crops whose bytes are part of a cache's digest
GREY = "grey-{}.npy"
PARTIAL = ".{}.partial"  # a cache while the process of that number writes it

# Light keeps all but these shares of a clip's grey, the darkest and the lightest, off black and
# white, where movement would vanish. Every LOOKED-th frame, row and column counts.
DARKEST = 0.005
LIGHTEST = 0.995
LOOKED = 2

Greys = NDArray[np.uint16]
Light = NDArray[np.float32]


@dataclass(frozen=True)
class Augmentation:
    """Drawn once per clip, the same for all its frames; not from the paper.

    Brightness and contrast are limited to what the clip's own grey bears: see `light_of`.
    """

    flip: float = 0.5
    brightness: float = 0.1  # of 255
    contrast: float = 0.15
    shift_px: int = 2  # of the crop at most, each way; in steps of 2
    stretch_time: float = 0.1  # durations times 1 +- this
    # Share of the segments that are played backward, among the few that may be: a blink, which
    # closes faster than it opens, or an ME that returns slowly makes a whole clip irreversible.
    backward: float = 0.5


# ---- augmentation


def augment(frames: NDArray[Any], settings: Augmentation, rng: np.random.Generator) -> NDArray[Any]:
    """Mirror frames, change their light and shift them, all alike.

    frames: crops (K, 3, S, S) uint8, which stay so, or greys (K, H, H) uint16, which become
    float32 from 0 to 1.
    """
    gain, lift = light_of(frames, settings, rng)
    mirrored = rng.random() < settings.flip
    most = settings.shift_px // 2
    y, x = rng.integers(-most, most + 1, 2)
    if frames.dtype == np.uint8:
        levels = np.arange(256) * gain + 255 * lift
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        lit: NDArray[Any] = table[frames]
        y, x = 2 * y, 2 * x
    else:
        lit = frames * np.float32(gain / WHITE)
        lit += np.float32(lift)
        np.clip(lit, 0, 1, out=lit)
    if mirrored:
        lit = lit[..., ::-1]
    return _shifted(lit, int(y), int(x))


def light_of(
    frames: NDArray[Any], settings: Augmentation, rng: np.random.Generator
) -> tuple[float, float]:
    """What a clip's values, 0 to 1, are multiplied by, and what is then added.

    Contrast turns about the clip's mean grey. Neither it nor brightness pushes further grey, but
    for the shares beyond DARKEST and LIGHTEST, to black or white. frames: as in `augment`; crops
    and their greys get the same light.
    """
    gain = 1 + settings.contrast * rng.uniform(-1, 1)
    lift = settings.brightness * rng.uniform(-1, 1)
    if frames.dtype == np.uint8:
        even = 2 * (frames.shape[-1] // 2)
        greys = grey_of(frames[::LOOKED, :, :even, :even])
    else:
        greys = frames[::LOOKED]
    seen = greys[:, ::LOOKED, ::LOOKED] / WHITE
    mean = float(seen.mean())
    below, above = (abs(float(q) - mean) for q in np.quantile(seen, (DARKEST, LIGHTEST)))
    gain = min(gain, 1 / max(below + above, 1 / WHITE))
    lift = float(np.clip(lift, gain * below - mean, 1 - mean - gain * above))
    return gain, mean - gain * mean + lift


def as_light(greys: Greys) -> Light:
    """Greys (K, H, H) uint16 as float32 from 0 to 1."""
    return greys * np.float32(1 / WHITE)


def _shifted(frames: NDArray[Any], y: int, x: int) -> NDArray[Any]:
    """Frames moved up by y and left by x px; what comes in is the mirrored edge."""
    side = frames.shape[-1]
    most = max(abs(y), abs(x))
    if most:
        beside = [(0, 0)] * (frames.ndim - 2) + [(most, most)] * 2
        padded = np.pad(frames, beside, mode="symmetric")
        frames = padded[..., most + y : most + y + side, most + x : most + x + side]
    return np.ascontiguousarray(frames)


# ---- the grey of half the side


def grey_of(crops: Pixels) -> Greys:
    """Crops (K, 3, S, S) uint8 of even side -> the grey of half the side (K, H, H)."""
    rows = crops[:, :, 0::2].astype(np.uint16) + crops[:, :, 1::2]
    sums = rows[..., 0::2] + rows[..., 1::2]  # (K, 3, H, H) of four pixels each
    scale = np.asarray(LUMA, np.float32) * np.float32(WHITE / (4 * 255))
    grey = np.einsum("kchw,c->khw", sums.astype(np.float32), scale)
    return np.asarray(np.rint(grey), np.uint16)


@dataclass(frozen=True, eq=False)
class GreyFrames:
    """The grey of half the side of all crops of some sets, by the rows of the crops.

    Parts without a cache are made from the crops as they are asked for.
    """

    crops: Crops
    parts: tuple[Greys | None, ...]

    def __getitem__(self, rows: Indices) -> Greys:
        part, inside = self.crops.place(rows)
        cached = self.parts[part]
        return grey_of(self.crops[rows]) if cached is None else np.asarray(cached[inside])


Frames = Crops | GreyFrames


def frames_for(spec: SpotterSpec, crops: Crops) -> Frames:
    """What an encoder of the spec is trained on: greys with their caches, or the crops.

    Opens the caches that there are and makes none: see `make_caches`.
    """
    if not sees_greys(spec):
        return crops
    parts = [_cache_of(part) for part in crops.parts]
    found = [np.load(path, mmap_mode="r") if path.exists() else None for path in parts]
    return GreyFrames(crops, tuple(found))


def sees_greys(spec: SpotterSpec) -> bool:
    """Whether the encoder sees nothing but the grey of half the side."""
    return spec.motion == "flow" and len(spec.lags_ns) > 0 and spec.side % 2 == 0


def make_caches(crops: Crops, say: Callable[[str], None]) -> None:
    """Make the caches that are missing, by all cores.

    Where one cannot be written, a line says so, and training makes the greys as it goes.
    """
    for part in crops.parts:
        path = _cache_of(part)
        if path.exists():
            continue
        partial = path.with_suffix(PARTIAL.format(os.getpid()))
        try:
            for old in (*path.parent.glob(GREY.format("*")), *_left_behind(path.parent)):
                old.unlink(missing_ok=True)
            say(f"{path.parent.name}: making {path.name}, which speeds up training")
            _write(part, partial)
            replace(partial, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            say(f"{path.name} cannot be kept ({error}): training is a little slower")


def _left_behind(folder: Path) -> list[Path]:
    """Partial caches in `folder` of runs that were killed."""
    partials = folder.glob("grey-*.partial")
    return [path for path in partials if not _is_running(path.stem.rpartition(".")[2])]


def _is_running(process: str) -> bool:
    """Whether a process of that number runs here."""
    try:
        return is_running(int(process))
    except (ValueError, OverflowError):
        return False


def _write(crops: Pixels, path: Path) -> None:
    """Write the greys of `crops`; OSError where the disk has no room for them.

    The room is taken first: to write a mapped file that finds none ends the process.
    """
    half = crops.shape[-1] // 2
    greys = open_memmap(path, mode="w+", dtype=np.uint16, shape=(len(crops), half, half))
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def fill(first: int) -> None:
        greys[first : first + BLOCK] = grey_of(np.asarray(crops[first : first + BLOCK]))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, len(crops), BLOCK)))
    greys.flush()


def _cache_of(crops: Pixels) -> Path:
    """Where the greys of a mapped crops.npy lie; the name has a digest of size and some crops."""
    assert isinstance(crops, np.memmap)
    assert crops.filename is not None
    digest = hashlib.sha256(repr(crops.shape).encode())
    for row in np.linspace(0, len(crops) - 1, PROBES).astype(int):
        digest.update(np.ascontiguousarray(crops[row]).data)
    return Path(crops.filename).with_name(GREY.format(digest.hexdigest()[:16]))
