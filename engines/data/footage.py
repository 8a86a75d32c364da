"""Real video with every frame aligned, for backgrounds and examinations. Not from the papers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from ..alignment.aligner import Alignment, AlignOptions, MediaPipeAligner
from ..alignment.bridge import breaks
from ..alignment.landmarker import Mesh
from ..alignment.registration import Pixels
from ..clips import SECOND_NS
from ..errors import DataError
from .decoding import VideoTrack, open_video

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".mpg", ".webm")  # what a folder is searched for
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")  # of folders of frames
MAX_PIXELS = 8192 * 4320  # of a frame: one 8K frame
MAX_SECONDS = 600.0  # of video read at once
MAX_FRAME_BYTES = 1 << 30  # of frames kept in memory at once
MESH_POINTS = 478

FrameRange = tuple[int, int]  # [first, stop)
_Row = tuple[int, Any, Any]  # an aligned frame: its index, crop (3, S, S) and affine (2, 3)


class GivenMeshes(MediaPipeAligner):
    """The live aligner for meshes that are told for the present frame alone: it asks at once."""

    def answer(self, image_bgr: Pixels) -> Future[list[Mesh]]:
        """The meshes of the present frame."""
        known: Future[list[Mesh]] = Future()
        known.set_result(self.landmarks(image_bgr))
        return known


class MeshAligner(GivenMeshes):
    """The crops of the live aligner, and beside them the mesh of every frame.

    `given` is the mesh of a frame that was seen before, and spares MediaPipe that frame.
    """

    mesh: Mesh | None = None
    given: Mesh | None = None

    def __call__(self, image_bgr: Pixels, captured_ns: int) -> Alignment:
        """Align one frame (H, W, 3), and put its mesh in `mesh`."""
        found = super().landmarks(image_bgr) if self.given is None else [self.given]
        self.mesh = found[0] if found else None
        return super().__call__(image_bgr, captured_ns)

    def landmarks(self, image_bgr: Pixels) -> list[Mesh]:
        """The mesh of the present frame."""
        return [] if self.mesh is None else [self.mesh]


@dataclass(frozen=True, eq=False)
class Footage:
    """One video of F frames, of which N could be aligned.

    `times_ns` (F,) since the file's first frame, `meshes` MediaPipe's answers to all F frames,
    `frames` the images (H, W, 3) BGR, or none where they were not kept. `aligned` (N,) are the
    indices of the aligned frames, and of them: crops (N, 3, S, S) uint8 RGB; affines (N, 2, 3)
    frame px -> crop px; landmarks (N, 478, 2) frame px. `options` are the gates it was aligned
    with.
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
        """Minutes of the segments, first to last frame."""
        at = self.at_ns
        length_ns = sum(int(at[stop - 1] - at[first]) for first, stop in self.segments())
        return length_ns / SECOND_NS / 60

    def segments(self) -> list[FrameRange]:
        """Rows [first, stop) between the Gaps that the stream would have; two frames at least."""
        edges = [0, *breaks(self.at_ns.tolist()), len(self.aligned)]
        return [(a, b) for a, b in pairwise(edges) if b - a > 1]


def read_footage(
    path: Path,
    start_s: float = 0.0,
    stop_s: float | None = None,
    aligner: MeshAligner | None = None,
    keep_frames: bool = True,
    known: Sequence[Mesh | None] = (),
) -> Footage:
    """Decode and align [start_s, stop_s) of a video, in seconds from its first frame.

    aligner: closed by the caller; None makes one with the live gates. known: see `align_shots`.
    Raises DataError for a file that cannot be read, holds no frame there, or is longer than
    MAX_SECONDS or, where frames are kept, larger than MAX_FRAME_BYTES.
    """
    shots = _decoded(path, start_s, stop_s)
    if aligner is not None:
        return align_shots(path.name, shots, aligner, keep_frames, known)
    with MeshAligner() as own:
        return align_shots(path.name, shots, own, keep_frames, known)


