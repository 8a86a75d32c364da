"""Frames in, steady face crops out: MediaPipe finds a face, `stabilizer` holds it still.

The landmarker costs ten times the rest, so it runs every `AlignOptions.search_ns` while a face is
looked for and every `landmarks_ns` while all are followed. In between registration follows the face
from frame to frame, and the landmarker runs within the same frame where it is not sure. With
landmarks every 0.3 s the crops of four real clips moved by 0.01, 0.01, 0.05 and 0.20 px RMS over
0.5 Hz (in the last the head nods and turns) against landmarks at every frame; the known sway of
`evaluation.crop_jitter` left the same 0.095 px, and the landmarker ran at 0.15 of the frames.

MediaPipe runs in IMAGE mode for one face and for several: no answer depends on earlier frames, so
the same frames give the same crops wherever a segment begins. (VIDEO mode with one face low-passes
the landmarks and would swallow micro-expressions; with more it searches every frame for the faces
that are missing: 6.2 ms against 5.7 for one face.)
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
from .affine import Affine, Matrix
from .bridge import Bridge, BridgeOptions
from .face_template import face_to_crop
from .face_tracks import FaceTrack, FaceTracks
from .landmarker import Landmarker, Mesh, outline, transformed, width_px, yaw_degrees
from .registration import Pixels, RegisterOptions
from .stabilizer import FaceStabilizer, Placement

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
    """Gates and memory of the aligner; a face is let in at a stricter value than it is let go.

    The least width was once 90 px, at which whole clips had no crop. By `exam widths` on footage
    that may be tuned on (17 MEs, 2.6 minutes at each width) 6, 6, 6, 7, 5, 6 and 5 were found at
    40, 50, 60, 70, 80, 90 and 100 px, with 2, 1, 11, 4, 3, 4 and 0 false alarms: nothing is lost
    down to 40 px. Not from the papers.
    """

    yaw_degrees: tuple[float, float] = (30.0, 35.0)  # enter below, leave above
    min_face_px: float = 45.0  # width of the mesh: enter from
    leave_share: float = 0.9  # of that width: leave below
    inside: float = 0.8  # least share of the landmarks within the frame
    # How often the landmarker runs
    search_ns: int = 300_000_000  # while fewer faces than asked for are there
    landmarks_ns: int = 500_000_000  # while all are followed; 0: at every frame
    # What a face that is missing keeps
    bridge: BridgeOptions = field(default_factory=BridgeOptions)  # its reference, so long
    forget_ns: int = 500_000_000  # its number, so long
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
    """One aligned face.

    `pixels` (3, S, S) RGB, `affine` (2, 3) frame px -> crop px, `quality` 0..1. `outline` (N, 2)
    frame px is the face oval, a closed polygon (the first point is not repeated). `placed` (2, 3)
    is where landmarks alone would have put the crop. `width_px` is the width of the face; 0 where
    it is not known. `mesh` is as the landmarker gave it in this frame where `landmarked`, else it
    was moved along; None without a landmarker.
    """

    face: int
    pixels: Pixels
    affine: Matrix
    quality: float
    outline: NDArray[np.float32]
    placed: Matrix = field(default_factory=lambda: np.eye(2, 3))
    width_px: float = 0.0
    mesh: Mesh | None = None
    landmarked: bool = False


@dataclass(frozen=True, eq=False)
class Refused:
    """A face that was found and not used, and why; `outline` and `width_px` as of a Face."""

    face: int
    reason: Rejection
    outline: NDArray[np.float32]
    width_px: float


@dataclass(frozen=True)
class Alignment:
    """The faces of one frame, by number; `rejected` says why the first missing face is missing.

    `refused` are the faces that the landmarker found when it last ran and that were not used.
    """

    faces: tuple[Face, ...]
    rejected: str | None
    refused: tuple[Refused, ...] = ()


class Aligner(Protocol):
    """Stateful per source: one object per camera, frames in the order of capture.

    A context manager.
    """

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Align one frame (H, W, 3) taken at `captured_ns`."""
        ...

    def reset(self, face: int | None = None) -> None:
        """Start a new segment for `face` (None: for all, and forget their numbers)."""

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

    `affine` (2, 3) maps frame px to crop px; None stretches the whole frame over the crop.
    """

    def __init__(self, affine: NDArray[Any] | None = None, side: int = 112) -> None:
        self.side = side
        self._affine = None if affine is None else np.array(affine, np.float64).reshape(2, 3)

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """The whole frame, or its given part, as the face of every frame."""
        affine = self._whole(image_bgr) if self._affine is None else self._affine
        size = (self.side, self.side)
        crop = cv2.warpAffine(
            image_bgr, affine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        end = self.side - 0.5
        square = np.array([[-0.5, -0.5, 1], [end, -0.5, 1], [end, end, 1], [-0.5, end, 1]])
        outline = (square @ Affine(affine).inverse().matrix.T).astype(np.float32)
        return Alignment((Face(0, _rgb_planes(crop), affine, 1.0, outline, affine),), None)

    def _whole(self, image: Pixels) -> Matrix:
        sx = self.side / image.shape[1]
        sy = self.side / image.shape[0]
        return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2]])


class MediaPipeAligner(Aligner):
    """Up to `faces` faces per frame, numbered from 0, each held still against its own reference.

    A face that goes, or is another one after a cut, is noticed on that frame, since it no longer
    looks like its reference. A face that comes is seen at most `search_ns` and a frame later: at
    once where a face was just lost.

    Raises EngineError where MediaPipe or its model cannot be loaded.
    """

    def __init__(
        self, side: int = 112, faces: int = 1, options: AlignOptions | None = None
    ) -> None:
        if side < 16 or faces < 1:
            raise UsageError(
                f"side {side}, faces {faces}: expected a side of at least 16 and at least one face"
            )
        self.side = side
        self.faces = faces
        self.options = options or AlignOptions()
        self._tracks = FaceTracks(faces, self.options.forget_ns, self.options.same_face_iou)
        self._bridge = Bridge(self.options.bridge)
        self._searched_ns: int | None = None
        self._last_ns = 0
        self._rejected: str | None = None
        self._refused: tuple[Refused, ...] = ()
        # one more than wanted: of two faces alike it would show now one, now the other
        self._landmarker = Landmarker(faces + 1)

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Follow the faces of the last frame, or search for faces where that is due."""
        self._bridge.see(captured_ns)
        followed = None if self._due(captured_ns) else self._follow(image_bgr, captured_ns)
        self._last_ns = captured_ns
        if followed is None:
            return self._search(image_bgr, captured_ns)
        return Alignment(followed, self._rejected, self._refused)

    def _due(self, now_ns: int) -> bool:
        """Whether the landmarker must run.

        It runs when its interval is over, until a face just lost is found or given up, and after a
        hole that no bridge spans, since the reference starts anew there.
        """
        followed = [track for track in self._tracks if track.stabilizer is not None]
        interval_ns = self.options.landmarks_ns
        if len(followed) < self.faces:
            interval_ns = min(self.options.search_ns, interval_ns)
        if self._searched_ns is None or now_ns - self._searched_ns >= interval_ns:
            return True
        return any(
            track.kept_ns != self._last_ns or not self._bridge.spans(track.kept_ns, now_ns)
            for track in followed
        )

    def _follow(self, image: Pixels, now_ns: int) -> tuple[Face, ...] | None:
        """The faces of the last frame, by registration alone; None where it loses one of them."""
        faces = []
        for track in self._tracks:
            if track.stabilizer is None:
                continue
            placement = track.stabilizer.follow(image, now_ns)
            if placement is None:
                return None
            movement = placement.by_landmarks.inverse() @ track.by_landmarks
            mesh = transformed(track.mesh, movement)
            if self._gate(image, mesh, inside=True) is not None:
                return None
            track.see(mesh, now_ns)
            faces.append(self._aligned(track, placement, now_ns))
        return tuple(sorted(faces, key=lambda face: face.face))

    def _search(self, image: Pixels, now_ns: int) -> Alignment:
        """The faces that the landmarker finds."""
        self._searched_ns = now_ns
        meshes = self.landmarks(image)
        tracks = self._tracks.assign(meshes, now_ns)
        self._restart_unbridged(now_ns)
        faces: dict[int, Face] = {}
        refused: dict[int, Refused] = {}
        all_found = len([track for track in tracks if track is not None]) == self.faces
        for mesh, track in zip(meshes, tracks, strict=True):
            if track is None and all_found:
                continue  # one face more than is wanted
            if track is None:  # a new face, while all numbers are kept for faces just lost
                face = self.faces
                found: Face | Rejection = Rejection.LOST
            else:
                face = track.face
                found = self._face(image, mesh, track, now_ns)
            if isinstance(found, Face):
                faces[face] = found
            else:
                refused[face] = Refused(face, found, outline(mesh), width_px(mesh))
        self._refused = tuple(refused[i] for i in sorted(refused))
        if refused:
            self._rejected = self._refused[0].reason
        else:
            self._rejected = None if meshes else Rejection.NO_FACE
        return Alignment(tuple(faces[i] for i in sorted(faces)), self._rejected, self._refused)

    def landmarks(self, image_bgr: Pixels) -> list[Mesh]:
        """The meshes of one frame as MediaPipe gives them."""
        return self._landmarker(image_bgr)

    def reset(self, face: int | None = None) -> None:
        """Start a new segment for `face`; for all, and forget their numbers, where it is None."""
        self._searched_ns = None
        if face is None:
            self._tracks.clear()
        else:
            self._tracks.restart(face)

    def close(self) -> None:
        """Free the landmarker; closing twice is fine."""
        self._landmarker.close()

    def _restart_unbridged(self, now_ns: int) -> None:
        """Restart faces that were missing for longer than the stream bridges.

        A face that was missing for a frame or two keeps its reference: the stream goes on, and
        would see a step.
        """
        for track in self._tracks:
            if not self._bridge.spans(track.kept_ns, now_ns):
                track.restart()

    def _face(self, image: Pixels, mesh: Mesh, track: FaceTrack, now_ns: int) -> Face | Rejection:
        """The face, or the reason against it."""
        refused = self._gate(image, mesh, track.inside_gates)
        track.inside_gates = refused is None
        if refused is not None:
            return refused
        if track.stabilizer is None:
            track.stabilizer = FaceStabilizer(self.side, self.options.register)
        placement = track.stabilizer.place(image, face_to_crop(mesh, self.side), now_ns)
        return Rejection.LOST if placement is None else self._aligned(track, placement, now_ns)

    def _aligned(self, track: FaceTrack, placement: Placement, now_ns: int) -> Face:
        track.kept_ns = now_ns
        track.by_landmarks = placement.by_landmarks
        affine = placement.affine.matrix
        frontal = max(0.0, 1 - (yaw_degrees(track.mesh) / self.options.yaw_degrees[1]) ** 2)
        sharp = min(1.0, 1 / math.hypot(*affine[:, 0]))
        return Face(
            track.face,
            pixels=_rgb_planes(placement.pixels),
            affine=affine,
            quality=frontal * sharp * min(1.0, max(0.0, placement.correlation)),
            outline=outline(track.mesh),
            placed=placement.by_landmarks.matrix,
            width_px=width_px(track.mesh),
            mesh=track.mesh,
            landmarked=self._searched_ns == now_ns,
        )

    def _gate(self, image: Pixels, mesh: Mesh, inside: bool) -> Rejection | None:
        """Why the face may not come in or, if it is `inside` the gates, why it must leave."""
        enter_yaw, leave_yaw = self.options.yaw_degrees
        if yaw_degrees(mesh) > (leave_yaw if inside else enter_yaw):
            return Rejection.TURNED_AWAY
        enter_px = self.options.min_face_px
        if width_px(mesh) < (enter_px * self.options.leave_share if inside else enter_px):
            return Rejection.TOO_SMALL
        x, y, _ = mesh.T
        high, wide, _ = image.shape
        within = np.count_nonzero((x >= 0) & (x < wide) & (y >= 0) & (y < high))
        return None if within >= self.options.inside * len(mesh) else Rejection.OUT_OF_FRAME


def _rgb_planes(bgr: Pixels) -> Pixels:
    return np.ascontiguousarray(bgr[:, :, ::-1].transpose(2, 0, 1))
