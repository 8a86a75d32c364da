"""Frames in, steady face crops out: MediaPipe finds the face, `steady` holds it still and follows it in between.

The landmarker costs ten times the rest, so it runs now and then: `AlignOptions.search_ns` while a face is looked for,
`landmarks_ns` while all are followed. In between registration follows the face from frame to frame, and asks the
landmarker within the same frame whenever it is not sure. Asked every 0.3 s, it moved the crops of four real clips by
0.01, 0.01, 0.05 and 0.20 px RMS over 0.5 Hz (the last nods and turns) against landmarks at every frame, held the known
sway of `steadiness` as still (0.095 px) and asked at 0.15 of the frames.

MediaPipe runs in IMAGE mode for one face and for several: every answer stands for itself, so the same frames give the
same crops wherever a segment begins. (VIDEO mode with one face low-passes the landmarks and would swallow
micro-expressions; with more it searches every frame for the faces that are missing: 6.2 ms against 5.7 for one face.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .bridge import Bridge, BridgeOptions
from .face_template import Affine, compose, face_to_crop, inverse
from .face_tracks import Track, Tracks
from .landmarker import Landmarker, Mesh, moved, outline, width_px, yaw_degrees
from .registration import Pixels, RegisterOptions
from .stabilizer import FaceStabilizer, Placed

__all__ = [
    "AlignOptions",
    "Aligner",
    "Alignment",
    "Face",
    "FixedAligner",
    "MediaPipeAligner",
    "Refused",
    "Rejection",
    "face_to_crop",
]


@dataclass(frozen=True)
class AlignOptions:
    """Gates and memory of the aligner. A face comes in at the stricter value of a pair and leaves at the other.

    The least width was 90 px and blanked whole clips. By `exam widths` on footage that may be tuned on (17 MEs, 2.6
    minutes at each width) 6, 6, 6, 7, 5, 6 and 5 were found at 40, 50, 60, 70, 80, 90 and 100 px, with 2, 1, 11, 4, 3,
    4 and 0 false alarms: nothing is lost down to 40 px. Not from the papers.
    """

    yaw_degrees: tuple[float, float] = (30.0, 35.0)  # enter below, leave above
    min_face_px: float = 45.0  # width of the mesh: enter from
    stays: float = 0.9  # of that width: leave below
    inside: float = 0.8  # least share of the landmarks within the frame
    search_ns: int = (
        300_000_000  # the landmarker looks this often while fewer faces than asked for are there
    )
    landmarks_ns: int = 500_000_000  # and this often at faces that are followed; 0: at every frame
    bridge: BridgeOptions = field(
        default_factory=BridgeOptions
    )  # a face missing for longer starts anew
    forget_ns: int = 500_000_000  # an id is kept this long for a face that is gone
    same_face_iou: float = 0.3
    register: RegisterOptions = field(default_factory=RegisterOptions)


class Rejection(StrEnum):
    """Why a face that is wanted was not used."""

    NO_FACE = "no face"
    LOST = "registration lost"
    TURNED_AWAY = "turned away"
    TOO_SMALL = "too small"
    OUT_OF_FRAME = "out of frame"


@dataclass(frozen=True, eq=False)
class Face:
    """One aligned face. `pixels` (3, S, S) RGB; `affine` (2, 3) frame px -> crop px; `quality` 0..1.

    `outline` (N, 2) frame px is the face oval, a closed polygon (the first point is not repeated). `placed` (2, 3) is
    where landmarks alone would have put the crop. `width_px` is the face's, from side to side; 0 where not known.
    """

    face: int
    pixels: Pixels
    affine: Affine
    quality: float
    outline: NDArray[np.float32]
    placed: Affine = field(default_factory=lambda: np.eye(2, 3))
    width_px: float = 0.0


@dataclass(frozen=True, eq=False)
class Refused:
    """A face that was found and not used, and why; `outline` and `width_px` as a Face's."""

    face: int
    reason: Rejection
    outline: NDArray[np.float32]
    width_px: float


