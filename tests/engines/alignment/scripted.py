"""Aligners that get scripted meshes instead of MediaPipe's, and what changes a mesh."""

from __future__ import annotations

from typing import Any

import numpy as np

from microspot.engines.alignment.aligner import AlignOptions, MediaPipeAligner

TICK = 40_000_000


class Scripted(MediaPipeAligner):
    """Meshes from a list instead of MediaPipe, at every frame: for gates and identities."""

    def __init__(self, faces: int = 1, **options: Any) -> None:
        super().__init__(faces=faces, options=AlignOptions(**{"landmarks_ns": 0} | options))
        self.meshes: list[np.ndarray] = []

    def landmarks(self, image_bgr: np.ndarray) -> list[np.ndarray]:
        return self.meshes


class Counting(Scripted):
    """A mesh that moves with a picture rolled by `at` px; counts how often it is asked for."""

    asked = 0
    at = (0, 0)
    also: tuple[np.ndarray, ...] | list[np.ndarray] = ()  # other faces of the picture

    def __init__(self, mesh: np.ndarray, faces: int = 1, **options: Any) -> None:
        often = {"landmarks_ns": 200_000_000, "still_ns": 200_000_000, "answer_frames": 1}
        super().__init__(faces, **often | options)
        self.mesh = mesh

    def landmarks(self, image_bgr: np.ndarray) -> list[np.ndarray]:
        self.asked += 1
        return [] if self.mesh is None else [moved(self.mesh, *self.at), *self.also]

    def show(self, image: np.ndarray, i: int, at: tuple[int, int] = (0, 0)) -> tuple[Any, int]:
        """What the aligner finds in a picture moved by `at`, and how often it asked for meshes."""
        before = self.asked
        self.at = at
        found = self(np.roll(image, at[::-1], axis=(0, 1)), i * TICK)
        if self._request is not None:
            self._request.answer.result()  # of this picture, before it moves on
        return found, self.asked - before


def turned(mesh: np.ndarray, degrees: float) -> np.ndarray:
    """The mesh turned about the vertical by `degrees` in depth; its width in the picture stays."""
    out = mesh.copy()
    out[:, 2] = np.tan(np.deg2rad(degrees)) * (mesh[:, 0] - mesh[:, 0].mean())
    return out


def moved(mesh: np.ndarray, right: float, down: float = 0.0) -> np.ndarray:
    return mesh + np.array([right, down, 0.0])


def scaled(mesh: np.ndarray, width: float) -> np.ndarray:
    middle = mesh[:, :2].mean(0)
    out = mesh.copy()
    out[:, :2] = middle + (mesh[:, :2] - middle) * (
        width / np.linalg.norm(mesh[234, :2] - mesh[454, :2])
    )
    return out
