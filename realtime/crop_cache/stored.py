"""Answers of an aligner as arrays on a disk, and back.

    crops.npy       uint8 (F, 3, S, S) RGB: the faces' crops, one after the other
    alignments.npz  all else of the answers
    made_from.json  what decides that they are these

Shape letters: C calls, F faces of all calls, R refused ones, S crop side.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import Alignment, Face, Refused, Rejection

from ..errors import DataError

CROPS = "crops.npy"
ALIGNMENTS = "alignments.npz"
MADE_FROM = "made_from.json"
NEVER = -1  # time of the newest landmarks where there are none
NO_REASON = ""  # of a frame in which no wanted face is missing

Answer = tuple[int, Alignment]  # time of the frame (ns), and what the aligner gave


class CropWriter:
    """Writes crops into an .npy file one at a time; its header is mended at the end."""

    def __init__(self, path: Path, side: int) -> None:
        self._side = side
        self._count = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(self._header(0))

    def add(self, pixels: NDArray[np.uint8]) -> None:
        """Write a crop (3, S, S)."""
        self._file.write(np.ascontiguousarray(pixels).data)
        self._count += 1

    def close(self) -> None:
        """Finish the file."""
        if not self._file.closed:
            self._file.seek(0)
            self._file.write(self._header(self._count))
            self._file.close()

    def _header(self, count: int) -> bytes:
        """Of equal length for every count: numpy leaves room for the first number of a shape."""
        shape = (count, 3, self._side, self._side)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        text = io.BytesIO()
        np.lib.format.write_array_header_1_0(text, header)
        return text.getvalue()


def write_answers(folder: Path, answers: Sequence[Answer], made_from: dict[str, Any]) -> None:
    """Write all but the crops, the same bytes for the same answers. Raises OSError."""
    faces = [face for _, each in answers for face in each.faces]
    refused = [face for _, each in answers for face in each.refused]
    meshes = [face.mesh for face in faces if face.mesh is not None]
    arrays: dict[str, Any] = {
        "captured_ns": np.array([at_ns for at_ns, _ in answers], np.int64),
        "rejected": np.array([each.rejected or NO_REASON for _, each in answers], np.str_),
        "faces": np.array([len(each.faces) for _, each in answers], np.int64),
        "refused": np.array([len(each.refused) for _, each in answers], np.int64),
        "face": np.array([face.face for face in faces], np.int64),
        "affine": _stacked([face.affine for face in faces], (2, 3)),
        "placed": _stacked([face.placed for face in faces], (2, 3)),
        "quality": np.array([face.quality for face in faces], np.float64),
        "width_px": np.array([face.width_px for face in faces], np.float64),
        "landmarks_ns": np.array([_or_never(face.landmarks_ns) for face in faces], np.int64),
        "meshed": np.array([face.mesh is not None for face in faces], bool),
        "mesh": np.stack(meshes) if meshes else np.empty((0, 0, 0)),
        "refused_face": np.array([face.face for face in refused], np.int64),
        "refused_reason": np.array([face.reason for face in refused], np.str_),
        "refused_width_px": np.array([face.width_px for face in refused], np.float64),
        **_outlines("outline", [face.outline for face in faces]),
        **_outlines("refused_outline", [face.outline for face in refused]),
    }
    np.savez_compressed(folder / ALIGNMENTS, **arrays)
    (folder / MADE_FROM).write_text(json.dumps(made_from, indent=1) + "\n", encoding="utf-8")


def _or_never(landmarks_ns: int | None) -> int:
    return NEVER if landmarks_ns is None else landmarks_ns


def _unless_never(landmarks_ns: int) -> int | None:
    return None if landmarks_ns == NEVER else landmarks_ns


def _stacked(arrays: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return np.stack(arrays) if arrays else np.empty((0, *shape))


def _outlines(name: str, outlines: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    """Outlines (N, 2) one after the other, and how long each is."""
    empty = np.empty((0, 2), np.float32)
    lengths = np.array([len(each) for each in outlines], np.int64)
    return {name: np.concatenate([empty, *outlines]), f"{name}_length": lengths}


def read_answers(folder: Path) -> Iterator[Answer]:
    """What was written, in order. Raises DataError where the entry is damaged."""
    try:
        with np.load(folder / ALIGNMENTS, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        crops = np.load(folder / CROPS, allow_pickle=False)
        faces = _faces(found, crops)
        refused = _refused(found)
        counts = zip(*(_edges(found[name]) for name in ("faces", "refused")), strict=True)
        calls = zip(found["captured_ns"].tolist(), found["rejected"].tolist(), counts, strict=True)
        answers = [
            (at_ns, Alignment(tuple(faces[a:b]), rejected or None, tuple(refused[c:d])))
            for at_ns, rejected, ((a, b), (c, d)) in calls
        ]
    except (OSError, EOFError, ValueError, LookupError, BadZipFile) as error:
        raise DataError(f"{folder}: crops cannot be read ({error}): remove the folder") from error
    yield from answers


def crop_times(folder: Path) -> NDArray[np.int64]:
    """(F,) when the frame of each crop was taken. Raises DataError where the entry is damaged."""
    try:
        with np.load(folder / ALIGNMENTS, allow_pickle=False) as file:
            return np.repeat(file["captured_ns"], file["faces"])
    except (OSError, EOFError, ValueError, LookupError, BadZipFile) as error:
        raise DataError(f"{folder}: crops cannot be read ({error}): remove the folder") from error


def _edges(lengths: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Where parts of these lengths begin and end, one after the other."""
    return list(pairwise([0, *np.cumsum(lengths).tolist()]))


def _faces(found: dict[str, NDArray[Any]], crops: NDArray[np.uint8]) -> list[Face]:
    outlines = [found["outline"][a:b] for a, b in _edges(found["outline_length"])]
    meshes = iter(found["mesh"])
    return [
        Face(
            face=int(number),
            pixels=crops[place],
            affine=found["affine"][place],
            quality=float(found["quality"][place]),
            outline=outlines[place],
            placed=found["placed"][place],
            width_px=float(found["width_px"][place]),
            mesh=next(meshes) if found["meshed"][place] else None,
            landmarks_ns=_unless_never(int(found["landmarks_ns"][place])),
        )
        for place, number in enumerate(found["face"])
    ]


def _refused(found: dict[str, NDArray[Any]]) -> list[Refused]:
    outlines = [found["refused_outline"][a:b] for a, b in _edges(found["refused_outline_length"])]
    return [
        Refused(
            int(number),
            Rejection(str(found["refused_reason"][place])),
            outlines[place],
            float(found["refused_width_px"][place]),
        )
        for place, number in enumerate(found["refused_face"])
    ]
