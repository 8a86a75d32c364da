"""Real video as examinations use it: every frame aligned, and rules on the mesh that say where the face is quiet.

The rules were set by eye on the first 25 s of the sample webcam clip: a lid that falls well below its own running
level is a blink; parted or moving lips are speech; a stretch without either, where brows and head hold still too, is
quiet. They annotate for statistics over many seconds and are no truth frame by frame. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from ..align import AlignOptions, MediaPipeAligner, Mesh
from ..clips import SECOND_NS
from ..errors import DataError
from ..register import Pixels

DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg"
MAX_SECONDS = 600.0  # of video read at once
MAX_FRAME_BYTES = 1 << 30  # of frames kept in memory at once
SMALL_FACES = AlignOptions(width_px=(45.0, 40.0))  # gates for faces half as wide as the live ones allow
LEAST_ALIGNED = 0.5  # of a clip's frames by the live gates; below it the gates for small faces are used
USED_FROM_S = {"webcam.mp4": 25.0}  # clips whose beginning set thresholds and rules

LIDS = ((159, 145, 33, 133), (386, 374, 263, 362))  # upper, lower, outer corner, inner corner
LIPS = (13, 14)  # inner edges
CORNERS = (61, 291)  # of the mouth
BROWS = (105, 334)
BRIDGE = 168
MESH_POINTS = 478

LEVEL_S = 0.8  # before and after, over which the open level of the lids is taken
LEVEL_QUANTILE = 0.75
SHUT = 0.68  # of the open level: below it somewhere, a blink
CLOSING = 0.88  # of the open level: a blink reaches to where the lids rise above it
LEAST_BLINK_S = 0.06  # from first to last frame; what is shorter is a mesh that slipped
CLOSING_S = 0.16  # to either side of where the lids are shut, at most
PARTED = 0.07  # of the distance between the eyes: inner lips further apart are an open mouth
MOVING_S = 0.4  # over which movements are judged
LIPS_MOVE = 0.025  # of the distance between the eyes within MOVING_S, as all below
CORNERS_MOVE = 0.06
BROWS_MOVE = 0.05
LIDS_MOVE = 0.3  # of their open level
HEAD_MOVES = 0.15
BRIDGED_S = 0.3  # breaks in speech, or between two movements, that are no quiet

Flags = NDArray[np.bool_]
Rows = tuple[int, int]  # [first, stop)


class MeshAligner(MediaPipeAligner):
    """Keeps the mesh of the last frame. `given` replaces MediaPipe's answer: a frame that has not changed."""

    mesh: Mesh | None = None
    given: Mesh | None = None

    def landmarks(self, image_bgr: Pixels) -> list[Mesh]:
        found = super().landmarks(image_bgr) if self.given is None else [self.given]
        self.mesh = found[0] if found else None
        return found


@dataclass(frozen=True, eq=False)
class Footage:
    """One video: `times_ns` (F,) of all frames since the file's first; what follows is of the N aligned ones.

    `aligned` (N,) are their indices; crops (N, 3, S, S) uint8 RGB; affines (N, 2, 3) frame px -> crop px; landmarks
    (N, 478, 2) frame px. `meshes` are MediaPipe's answers to all F frames, `frames` the images (H, W, 3) BGR, or none
    where they were not kept. `options` are the gates it was aligned with.
    """

    name: str
    frames: list[Pixels] = field(repr=False)
    times_ns: NDArray[np.int64]
    aligned: NDArray[np.int64]
    crops: NDArray[np.uint8]
    affines: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    meshes: list[Mesh | None] = field(repr=False)
    options: AlignOptions

    @property
    def at_ns(self) -> NDArray[np.int64]:
        """(N,) times of the aligned frames."""
        return self.times_ns[self.aligned]

    @property
    def minutes(self) -> float:
        """Of the stretches, first to last frame."""
        at = self.at_ns
        return sum(int(at[stop - 1] - at[first]) for first, stop in self.stretches()) / SECOND_NS / 60

    def stretches(self) -> list[Rows]:
        """Rows [first, stop) between breaks of the alignment that the stream makes a Gap of; two frames at least."""
        cuts = np.flatnonzero(np.diff(self.at_ns) > AlignOptions().bridge_ns) + 1
        edges = [0, *cuts.tolist(), len(self.aligned)]
        return [(a, b) for a, b in pairwise(edges) if b - a > 1]


