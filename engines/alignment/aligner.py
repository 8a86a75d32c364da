"""Frames in, steady face crops out: MediaPipe finds a face, `stabilizer` holds it still.

The landmarker costs ten times the rest, so it runs every `AlignOptions.search_ns` while a face is
looked for, every `landmarks_ns` while all are followed and one has moved or changed, and every
`still_ns` while they rest. It looks at a frame while the next ones are followed (see
`landmark_request`). In between registration follows the face from frame to frame, and the
landmarker runs within the same frame where it is not sure. With landmarks every 0.3 s the crops of
four real clips moved by 0.01, 0.01, 0.05 and 0.20 px RMS over 0.5 Hz (in the last the head nods and
turns) against landmarks at every frame. Asked by need, at most every 0.5 s, the crops of four
people who sit still moved by 0.005 px as they did with every 0.5 s, and those of a head that nods
and turns by 0.08 instead of 0.10 px; the landmarker ran at 0.02 to 0.05 of the frames of the still
instead of 0.08, and at 0.07 instead of 0.105 of the other's. The known sway of
`evaluation.crop_jitter` leaves the same 0.095 px.

MediaPipe runs in IMAGE mode for one face and for several: no answer depends on earlier frames, so
the same frames give the same crops wherever a segment begins. (VIDEO mode with one face low-passes
the landmarks and would swallow micro-expressions; with more it searches every frame for the faces
that are missing: 6.2 ms against 5.7 for one face.)
"""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from ..errors import UsageError
from .aligned import Aligner, Alignment, Face, FixedAligner, Refused, Rejection, rgb_planes
from .bridge import Bridge, BridgeOptions
from .face_template import face_to_crop
from .face_tracks import FaceTrack, FaceTracks
from .landmark_request import Request
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
    landmarks_ns: int = 500_000_000  # at most, while all are followed; 0: at every frame
    still_ns: int = 2_000_000_000  # at least, while none of them has moved or changed
    answer_frames: int = 3  # after how many frames an answer takes effect
    # What a face that is missing keeps
    bridge: BridgeOptions = field(default_factory=BridgeOptions)  # its reference, so long
    forget_ns: int = 500_000_000  # its number, so long
    same_face_iou: float = 0.3
    register: RegisterOptions = field(default_factory=RegisterOptions)


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
        self._searched_ns: int | None = None  # the last frame that the landmarker looked at
        self._request: Request | None = None
        self._last_ns = 0
        self._rejected: str | None = None
        self._refused: tuple[Refused, ...] = ()
        # one more than wanted: of two faces alike it would show now one, now the other
        self._landmarker = Landmarker(faces + 1)

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Follow the faces of the last frame, or search for faces where that is due."""
        self._bridge.see(captured_ns)
        followed = None if self._must_search(captured_ns) else self._follow(image_bgr, captured_ns)
        self._last_ns = captured_ns
        if followed is None:
            return self._search(image_bgr, captured_ns)
        if self._request is None and self._due(captured_ns):
            self._ask(image_bgr, captured_ns)
        return Alignment(followed, self._rejected, self._refused)

    def _must_search(self, now_ns: int) -> bool:
        """Whether the landmarker must run before anything else can be done.

        It runs at every frame where that is asked for, now and then while no face is followed,
        until a face just lost is found or given up, and after a hole that no bridge spans, since
        the reference starts anew there.
        """
        followed = self._followed()
        if self.options.landmarks_ns == 0:
            return True
        if not followed and self._due(now_ns):
            return True
        return any(
            track.kept_ns != self._last_ns or not self._bridge.spans(track.kept_ns, now_ns)
            for track in followed
        )

    def _followed(self) -> list[FaceTrack]:
        return [track for track in self._tracks if track.stabilizer is not None]

    def _due(self, now_ns: int) -> bool:
        """Whether landmarks should be asked for: the less, the less the faces move and change."""
        if self._searched_ns is None:
            return True
        waited_ns = now_ns - self._searched_ns
        options = self.options
        if len(self._followed()) < self.faces:
            return waited_ns >= min(options.search_ns, options.landmarks_ns)
        if waited_ns < options.landmarks_ns:
            return False
        return waited_ns >= options.still_ns or any(
            track.stabilizer is not None and track.stabilizer.changed for track in self._tracks
        )

    def _ask(self, image: Pixels, now_ns: int) -> None:
        """Let the landmarker look at a frame while the next ones are followed."""
        self._searched_ns = now_ns
        placed = {track.face: track.by_landmarks for track in self._followed()}
        self._request = Request(self.answer(image), now_ns, placed, self.options.answer_frames)

    def _follow(self, image: Pixels, now_ns: int) -> tuple[Face, ...] | None:
        """The faces of the last frame, by registration; None where landmarks are needed at once."""
        placements: dict[int, Placement] = {}
        for track in self._followed():
            assert track.stabilizer is not None
            placement = track.stabilizer.follow(image, now_ns)
            if placement is None:
                return None
            movement = placement.by_landmarks.inverse() @ track.by_landmarks
            track.see(transformed(track.mesh, movement), now_ns)
            placements[track.face] = placement
        landmarks_ns = None
        request = self._request
        if request is not None and request.due():
            self._request = None
            landmarks_ns = request.asked_ns
            if not self._answered(image, request, placements, now_ns):
                return None
        faces = []
        for track in self._followed():
            if self._gate(image, track.mesh, inside=True) is not None:
                return None
            faces.append(self._aligned(track, placements[track.face], now_ns, landmarks_ns))
        return tuple(sorted(faces, key=lambda face: face.face))

    def _answered(
        self, image: Pixels, request: Request, placements: dict[int, Placement], now_ns: int
    ) -> bool:
        """Let landmarks of an earlier frame, moved along since, lead the faces that are followed.

        Changes `placements`. False where a search has to say what is there now: a face that is
        followed was not found or is elsewhere, or a face that is wanted was found.
        """
        meshes = request.answer.result()
        tracks = self._tracks.overlapped(meshes)
        found = {track.face: mesh for mesh, track in zip(meshes, tracks, strict=True) if track}
        if not placements.keys() <= found.keys():
            return False
        for face, placement in placements.items():
            movement = placement.by_landmarks.inverse() @ request.placed[face]
            mesh = transformed(found[face], movement)
            track = self._tracks[face]
            assert track.stabilizer is not None
            led = track.stabilizer.lead(face_to_crop(mesh, self.side))
            if led is None:
                return False
            track.see(mesh, now_ns)
            placements[face] = led
        return self._only_refused(image, meshes, tracks, placements)

    def _only_refused(
        self,
        image: Pixels,
        meshes: list[Mesh],
        tracks: list[FaceTrack | None],
        placements: dict[int, Placement],
    ) -> bool:
        """Whether all faces that are found and not followed are refused, or not wanted."""
        refused = []
        if len(placements) < self.faces:
            for mesh, track in zip(meshes, tracks, strict=True):
                if track is not None and track.face in placements:
                    continue
                reason = self._gate(image, mesh, inside=False)
                if reason is None:
                    return False
                face = self.faces if track is None else track.face
                refused.append(Refused(face, reason, outline(mesh), width_px(mesh)))
        self._refused = tuple(sorted(refused, key=lambda one: one.face))
        self._rejected = self._refused[0].reason if refused else None
        return True

    def _search(self, image: Pixels, now_ns: int) -> Alignment:
        """The faces that the landmarker finds."""
        self._searched_ns = now_ns
        self._request = None
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

    def answer(self, image_bgr: Pixels) -> Future[list[Mesh]]:
        """The meshes of one frame, found while others are followed."""
        return self._landmarker.run(self.landmarks, image_bgr)

    def reset(self, face: int | None = None) -> None:
        """Start a new segment for `face`; for all, and forget their numbers, where it is None."""
        self._searched_ns = None
        self._request = None
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
        return (
            Rejection.LOST if placement is None else self._aligned(track, placement, now_ns, now_ns)
        )

    def _aligned(
        self, track: FaceTrack, placement: Placement, now_ns: int, landmarks_ns: int | None
    ) -> Face:
        track.kept_ns = now_ns
        track.by_landmarks = placement.by_landmarks
        affine = placement.affine.matrix
        frontal = max(0.0, 1 - (yaw_degrees(track.mesh) / self.options.yaw_degrees[1]) ** 2)
        sharp = min(1.0, 1 / math.hypot(*affine[:, 0]))
        return Face(
            track.face,
            pixels=rgb_planes(placement.pixels),
            affine=affine,
            quality=frontal * sharp * min(1.0, max(0.0, placement.correlation)),
            outline=outline(track.mesh),
            placed=placement.by_landmarks.matrix,
            width_px=width_px(track.mesh),
            mesh=track.mesh,
            landmarks_ns=landmarks_ns,
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
