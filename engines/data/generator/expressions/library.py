"""Files of measured motion fields. Not from the papers.

An .npz with, for K fields: `moves` (K, 468, 2) int8 and `scale` (K,) float32, whose product is the
displacement in cm along the face's axes (+x to the image's right, +y down; the peak is 1 cm);
`person`, `region`, `side` (K,) text; `kept` (K,) bool: fields that only validation clips show.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ....errors import DataError
from ..basis import POINTS
from ..families import KEPT, MEASURED, MeasuredField

PACKAGED = Path(__file__).with_name("measured.npz")
STEPS = 127  # of the int8 scale, on either side of 0


@cache
def packaged() -> tuple[MeasuredField, ...]:
    """The fields that come with the package."""
    return read_fields(PACKAGED)


def read_fields(path: Path) -> tuple[MeasuredField, ...]:
    """The fields of a file. Raises DataError where it is not such a file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            steps, scale = file["moves"], file["scale"]
            texts = [file[name].tolist() for name in ("person", "region", "side")]
            kept = file["kept"].tolist()
        if steps.shape != (len(kept), POINTS, 2):
            raise ValueError(f"moves are {steps.shape}, expected ({len(kept)}, {POINTS}, 2)")
        moves = np.asarray(steps * scale[:, None, None], np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path} holds no measured expressions ({error}): "
            "make it with microspot-engines expressions"
        ) from error
    return tuple(
        MeasuredField(person, KEPT if apart else MEASURED, region, side, field)
        for person, region, side, apart, field in zip(*texts, kept, moves, strict=True)
    )


def write_fields(path: Path, fields: Sequence[MeasuredField]) -> None:
    """Write fields to a file. Raises DataError where it cannot be written."""
    moves = np.array([field.moves for field in fields], np.float32).reshape(-1, POINTS, 2)
    scale = np.abs(moves).max((1, 2)) / STEPS
    try:
        np.savez_compressed(
            path,
            moves=np.rint(moves / scale[:, None, None]).astype(np.int8),
            scale=scale.astype(np.float32),
            person=np.array([field.person for field in fields]),
            region=np.array([field.region for field in fields]),
            side=np.array([field.side for field in fields]),
            kept=np.array([field.family == KEPT for field in fields]),
        )
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error})") from error
