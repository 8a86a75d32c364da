"""A strip of pictures of an alarm, so that a person can see what it was.

Above the crops from before the alarm to after it, below what changed since the first, eight times
as strong about grey. Not from the papers.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ....clips import SECOND_NS, nearest_frames
from ....errors import DataError
from ..recordings import Recording

PICTURES = 7
AROUND_S = 0.15  # before and after the alarm
GAIN = 8.0  # of the differences
SCALE = 2  # px of a strip per px of a crop


def strip(recording: Recording, from_ns: int, to_ns: int) -> NDArray[np.uint8]:
    """The strip (2 S, PICTURES S, 3) BGR of an alarm in a recording, before SCALE."""
    around = round(AROUND_S * SECOND_NS)
    wanted = np.linspace(from_ns - around, to_ns + around, PICTURES)
    rows = nearest_frames(recording.times_ns, wanted)
    crops = recording.crops[rows][:, ::-1].transpose(0, 2, 3, 1)
    change = crops.astype(np.float32) - crops[:1]
    below = np.clip(128 + GAIN * change, 0, 255).astype(np.uint8)
    return np.concatenate([np.concatenate(list(line), axis=1) for line in (crops, below)])


def write_strip(folder: Path, recording: Recording, from_ns: int, to_ns: int) -> str:
    """Write an alarm's strip as a PNG; its name. Raises DataError where it cannot be written."""
    name = re.sub(r"[^\w.-]+", "-", f"{recording.name}-{from_ns / SECOND_NS:.2f}s") + ".png"
    picture = strip(recording, from_ns, to_ns)
    large = cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".png", large)[1].tobytes())
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error}); give another --stills") from error
    return name