@dataclass(frozen=True)
class Alignment:
    """The faces of one frame, by id. `rejected` is why the first face that is not there is not there.

    `refused` are the faces that the landmarker found when it last looked and that were not used.
    """

    faces: tuple[Face, ...]
    rejected: str | None
    refused: tuple[Refused, ...] = ()


class Aligner(Protocol):
    """Stateful per source: one object per camera, frames in the order of capture. A context manager."""

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Align one frame (H, W, 3) taken at `captured_ns`."""
        ...

    def reset(self, face: int | None = None) -> None:
        """Start a new segment for `face` (None: for all, and forget who they were)."""

    def close(self) -> None:
        """Free what the aligner holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FixedAligner(Aligner):
    """One face at a given place in every frame: for tests and for footage that is cropped already.

    `affine` (2, 3) maps frame px to crop px; None segments the whole frame over the crop.
    """

    def __init__(self, affine: NDArray[Any] | None = None, side: int = 112) -> None:
        self.side = side
        self._affine = None if affine is None else np.array(affine, np.float64).reshape(2, 3)

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        affine = self._whole(image_bgr) if self._affine is None else self._affine
        size = (self.side, self.side)
        crop = cv2.warpAffine(
            image_bgr, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        end = self.side - 0.5
        square = np.array([[-0.5, -0.5, 1], [end, -0.5, 1], [end, end, 1], [-0.5, end, 1]])
        outline = (square @ inverse(affine).T).astype(np.float32)
        return Alignment((Face(0, _rgb_planes(crop), affine, 1.0, outline, affine),), None)

    def _whole(self, image: Pixels) -> Affine:
        sx, sy = self.side / image.shape[1], self.side / image.shape[0]
        return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2]])


