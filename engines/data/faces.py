"""Face images with landmarks from any folder of portraits, split by a rule that never changes."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png")
# Shares: validation chooses thresholds and when to stop, test only measures.
HELD_OUT = {"validation": 0.06, "test": 0.06}
# Openings over inter-ocular distance of a neutral face, which movements start from.
MOUTH_CLOSED = 0.06  # at most
EYES_OPEN = 0.055  # at least
# Optional files beside the images
LANDMARKS = "landmarks468.npz"  # array L (images, 468, 3) px in order of file name
ORIGINS = "faces.csv"  # columns file, repo
HELD_OUT_REPO = "SFHQ-dataset"  # its portraits, which look more like webcams, are not trained on


@dataclass(frozen=True, eq=False)
class FaceAsset:
    """One portrait: image (H, W, 3) uint8 BGR, landmarks (468 or 478, 3) px."""

    name: str
    split: str
    image: NDArray[np.uint8]
    landmarks: NDArray[np.float64]


def split_of(name: str, origin: str = "") -> str:
    """The split of a face by a hash of its name: train, validation or test.

    A face of the held-out origin is in validation or test.
    """
    share = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
    if origin.endswith(HELD_OUT_REPO):
        share *= sum(HELD_OUT.values())
    for split, width in HELD_OUT.items():
        if share < width:
            return split
        share -= width
    return "train"


def is_neutral(landmarks: NDArray[np.float64]) -> bool:
    """Whether the mouth is closed and both eyes are open."""

    def distance(a: int, b: int) -> float:
        return float(np.hypot(*(landmarks[a, :2] - landmarks[b, :2])))

    scale = distance(33, 263)
    eyes = min(distance(159, 145), distance(386, 374))
    return distance(13, 14) / scale < MOUTH_CLOSED and eyes / scale > EYES_OPEN


def find_faces(folder: Path) -> list[tuple[Path, NDArray[np.float64], str]]:
    """(image path, landmarks, split) of every usable portrait, ordered by name.

    Raises DataError where there is no image.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{folder}: no face images; give a folder of .jpg or .png portraits")
    origins = _origins(folder / ORIGINS)
    stored = folder / LANDMARKS
    found = _stored(paths, stored) if stored.exists() else _detect(paths)
    usable = []
    for path, mesh in found:
        landmarks = np.asarray(mesh, np.float64)
        if is_neutral(landmarks):
            split = split_of(path.name, origins.get(path.name, ""))
            usable.append((path, landmarks, split))
    return usable


def load_face(path: Path, landmarks: NDArray[np.float64], split: str) -> FaceAsset:
    """Read the image. Raises DataError where it cannot be decoded."""
    image: Any = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path} cannot be read as an image; remove it from the folder")
    return FaceAsset(path.name, split, image, landmarks)


def _stored(paths: list[Path], stored: Path) -> Iterator[tuple[Path, NDArray[np.float64]]]:
    meshes = np.load(stored)["L"]
    if len(meshes) != len(paths):
        raise DataError(
            f"{stored}: {len(meshes)} meshes for {len(paths)} images; "
            "remove it to find landmarks anew"
        )
    return zip(paths, meshes, strict=True)


def _origins(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row.get("repo", "") for row in csv.DictReader(file)}


def _detect(paths: list[Path]) -> Iterator[tuple[Path, NDArray[np.float64]]]:
    from ..alignment.aligner import MediaPipeAligner

    with MediaPipeAligner() as aligner:
        for path in paths:
            image: Any = cv2.imread(str(path))
            meshes = [] if image is None else aligner.landmarks(image)
            if meshes:
                yield path, meshes[0]