@dataclass(frozen=True, eq=False)
class Annotation:
    """What the face does in each aligned frame, all (N,) bool; blinks and speech may overlap, quiet is neither."""

    blink: Flags
    mouth: Flags
    quiet: Flags


def read_footage(
    path: Path,
    start_s: float = 0.0,
    stop_s: float | None = None,
    aligner: MeshAligner | None = None,
    keep_frames: bool = True,
    known: Sequence[Mesh | None] = (),
) -> Footage:
    """Decode and align [start_s, stop_s) of a video, in seconds from its first frame.

    aligner: closed by the caller; None makes one with the live gates. Raises DataError for a file that cannot be read,
    holds no frame there, or is longer than MAX_SECONDS or, where frames are kept, larger than MAX_FRAME_BYTES.
    """
    shots = _decoded(path, start_s, stop_s)
    if aligner is not None:
        return align_shots(path.name, shots, aligner, keep_frames, known)
    with MeshAligner() as own:
        return align_shots(path.name, shots, own, keep_frames, known)


def read_clip(path: Path, keep_frames: bool = True) -> Footage:
    """A clip as the examinations use it: from USED_FROM_S on, with gates for small faces where the live ones shut."""
    start_s = USED_FROM_S.get(path.name, 0.0)
    footage = read_footage(path, start_s, keep_frames=keep_frames)
    if len(footage.aligned) >= LEAST_ALIGNED * len(footage.times_ns):
        return footage
    with MeshAligner(options=SMALL_FACES) as aligner:
        return read_footage(path, start_s, None, aligner, keep_frames, footage.meshes)


def align_shots(
    name: str,
    shots: Iterable[tuple[int, Pixels]],
    aligner: MeshAligner,
    keep_frames: bool = True,
    known: Sequence[Mesh | None] = (),
) -> Footage:
    """Align (time in ns, image) one by one; `known` meshes by frame spare MediaPipe the frames it has seen.

    Raises DataError where there is no frame, and where kept frames are larger than MAX_FRAME_BYTES.
    """
    frames: list[Pixels] = []
    times, meshes, rows = [], [], []
    for i, (at_ns, image) in enumerate(shots):
        if keep_frames and len(frames) * image.nbytes > MAX_FRAME_BYTES:
            raise DataError(f"{name}: more than {MAX_FRAME_BYTES >> 20} MiB of frames; examine a shorter part")
        aligner.given = known[i] if i < len(known) else None
        rows += [(i, face.pixels, face.affine) for face in aligner(image, at_ns).faces[:1]]
        times.append(at_ns)
        meshes.append(aligner.mesh)
        frames += [image] if keep_frames else []
    if not times:
        raise DataError(f"{name}: no frame there; give a longer video")
    side, count = aligner.side, len(rows)
    aligned = np.array([row[0] for row in rows], np.int64)
    return Footage(
        name, frames, np.array(times, np.int64), aligned,
        np.array([row[1] for row in rows], np.uint8).reshape(count, 3, side, side),
        np.array([row[2] for row in rows]).reshape(count, 2, 3),
        np.array([cast(Mesh, meshes[i])[:, :2] for i in aligned]).reshape(count, MESH_POINTS, 2),
        meshes, aligner.options,
    )  # fmt: skip


def _decoded(path: Path, start_s: float, stop_s: float | None) -> Iterator[tuple[int, Pixels]]:
    """Time since the first frame (ns) and image (H, W, 3) BGR; frames without a later time than the last are left."""
    first = last = None
    try:
        whitelists = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
        with av.open(f"file:{path.absolute()}", options=whitelists) as container:
            for frame in container.decode(video=0):
                stamp = None if frame.pts is None or frame.time_base is None else _ns(frame.pts, frame.time_base)
                if stamp is None or (last is not None and stamp <= last):
                    continue
                first, last = stamp if first is None else first, stamp
                seconds = (stamp - first) / SECOND_NS
                if stop_s is not None and seconds >= stop_s:
                    return
                if seconds - start_s > MAX_SECONDS:
                    raise DataError(f"{path}: more than {MAX_SECONDS:.0f} s of video; examine a shorter part")
                if seconds >= start_s:
                    yield stamp - first, _upright(frame)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise DataError(f"{path}: not a video that can be read ({error}); give another file") from error