class MediaPipeAligner(Aligner):
    """Up to `faces` faces per frame, ids 0..faces-1, each held still against its own reference.

    A face that goes, or is another one after a cut, is noticed on that frame, for it no longer looks like its
    reference. A face that comes is seen at most `search_ns` and a frame later: at once where a face was just lost.

    Raises EngineError where MediaPipe or its model cannot be loaded.
    """

    def __init__(
        self, side: int = 112, faces: int = 1, options: AlignOptions | None = None
    ) -> None:
        if side < 16 or faces < 1:
            raise UsageError(
                f"side {side}, faces {faces}: expected a side of at least 16 and at least one face"
            )
        self.side, self.faces = side, faces
        self.options = options or AlignOptions()
        self._tracks = Tracks(faces, self.options.forget_ns, self.options.same_face_iou)
        self._bridge = Bridge(self.options.bridge)
        self._searched_ns: int | None = None
        self._last_ns = 0
        self._rejected: str | None = None
        self._refused: tuple[Refused, ...] = ()
        self._landmarker = Landmarker(
            faces + 1
        )  # one more: of two alike it would show now one, now the other

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        self._bridge.see(captured_ns)
        followed = None if self._due(captured_ns) else self._follow(image_bgr, captured_ns)
        self._last_ns = captured_ns
        if followed is None:
            return self._search(image_bgr, captured_ns)
        return Alignment(followed, self._rejected, self._refused)

    def _due(self, now_ns: int) -> bool:
        """Landmarks are asked after a while, until a face just lost is found or given up, and after a hole that no
        bridge spans: then the reference starts anew."""
        followed = [track for track in self._tracks if track.steady is not None]
        options = self.options
        rest_ns = (
            options.landmarks_ns
            if len(followed) == self.faces
            else min(options.search_ns, options.landmarks_ns)
        )
        if self._searched_ns is None or now_ns - self._searched_ns >= rest_ns:
            return True
        return any(
            track.kept_ns != self._last_ns or not self._bridge.spans(track.kept_ns, now_ns) for track in followed
        )  # fmt: skip

    def _follow(self, image: Pixels, now_ns: int) -> tuple[Face, ...] | None:
        """The faces of the last frame, by registration alone; None where it does not find one of them."""
        faces = []
        for track in self._tracks:
            if track.steady is None:
                continue
            placed = track.steady.follow(image, now_ns)
            if placed is None:
                return None
            mesh = moved(track.mesh, compose(inverse(placed.by_landmarks), track.placed))
            if self._gate(image, mesh, True) is not None:
                return None
            track.see(mesh, now_ns)
            faces.append(self._shown(track, placed, now_ns))
        return tuple(sorted(faces, key=lambda face: face.face))

    def _search(self, image: Pixels, now_ns: int) -> Alignment:
        """The faces that the landmarker finds."""
        self._searched_ns = now_ns
        meshes = self.landmarks(image)
        tracks = self._tracks.assign(meshes, now_ns)
        self._restart_unbridged(now_ns)
        faces: dict[int, Face] = {}
        refused: dict[int, Refused] = {}
        all_found = sum(track is not None for track in tracks) == self.faces
        for mesh, track in zip(meshes, tracks, strict=True):
            if track is None and all_found:
                continue  # one face more than is wanted
            # without a track the face is new, and all ids are still held for faces just lost
            found = Rejection.LOST if track is None else self._face(image, mesh, track, now_ns)
            face = self.faces if track is None else track.face
            if isinstance(found, Face):
                faces[face] = found
            else:
                refused[face] = Refused(face, found, outline(mesh), width_px(mesh))
        self._refused = tuple(refused[i] for i in sorted(refused))
        self._rejected = self._refused[0].reason if refused else None if meshes else Rejection.NO_FACE
        return Alignment(tuple(faces[i] for i in sorted(faces)), self._rejected, self._refused)

    def landmarks(self, image_bgr: Pixels) -> list[Mesh]:
        """The meshes of one frame as MediaPipe gives them."""
        return self._landmarker(image_bgr)

    def reset(self, face: int | None = None) -> None:
        self._searched_ns = None
        if face is None:
            self._tracks.clear()
        else:
            self._tracks.restart(face)

    def close(self) -> None:
        """Free the landmarker; closing twice is fine."""
        self._landmarker.close()

    def _restart_unbridged(self, now_ns: int) -> None:
        """A face rejected for a frame or two keeps its reference: the session bridges that, and would see a step."""
        for track in self._tracks:
            if not self._bridge.spans(track.kept_ns, now_ns):
                track.restart()

    def _face(self, image: Pixels, mesh: Mesh, track: Track, now_ns: int) -> Face | Rejection:
        """The face, or the reason against it."""
        refused = self._gate(image, mesh, track.inside_gates)
        track.inside_gates = refused is None
        if refused is not None:
            return refused
        track.steady = track.steady or FaceStabilizer(self.side, self.options.register)
        placed = track.steady.place(image, face_to_crop(mesh, self.side), now_ns)
        return Rejection.LOST if placed is None else self._shown(track, placed, now_ns)

    def _shown(self, track: Track, placed: Placed, now_ns: int) -> Face:
        track.kept_ns, track.placed = now_ns, placed.by_landmarks
        frontal = max(0.0, 1 - (yaw_degrees(track.mesh) / self.options.yaw_degrees[1]) ** 2)
        sharp = min(1.0, 1 / math.hypot(*placed.affine[:, 0]))
        quality = frontal * sharp * min(1.0, max(0.0, placed.correlation))
        pixels = _rgb_planes(placed.pixels)
        shape = outline(track.mesh)
        return Face(
            track.face, pixels, placed.affine, quality, shape, placed.by_landmarks, width_px(track.mesh)
        )  # fmt: skip

    def _gate(self, image: Pixels, mesh: Mesh, stays: bool) -> Rejection | None:
        """Why the face may not come in or, if it `stays`, why it must leave."""
        if yaw_degrees(mesh) > self.options.yaw_degrees[stays]:
            return Rejection.TURNED_AWAY
        least_px = self.options.min_face_px * (self.options.stays if stays else 1)
        if width_px(mesh) < least_px:
            return Rejection.TOO_SMALL
        (x, y, _), (high, wide, _) = mesh.T, image.shape
        within = np.count_nonzero((x >= 0) & (x < wide) & (y >= 0) & (y < high))
        return None if within >= self.options.inside * len(mesh) else Rejection.OUT_OF_FRAME


def _rgb_planes(bgr: Pixels) -> Pixels:
    return np.ascontiguousarray(bgr[:, :, ::-1].transpose(2, 0, 1))