def align_shots(
    name: str,
    shots: Iterable[tuple[int, Pixels]],
    aligner: MeshAligner,
    keep_frames: bool = True,
    known: Sequence[Mesh | None] = (),
) -> Footage:
    """Align images one by one; shots: (time in ns, image).

    known: meshes by frame, which spare MediaPipe frames that it has seen. Raises DataError where
    there is no frame, and where kept frames are larger than MAX_FRAME_BYTES.
    """
    frames: list[Pixels] = []
    times: list[int] = []
    meshes: list[Mesh | None] = []
    rows: list[_Row] = []
    for i, (at_ns, image) in enumerate(shots):
        if keep_frames and len(frames) * image.nbytes > MAX_FRAME_BYTES:
            raise DataError(
                f"{name}: more than {MAX_FRAME_BYTES >> 20} MiB of frames; examine a shorter part"
            )
        aligner.given = known[i] if i < len(known) else None
        found = aligner(image, at_ns).faces[:1]
        rows += [(i, face.pixels, face.affine) for face in found if aligner.mesh is not None]
        times.append(at_ns)
        meshes.append(aligner.mesh)
        if keep_frames:
            frames.append(image)
    if not times:
        raise DataError(f"{name}: no frame there; give a longer video")
    return _footage(name, frames, times, meshes, rows, aligner)


def _footage(
    name: str,
    frames: list[Pixels],
    times: list[int],
    meshes: list[Mesh | None],
    rows: list[_Row],
    aligner: MeshAligner,
) -> Footage:
    """What was read of a video, as arrays; without an aligned frame theirs are of length 0."""
    side = aligner.side
    count = len(rows)
    aligned = np.array([row[0] for row in rows], np.int64)
    landmarks = np.array([cast(Mesh, meshes[i])[:, :2] for i in aligned])
    return Footage(
        name,
        frames=frames,
        times_ns=np.array(times, np.int64),
        aligned=aligned,
        crops=np.array([row[1] for row in rows], np.uint8).reshape(count, 3, side, side),
        affines=np.array([row[2] for row in rows]).reshape(count, 2, 3),
        landmarks=landmarks.reshape(count, MESH_POINTS, 2),
        meshes=meshes,
        options=aligner.options,
    )


def _decoded(path: Path, start_s: float, stop_s: float | None) -> Iterator[tuple[int, Pixels]]:
    """Time since the first frame (ns) and image (H, W, 3) BGR of frames in [start_s, stop_s)."""
    try:
        with open_video(path) as container:
            track = _track(container)
            for at_ns, frame in _in_order(_intact(track)):
                seconds = at_ns / SECOND_NS
                if stop_s is not None and seconds >= stop_s:
                    return
                if seconds - start_s > MAX_SECONDS:
                    raise DataError(
                        f"{path}: more than {MAX_SECONDS:.0f} s of video; examine a shorter part"
                    )
                if seconds >= start_s:
                    yield at_ns, track.picture(frame)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise DataError(
            f"{path}: not a video that can be read ({error}); give another file"
        ) from error


def _in_order(frames: Iterable[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames with their time since the first one in ns, without those that are out of order."""
    first: int | None = None
    last = 0
    for frame in frames:
        if frame.pts is None or frame.time_base is None:
            continue
        stamp = _ns(frame.pts, frame.time_base)
        if first is None:
            first = stamp
        elif stamp <= last:
            continue
        last = stamp
        yield stamp - first, frame


def _track(container: av.container.InputContainer) -> VideoTrack:
    track = VideoTrack.of(container)
    if track is None or track.stream.codec_context is None:
        raise DataError(
            f"{Path(container.name).name}: no video in it that can be read; give another file"
        )
    track.configure(MAX_PIXELS)
    return track


def _intact(track: VideoTrack) -> Iterator[av.VideoFrame]:
    """The pictures that can be decoded."""
    for packet in track.packets():
        try:
            yield from track.decode(packet)
        except av.error.InvalidDataError:
            continue


def _ns(pts: int, base: Any) -> int:
    return int(pts * base.numerator * SECOND_NS // base.denominator)