def _ns(pts: int, base: Any) -> int:
    return int(pts * base.numerator * SECOND_NS // base.denominator)


def _upright(frame: av.VideoFrame) -> Pixels:
    image = cast(Pixels, frame.to_ndarray(format="bgr24"))
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def annotate(footage: Footage) -> Annotation:
    """Blinks, mouth movements and quiet by the rules of this module, stretch by stretch."""
    blink, mouth, still = (np.zeros(len(footage.aligned), bool) for _ in range(3))
    for first, stop in footage.stretches():
        rows, at = slice(first, stop), footage.at_ns[first:stop] / SECOND_NS
        mesh, affines = footage.landmarks[rows], footage.affines[rows]
        eyes = float(np.median(np.hypot(*(mesh[:, LIDS[0][2]] - mesh[:, LIDS[1][2]]).T)))
        blink[rows] = _blinks(mesh, at)
        mouth[rows] = _joined(_mouth(mesh, at), at)
        still[rows] = ~_joined(blink[rows] | mouth[rows] | _moves(mesh, affines, at, eyes), at)
    return Annotation(blink, mouth, still)


def runs(flags: Flags, rows: Rows) -> list[Rows]:
    """Maximal [first, stop) within `rows` where the flags are set."""
    edges = np.flatnonzero(np.diff(np.pad(flags[slice(*rows)], 1).astype(np.int8))) + rows[0]
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _gap(mesh: NDArray[np.float64], pair: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray(np.hypot(*(mesh[:, pair[0]] - mesh[:, pair[1]]).T))


def openness(mesh: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) mean opening of both eyes (lid distance over eye width), as a share of their level before and after.

    The lower of the two levels counts: lids that come back from wide open have not blinked.
    """
    ratio = np.mean([_gap(mesh, lids[:2]) / _gap(mesh, lids[2:]) for lids in LIDS], axis=0)
    sides = (ratio[(lag >= 0) & (lag <= LEVEL_S)] for t in at for lag in (t - at, at - t))
    level = np.reshape([np.quantile(side, LEVEL_QUANTILE) for side in sides], (-1, 2)).min(1)
    return np.asarray(ratio / np.maximum(level, 1e-6))


def _blinks(mesh: NDArray[np.float64], at: NDArray[np.float64]) -> Flags:
    """Frames around shut lids, out to where the lids are open again."""
    share = openness(mesh, at)
    shut, closing = share < SHUT, share < CLOSING
    found = np.zeros(len(at), bool)
    for first, stop in runs(closing, (0, len(at))):
        core = at[first:stop][shut[first:stop]]
        if len(core):
            near = (at[first:stop] >= core[0] - CLOSING_S) & (at[first:stop] <= core[-1] + CLOSING_S)
            found[first:stop] = near & (np.ptp(at[first:stop][near]) >= LEAST_BLINK_S)
    return found


def _mouth(mesh: NDArray[np.float64], at: NDArray[np.float64]) -> Flags:
    eyes = _gap(mesh, (LIDS[0][2], LIDS[1][2]))
    lips, corners = _gap(mesh, LIPS) / eyes, _gap(mesh, CORNERS) / eyes
    return (lips > PARTED) | (_range(lips, at) > LIPS_MOVE) | (_range(corners, at) > CORNERS_MOVE)


def _moves(mesh: NDArray[np.float64], affines: NDArray[np.float64], at: NDArray[np.float64], eyes: float) -> Flags:
    """Where the lids or brows rise or fall, or the head moves or turns."""
    moves = _range(openness(mesh, at), at) > LIDS_MOVE
    for brow, lids in zip(BROWS, LIDS, strict=True):
        height = np.hypot(*(mesh[:, brow] - mesh[:, lids[2:]].mean(1)).T) / eyes
        moves |= _range(height, at) > BROWS_MOVE
    for place in (*mesh[:, BRIDGE].T / eyes, np.arctan2(affines[:, 1, 0], affines[:, 0, 0])):
        moves |= _range(place, at) > HEAD_MOVES
    return moves


def _range(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) largest less smallest within MOVING_S around each frame."""
    near = [values[np.abs(at - t) <= MOVING_S / 2] for t in at]
    return np.array([v.max() - v.min() for v in near])


def _joined(flags: Flags, at: NDArray[np.float64]) -> Flags:
    """The same with breaks shorter than BRIDGED_S filled."""
    joined = flags.copy()
    for first, stop in runs(~flags, (0, len(flags))):
        if first > 0 and stop < len(flags) and at[stop - 1] - at[first] < BRIDGED_S:
            joined[first:stop] = True
    return joined
