"""How much camera is enough: the same faces and movements at several frame rates, face sizes and bitrates.

Rates are rendered at crop resolution. Sizes and bitrates go the whole way: a portrait moves in a frame of a webcam's
size, through a real codec, decoder and aligner; where the aligner lets the face go, its micro-expressions are missed.
So does the period of the landmarker, which says what it costs to follow the face in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
from ...data.synthetic import VIDEO_RECIPE, render_video
from ...data.timeline import Movement
from ...errors import DataError, UsageError
from ...intervals import Intervals
from ...runtime.engine import EngineSet
from .heldout import EXAM_RECIPE, SEED, exam_tasks, rendered, segments
from .recordings import Recording, SpottingResult, examine, report, without_pixels
from .video_link import Pixels, Receiver

MICRO_PER_MIN = 8.0  # more than in a long examination: a sweep is short
RATE_RECIPE = replace(EXAM_RECIPE, micro_per_min=MICRO_PER_MIN)
VIDEO = replace(
    VIDEO_RECIPE, micro_per_min=MICRO_PER_MIN, micro_px=EXAM_RECIPE.micro_px
)  # few distractors
CANVAS = (640, 480)  # width, height
FRAME_HZ = 30
USUAL_BITRATE = 1_500_000  # bit/s of the other axes
HOLED_HZ, MISSING, HOLE_EVERY_S = 25, 2, 1.0  # of the axis "bridge": two frames lost every second
USUAL_WIDTH = 200  # mesh width of the other axes, px

Say = Callable[[str], None]
Row = dict[str, Any]
Reception = tuple[int, AlignOptions]  # bitrate and aligner
Film = tuple[
    tuple[int, ...], int, tuple[Reception, ...]
]  # values of the axis, width, and how each is received


@dataclass(frozen=True)
class Axis:
    """What is varied, and how much is looked at: `clips` faces for `seconds` at each value.

    The defaults below take five to ten minutes an axis on one core.
    """

    values: tuple[int, ...]
    clips: int
    seconds: float


class Link(NamedTuple):
    """What one film was worth: frames aligned and sent, bits, and frames rejected by reason."""

    aligned: int
    sent: int
    bits: int
    rejected: Counter[str]


AXES = {
    "rate": Axis((15, 25, 30, 60, 200), clips=14, seconds=30.0),  # Hz; 45 MEs each
    "size": Axis(
        (50, 70, 100, 150, 200, 400), clips=3, seconds=30.0
    ),  # px of the mesh from side to side; 12 MEs
    "bitrate": Axis(
        (200_000, 500_000, 1_000_000, 4_000_000), clips=4, seconds=30.0
    ),  # bit/s; 14 MEs
    "bridge": Axis(
        (100, 120, 150, 200), clips=14, seconds=30.0
    ),  # ms; 45 MEs at 25 Hz, with frames missing
    "landmarker": Axis(
        (0, 500, 1000), clips=8, seconds=30.0
    ),  # ms between its looks at a face; 0: every frame
}


def examine_sweep(
    engines: EngineSet,
    faces: Path,
    *,
    axis: str,
    values: Sequence[int] | None = None,
    clips: int | None = None,
    seconds: float | None = None,
    seed: int = SEED,
    workers: int = 1,
    progress: Say = lambda line: None,
) -> list[Row]:
    """One row per value of `axis` (a key of AXES): the fields of `takes.report` and the share of frames aligned.

    Faces are of the test split, movements the same at every value. All but rates and bridges take the widest, since
    enlarging a small one adds no detail, and also report why frames were `rejected` (shares by reason) and the
    measured `kbit_s`; their `minutes` are what was filmed, their false alarms per minute of what was aligned.
    `workers` processes render rates. Raises UsageError for another axis, DataError where the folder has no test face.
    Not from the papers.
    """
    if axis not in AXES:
        raise UsageError(f"axis {axis!r}: choose one of {', '.join(AXES)}")
    usual = AXES[axis]
    plan = Axis(tuple(values or usual.values), clips or usual.clips, seconds or usual.seconds)
    if axis == "bridge":
        return _bridges(engines, faces, plan, seed, workers, progress)
    if axis == "rate":
        return [_rate(engines, faces, hz, plan, seed, workers, progress) for hz in plan.values]
    return _videos(engines, _widest(faces, plan.clips), axis, plan, seed, progress)


# ---- rates -------------------------------------------------------------------------------------------------------


def _rate(
    engines: EngineSet, faces: Path, hz: int, plan: Axis, seed: int, workers: int, progress: Say
) -> Row:
    side = engines.spotter.side
    recipe = replace(RATE_RECIPE, hz=(float(hz),))
    verdicts = []
    for clip in rendered(
        exam_tasks(faces, plan.clips, plan.seconds, seed, "test", side, recipe), workers
    ):
        verdicts += judge(Recording(clip.face, clip.times_ns, clip.crops, clip.movements), engines)
    progress(f"rate {hz} Hz done")
    return {"axis": "rate", "value": hz, **report(verdicts, side), "aligned": 1.0}


def _bridges(
    engines: EngineSet, faces: Path, plan: Axis, seed: int, workers: int, progress: Say
) -> list[Row]:
    """Takes at HOLED_HZ with MISSING frames lost every HOLE_EVERY_S on average, cut where a bridge is too short."""
    side, rng = engines.spotter.side, np.random.default_rng(seed)
    recipe = replace(RATE_RECIPE, hz=(float(HOLED_HZ),))
    verdicts: dict[int, list[SpottingResult]] = {value: [] for value in plan.values}
    for clip in rendered(
        exam_tasks(faces, plan.clips, plan.seconds, seed, "test", side, recipe), workers
    ):
        kept = _without(rng, len(clip.times_ns))
        take = Recording(clip.face, clip.times_ns[kept], clip.crops[kept], clip.movements)
        for value, said in verdicts.items():
            said += judge(take, engines, BridgeOptions(HOLED_HZ, value * (SECOND_NS // 1000)))
        progress(f"bridge: {clip.face}")
    return [
        {"axis": "bridge", "value": ms, **report(said, side), "aligned": 1.0}
        for ms, said in verdicts.items()
    ]


def _without(rng: np.random.Generator, frames: int) -> NDArray[np.bool_]:
    """(N,) False for the frames of holes, MISSING each; never the first or the last."""
    kept = np.ones(frames, bool)
    for first in (
        np.flatnonzero(rng.random(max(0, frames - MISSING - 1)) < 1 / (HOLE_EVERY_S * HOLED_HZ)) + 1
    ):
        kept[first : first + MISSING] = False
    return kept


def judge(
    take: Recording, engines: EngineSet, bridge: BridgeOptions | None = None
) -> list[SpottingResult]:
    """The verdict of every segment, without pixels; of a take without one, that nothing was found."""
    verdicts = [without_pixels(examine(part, engines)) for part in segments(take, bridge)]
    return verdicts or [without_pixels(SpottingResult(take, Intervals.of([], [], []), ()))]


# ---- whole videos --------------------------------------------------------------------------------------------------


def _videos(
    engines: EngineSet, faces: Sequence[FaceAsset], axis: str, plan: Axis, seed: int, progress: Say
) -> list[Row]:
    """Every face is filmed once per size, or once for all values of another axis."""
    verdicts: dict[int, list[SpottingResult]] = {value: [] for value in plan.values}
    links: dict[int, list[Link]] = {value: [] for value in plan.values}
    usual = AlignOptions()
    films: list[Film] = [((v,), v, ((USUAL_BITRATE, usual),)) for v in plan.values]
    if axis == "bitrate":
        films = [(plan.values, USUAL_WIDTH, tuple((v, usual) for v in plan.values))]
    elif axis == "landmarker":
        films = [
            (plan.values, USUAL_WIDTH, tuple((USUAL_BITRATE, _looking(v)) for v in plan.values))
        ]
    for i in range(plan.clips):
        face = faces[i % len(faces)]
        for values, width, receptions in films:
            receivers, movements = film(
                face, width, receptions, seed + i, plan.seconds, engines.spotter.side
            )
            for value, receiver in zip(values, receivers, strict=True):
                verdicts[value] += judge(
                    received(receiver, face.name, movements, plan.seconds), engines
                )
                links[value].append(
                    Link(receiver.aligned, receiver.sent, receiver.bits, receiver.rejected)
                )
            progress(f"{axis} {', '.join(map(str, values))}: face {i + 1}/{plan.clips}")
    return [
        _row(axis, value, verdicts[value], links[value], engines.spotter.side)
        for value in plan.values
    ]


def _looking(every_ms: int) -> AlignOptions:
    return replace(AlignOptions(), landmarks_ns=every_ms * (SECOND_NS // 1000))


def film(
    face: FaceAsset,
    width: int,
    receptions: Sequence[Reception],
    seed: int,
    seconds: float,
    side: int,
) -> tuple[list[Receiver], list[Movement]]:
    """Film a face with a mesh `width` px wide, received in every way (receivers closed), and the truth."""
    image, mesh = compose(face, width)
    receivers = [
        Receiver(bitrate, CANVAS, FRAME_HZ, side, options) for bitrate, options in receptions
    ]
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

    Its edges are drawn out to fill the canvas: mirrored, they would show more faces.
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
    return np.asarray(
        cv2.warpAffine(scaled, affine, CANVAS, borderMode=cv2.BORDER_REPLICATE), np.uint8
    ), mesh


def _widest(faces: Path, count: int) -> list[FaceAsset]:
    found = [face for face in find_faces(faces) if face[2] == "test"]
    if not found:
        raise DataError(f"{faces}: no usable test face; give more portraits")
    return [load_face(*face) for face in sorted(found, key=lambda face: -width_px(face[1]))[:count]]


def received(
    receiver: Receiver, name: str, movements: Sequence[Movement], seconds: float
) -> Recording:
    """What was received; of a face that never came through, a take without crops as long as the clip."""
    take = receiver.take(name, movements)
    if receiver.aligned > 1:
        return take
    return replace(take, times_ns=np.array([0, round(seconds * SECOND_NS)]), crops=take.crops[:0])


def _row(
    axis: str, value: int, verdicts: list[SpottingResult], links: list[Link], side: int
) -> Row:
    aligned, sent, bits = (
        sum(getattr(link, name) for link in links) for name in ("aligned", "sent", "bits")
    )
    rejected = sum((link.rejected for link in links), Counter[str]())
    seconds = sent / FRAME_HZ
    return {
        "axis": axis, "value": value, **report(verdicts, side), "minutes": round(seconds / 60, 2),
        "aligned": round(aligned / sent, 4), "rejected": {why: round(n / sent, 4) for why, n in rejected.items()},
        "kbit_s": round(bits / seconds / 1000),
    }  # fmt: skip
