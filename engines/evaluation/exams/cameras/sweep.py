"""The same faces and movements at several frame rates, face sizes, bitrates and the like.

Rates and bridges are rendered at crop resolution. The other axes are whole videos (`film`): a
portrait moves in a frame of a webcam's size, through a real codec, decoder and aligner; where the
aligner loses the face, its micro-expressions are missed. The period of the landmarker shows what it
costs to follow the face in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....alignment.aligner import AlignOptions
from ....alignment.bridge import BridgeOptions
from ....alignment.landmarker import width_px
from ....clips import SECOND_NS
from ....data.faces import FaceAsset, find_faces, load_face
from ....errors import DataError, UsageError
from ....runtime.engine import EngineSet
from .. import SEED
from ..recordings import Say, SpottingResult, silent
from ..rendering import EXAM_RECIPE, ClipPlan, recording_of, render_jobs, rendered
from ..report import report
from ..segments import examine_segments
from .film import CANVAS, FRAME_HZ, FULL_WIDTH, SMALL_CANVAS, Film, Reception, film, received

MICRO_PER_MIN = 20.0  # more than in a long examination: a sweep is short
RATE_RECIPE = replace(EXAM_RECIPE, micro_per_min=MICRO_PER_MIN, rate_free=True)
USUAL_BITRATE = 1_500_000  # bit/s of the other axes, on CANVAS
SMALL_BITRATE = round(USUAL_BITRATE * SMALL_CANVAS[0] * SMALL_CANVAS[1] / CANVAS[0] / CANVAS[1])
ANY_FACE = AlignOptions(min_face_px=20.0)  # small faces are let in; below it none is found
# the axis "bridge": two frames lost every second
LOSSY_HZ = 25
LOST_FRAMES = 2
LOSS_EVERY_S = 1.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """What is varied: `clips` faces for `seconds` at each value.

    The first three below have 200 MEs and more at each value, the same at every one.
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
    # Hz
    "rate": Axis((15, 25, 30, 60), clips=24, seconds=30.0),
    # px of the mesh from side to side
    "size": Axis((45, 60, 80, 120, 200), clips=24, seconds=30.0),
    # bit/s
    "bitrate": Axis((200_000, 500_000, 1_000_000, 4_000_000), clips=24, seconds=30.0),
    # ms; at 25 Hz, with frames missing
    "bridge": Axis((100, 120, 150, 200), clips=14, seconds=30.0),
    # longest time in ms from one run of the landmarker to the next; 0: every frame
    "landmarker": Axis((0, 500, 2000), clips=8, seconds=30.0),
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

    A row has the fields of `report.report` and the share of frames `aligned`. Faces are of the
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
        recording = recording_of(clip)
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
        whole = recording_of(clip)
        recording = replace(whole, times_ns=whole.times_ns[kept], crops=whole.crops[kept])
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


# ---- whole videos


def _videos(
    engines: EngineSet,
    faces: Sequence[FaceAsset],
    axis: str,
    plan: Axis,
    seed: int,
    progress: Say,
) -> list[Row]:
    """Every face is filmed once for all values."""
    results: dict[int, list[SpottingResult]] = {value: [] for value in plan.values}
    links: dict[int, list[LinkCounts]] = {value: [] for value in plan.values}
    side = engines.spotter.side
    wanted = _film(axis, plan.values)
    for i in range(plan.clips):
        face = faces[i % len(faces)]
        receivers, movements = film(face, wanted, MICRO_PER_MIN, seed + i, plan.seconds, side)
        for value, receiver in zip(plan.values, receivers, strict=True):
            recording = received(receiver, face.name, movements, plan.seconds)
            results[value] += examine_segments(recording, engines)
            links[value].append(
                LinkCounts(receiver.aligned, receiver.sent, receiver.bits, receiver.rejected)
            )
        progress(f"{axis}: face {i + 1}/{plan.clips}")
    return [_row(axis, value, results[value], links[value], side) for value in plan.values]


def _film(axis: str, values: tuple[int, ...]) -> Film:
    """How each face is filmed, once for all values of an axis, and how it is received."""
    if axis == "size":
        made = [Reception(SMALL_BITRATE, ANY_FACE, float(value)) for value in values]
        return Film(SMALL_CANVAS, tuple(made))
    if axis == "bitrate":
        return Film(CANVAS, tuple(Reception(value, AlignOptions(), FULL_WIDTH) for value in values))
    aligners = [_with_landmarks_every(value) for value in values]
    return Film(CANVAS, tuple(Reception(USUAL_BITRATE, each, FULL_WIDTH) for each in aligners))


def _with_landmarks_every(every_ms: int) -> AlignOptions:
    """How the landmarker runs at least so often, and as it ships where faces move."""
    usual = AlignOptions()
    most_ns = every_ms * (SECOND_NS // 1000)
    return replace(usual, landmarks_ns=min(usual.landmarks_ns, most_ns), still_ns=most_ns)


def _widest(faces: Path, count: int) -> list[FaceAsset]:
    """The test faces with the widest meshes."""
    found = [face for face in find_faces(faces) if face[2] == "test"]
    if not found:
        raise DataError(f"{faces}: no usable test face; give more portraits")
    found.sort(key=lambda face: -width_px(face[1]))
    return [load_face(*face) for face in found[:count]]


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
