"""The same faces and movements at several frame rates, face sizes, bitrates and the like.

Rates and bridges are rendered at crop resolution. The other axes are whole videos: a portrait moves
in a frame of a webcam's size, through a real codec, decoder and aligner; where the aligner loses
the face, its micro-expressions are missed. The period of the landmarker shows what it costs to
follow the face in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...alignment.aligner import AlignOptions
from ...alignment.bridge import BridgeOptions
from ...alignment.landmarker import width_px
from ...clips import SECOND_NS
from ...data.faces import FaceAsset, find_faces, load_face
from ...data.generator.timeline import Movement
from ...data.generator.video_scene import VIDEO_RECIPE, render_video
from ...errors import DataError, UsageError
from ...intervals import Intervals
from ...runtime.engine import EngineSet
from .heldout import EXAM_RECIPE, SEED, ClipPlan, render_jobs, rendered, segments
from .recordings import Recording, Say, SpottingResult, examine, report, silent, without_pixels
from .video_link import Pixels, Receiver

MICRO_PER_MIN = 8.0  # more than in a long examination: a sweep is short
RATE_RECIPE = replace(EXAM_RECIPE, micro_per_min=MICRO_PER_MIN)
# few distractors
VIDEO = replace(VIDEO_RECIPE, micro_per_min=MICRO_PER_MIN, micro_px=EXAM_RECIPE.micro_px)
CANVAS = (640, 480)  # width, height
FRAME_HZ = 30
USUAL_BITRATE = 1_500_000  # bit/s of the other axes
USUAL_WIDTH = 200  # mesh width of the other axes, px
# the axis "bridge": two frames lost every second
LOSSY_HZ = 25
LOST_FRAMES = 2
LOSS_EVERY_S = 1.0

Row = dict[str, Any]
Reception = tuple[int, AlignOptions]  # bitrate and aligner
# values of the axis, mesh width, and how each value is received
Film = tuple[tuple[int, ...], int, tuple[Reception, ...]]


@dataclass(frozen=True)
class Axis:
    """What is varied: `clips` faces for `seconds` at each value.

    The defaults below take five to ten minutes an axis on one core.
    """

    values: tuple[int, ...]
    clips: int
    seconds: float


class LinkCounts(NamedTuple):
    """Counts of one film as received: frames aligned and sent, bits, frames rejected by reason."""

    aligned: int
    sent: int
    bits: int
    rejected: Counter[str]


AXES = {
    # Hz; 45 MEs each
    "rate": Axis((15, 25, 30, 60, 200), clips=14, seconds=30.0),
    # px of the mesh from side to side; 12 MEs
    "size": Axis((50, 70, 100, 150, 200, 400), clips=3, seconds=30.0),
    # bit/s; 14 MEs
    "bitrate": Axis((200_000, 500_000, 1_000_000, 4_000_000), clips=4, seconds=30.0),
    # ms; 45 MEs at 25 Hz, with frames missing
    "bridge": Axis((100, 120, 150, 200), clips=14, seconds=30.0),
    # ms from one run of the landmarker to the next; 0: every frame
    "landmarker": Axis((0, 500, 1000), clips=8, seconds=30.0),
}


def examine_sweep(
    engines: EngineSet,
    faces: Path,
    *,
    axis: str,
    plan: Axis | None = None,
    seed: int = SEED,
    workers: int = 1,
    progress: Say = silent,
) -> list[Row]:
    """One row per value of `axis` (a key of AXES), by the plan of AXES or another.

    A row has the fields of `recordings.report` and the share of frames `aligned`. Faces are of the
    test split, movements the same at every value. All axes but rate and bridge take the widest
    faces, since enlarging a small one adds no detail, and also report why frames were `rejected`
    (shares by reason) and the measured `kbit_s`; their `minutes` are what was filmed, their false
    alarms per minute of what was aligned. `workers` processes render rates. Raises UsageError for
    another axis, DataError where the folder has no test face. Not from the papers.
    """
    usual = plan_of(axis)  # also where it is not used: it raises for another axis
    plan = plan or usual
    if axis == "bridge":
        return _bridges(engines, faces, plan, seed, workers, progress)
    if axis == "rate":
        return [_rate(engines, faces, hz, plan, seed, workers, progress) for hz in plan.values]
    return _videos(engines, _widest(faces, plan.clips), axis, plan, seed, progress)


def plan_of(axis: str, clips: int | None = None) -> Axis:
    """The plan of an axis, with its own number of clips or another; UsageError for no axis."""
    if axis not in AXES:
        raise UsageError(f"axis {axis!r}: choose one of {', '.join(AXES)}")
    return AXES[axis] if clips is None else replace(AXES[axis], clips=clips)


# ---- rates


def _rate(
    engines: EngineSet,
    faces: Path,
    hz: int,
    plan: Axis,
    seed: int,
    workers: int,
    progress: Say,
) -> Row:
    side = engines.spotter.side
    recipe = replace(RATE_RECIPE, hz=(float(hz),))
    results = []
    clips = ClipPlan(plan.clips, plan.seconds, seed, "test", recipe)
    for clip in rendered(render_jobs(faces, clips, side), workers):
        recording = Recording(clip.face, clip.times_ns, clip.crops, clip.movements)
        results += examine_segments(recording, engines)
    progress(f"rate {hz} Hz done")
    return {"axis": "rate", "value": hz, **report(results, side), "aligned": 1.0}


def _bridges(
    engines: EngineSet, faces: Path, plan: Axis, seed: int, workers: int, progress: Say
) -> list[Row]:
    """Recordings at LOSSY_HZ with lost frames, cut where a bridge is too short."""
    side = engines.spotter.side
    rng = np.random.default_rng(seed)
    recipe = replace(RATE_RECIPE, hz=(float(LOSSY_HZ),))
    results: dict[int, list[SpottingResult]] = {value: [] for value in plan.values}
    clips = ClipPlan(plan.clips, plan.seconds, seed, "test", recipe)
    for clip in rendered(render_jobs(faces, clips, side), workers):
        kept = _with_losses(rng, len(clip.times_ns))
        recording = Recording(clip.face, clip.times_ns[kept], clip.crops[kept], clip.movements)
        for ms, found in results.items():
            bridge = BridgeOptions(LOSSY_HZ, ms * (SECOND_NS // 1000))
            found += examine_segments(recording, engines, bridge)
        progress(f"bridge: {clip.face}")
    return [
        {"axis": "bridge", "value": ms, **report(found, side), "aligned": 1.0}
        for ms, found in results.items()
    ]


def _with_losses(rng: np.random.Generator, frames: int) -> NDArray[np.bool_]:
    """(N,) False for lost frames, LOST_FRAMES at a time, every LOSS_EVERY_S on average.

    Never the first or the last frame.
    """
    kept = np.ones(frames, bool)
    places = rng.random(max(0, frames - LOST_FRAMES - 1))
    for first in np.flatnonzero(places < 1 / (LOSS_EVERY_S * LOSSY_HZ)) + 1:
        kept[first : first + LOST_FRAMES] = False
    return kept


def examine_segments(
    recording: Recording, engines: EngineSet, bridge: BridgeOptions | None = None
) -> list[SpottingResult]:
    """The result of every segment, without pixels.

    A recording without a segment gives one result in which nothing was found.
    """
    results = [without_pixels(examine(part, engines)) for part in segments(recording, bridge)]
    return results or [without_pixels(SpottingResult(recording, Intervals.of([], [], []), ()))]


# ---- whole videos


def _videos(
    engines: EngineSet,
    faces: Sequence[FaceAsset],
    axis: str,
    plan: Axis,
    seed: int,
    progress: Say,
) -> list[Row]:
    """Every face is filmed once per size, or once for all values of another axis."""
    results: dict[int, list[SpottingResult]] = {value: [] for value in plan.values}
    links: dict[int, list[LinkCounts]] = {value: [] for value in plan.values}
    side = engines.spotter.side
    for i in range(plan.clips):
        face = faces[i % len(faces)]
        for values, width, receptions in _films(axis, plan.values):
            receivers, movements = film(face, width, receptions, seed + i, plan.seconds, side)
            for value, receiver in zip(values, receivers, strict=True):
                recording = received(receiver, face.name, movements, plan.seconds)
                results[value] += examine_segments(recording, engines)
                links[value].append(
                    LinkCounts(receiver.aligned, receiver.sent, receiver.bits, receiver.rejected)
                )
            progress(f"{axis} {', '.join(map(str, values))}: face {i + 1}/{plan.clips}")
    return [_row(axis, value, results[value], links[value], side) for value in plan.values]


def _films(axis: str, values: tuple[int, ...]) -> list[Film]:
    """What is filmed of each face: once for all values of an axis, or once per size."""
    usual = AlignOptions()
    if axis == "bitrate":
        return [(values, USUAL_WIDTH, tuple((value, usual) for value in values))]
    if axis == "landmarker":
        aligners = [_with_landmarks_every(value) for value in values]
        return [(values, USUAL_WIDTH, tuple((USUAL_BITRATE, aligner) for aligner in aligners))]
    return [((value,), value, ((USUAL_BITRATE, usual),)) for value in values]


def _with_landmarks_every(every_ms: int) -> AlignOptions:
    return replace(AlignOptions(), landmarks_ns=every_ms * (SECOND_NS // 1000))


def film(
    face: FaceAsset,
    width: int,
    receptions: Sequence[Reception],
    seed: int,
    seconds: float,
    side: int,
) -> tuple[list[Receiver], list[Movement]]:
    """Film a face with a mesh `width` px wide; the closed receivers by reception, and the truth."""
    image, mesh = compose(face, width)
    receivers = []
    for bitrate, options in receptions:
        receivers.append(Receiver(bitrate, CANVAS, FRAME_HZ, side, options))
    try:
        movements, frames = render_video(image, mesh, seed, seconds, FRAME_HZ, VIDEO, side)
        for at_ns, frame in frames:
            for receiver in receivers:
                receiver.push(at_ns, frame)
        for receiver in receivers:
            receiver.push(0, None)
    finally:
        for receiver in receivers:
            receiver.close()
    return receivers, movements


def compose(face: FaceAsset, width: float) -> tuple[Pixels, NDArray[np.float64]]:
    """The portrait scaled to a mesh `width` px wide, centred on CANVAS, and its landmarks.

    Its edge pixels are repeated to fill the canvas; mirrored edges would show more faces.
    """
    scale = width / width_px(face.landmarks)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled: Any = cv2.resize(face.image, None, fx=scale, fy=scale, interpolation=how)
    mesh = face.landmarks * scale
    mesh[:, :2] += 0.5 * (scale - 1)  # pixel centres
    middle = (mesh[:, :2].min(0) + mesh[:, :2].max(0)) / 2
    shift = np.round((np.array(CANVAS) - 1) / 2 - middle)
    affine = np.concatenate([np.eye(2), shift[:, None]], axis=1)
    mesh[:, :2] += shift
    canvas = cv2.warpAffine(scaled, affine, CANVAS, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(canvas, np.uint8), mesh


def _widest(faces: Path, count: int) -> list[FaceAsset]:
    """The test faces with the widest meshes."""
    found = [face for face in find_faces(faces) if face[2] == "test"]
    if not found:
        raise DataError(f"{faces}: no usable test face; give more portraits")
    found.sort(key=lambda face: -width_px(face[1]))
    return [load_face(*face) for face in found[:count]]


def received(
    receiver: Receiver, name: str, movements: Sequence[Movement], seconds: float
) -> Recording:
    """The recording of what was received.

    Where nothing was aligned it is as long as the clip, without crops.
    """
    recording = receiver.recording(name, movements)
    if receiver.aligned > 1:
        return recording
    return replace(
        recording, times_ns=np.array([0, round(seconds * SECOND_NS)]), crops=recording.crops[:0]
    )


def _row(
    axis: str, value: int, results: list[SpottingResult], links: list[LinkCounts], side: int
) -> Row:
    aligned = sum(link.aligned for link in links)
    sent = sum(link.sent for link in links)
    bits = sum(link.bits for link in links)
    rejected = sum((link.rejected for link in links), Counter[str]())
    seconds = sent / FRAME_HZ
    return {
        "axis": axis,
        "value": value,
        **report(results, side),
        "minutes": round(seconds / 60, 2),
        "aligned": round(aligned / sent, 4),
        "rejected": {why: round(n / sent, 4) for why, n in rejected.items()},
        "kbit_s": round(bits / seconds / 1000),
    }
