"""Identity: faces keep their number from frame to frame while their boxes overlap.

Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .affine import Affine
from .landmarker import Mesh
from .stabilizer import FaceStabilizer

Box = NDArray[np.float64]  # x0, y0, x1, y1 in frame px


@dataclass
class FaceTrack:
    """What is remembered of one face."""

    face: int
    mesh: Mesh  # when last seen, or where it was followed to
    seen_ns: int
    kept_ns: int  # last frame that gave a crop, or the first
    inside_gates: bool = False
    by_landmarks: Affine = field(default_factory=Affine.identity)  # where they put the last crop
    stabilizer: FaceStabilizer | None = None

    def see(self, mesh: Mesh, now_ns: int) -> None:
        """Note that the face is at `mesh` now."""
        self.mesh = mesh
        self.seen_ns = now_ns

    @property
    def box(self) -> Box:
        """The box around the mesh."""
        return _box(self.mesh)

    def restart(self) -> None:
        """Forget how the face looked, but not its number."""
        self.inside_gates = False
        self.stabilizer = None


class FaceTracks:
    """At most `faces` tracks, numbered from 0.

    A number is free again `forget_ns` after its face was last seen. Until then a face elsewhere in
    the picture gets no number: after a cut it may be another person, and must not go on where the
    first one ended.
    """

    def __init__(self, faces: int, forget_ns: int, same_face_iou: float) -> None:
        self._faces = faces
        self._forget_ns = forget_ns
        self._same_face_iou = same_face_iou
        self._tracks: dict[int, FaceTrack] = {}

    def __iter__(self) -> Iterator[FaceTrack]:
        return iter(self._tracks.values())

    def __getitem__(self, face: int) -> FaceTrack:
        return self._tracks[face]

    def clear(self) -> None:
        """Forget all faces."""
        self._tracks.clear()

    def restart(self, face: int) -> None:
        """Forget how the face with the number `face` looked, if there is one."""
        if face in self._tracks:
            self._tracks[face].restart()

    def assign(self, meshes: list[Mesh], now_ns: int) -> list[FaceTrack | None]:
        """The track of each mesh: that it overlaps most, a new one (largest first), or None."""
        boxes = [_box(mesh) for mesh in meshes]
        self._forget(now_ns)
        owner = self._overlapping(boxes)
        new = [i for i in range(len(boxes)) if i not in owner]
        for i in sorted(new, key=lambda i: -_area(boxes[i])):
            free = next((face for face in range(self._faces) if face not in self._tracks), None)
            if free is not None:
                self._tracks[free] = FaceTrack(free, meshes[i], now_ns, now_ns)
                owner[i] = self._tracks[free]
        for i, track in owner.items():
            track.see(meshes[i], now_ns)
        return [owner.get(i) for i in range(len(boxes))]

    def overlapped(self, meshes: list[Mesh]) -> list[FaceTrack | None]:
        """The track that each mesh overlaps most, or None; nothing changes."""
        owner = self._overlapping([_box(mesh) for mesh in meshes])
        return [owner.get(i) for i in range(len(meshes))]

    def _forget(self, now_ns: int) -> None:
        for face, track in list(self._tracks.items()):
            if now_ns - track.seen_ns > self._forget_ns:
                del self._tracks[face]

    def _overlapping(self, boxes: list[Box]) -> dict[int, FaceTrack]:
        """The track of each box that overlaps one, the largest overlap first."""
        pairs = [(_iou(box, t.box), -t.face, i) for i, box in enumerate(boxes) for t in self]
        owner: dict[int, FaceTrack] = {}
        taken: set[int] = set()
        for iou, minus_face, i in sorted(pairs, reverse=True):
            if iou >= self._same_face_iou and i not in owner and -minus_face not in taken:
                owner[i] = self._tracks[-minus_face]
                taken.add(-minus_face)
        return owner


def _box(mesh: Mesh) -> Box:
    return np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)])


def _area(box: Box) -> float:
    return float(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


def _iou(one: Box, other: Box) -> float:
    both = _area(np.concatenate([np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])]))
    return both / (_area(one) + _area(other) - both)
