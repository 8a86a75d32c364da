"""How small a face may be: the movements of `semireal` at several widths of the face, by a gate that lets all in.

The movements are warped into the footage as it was filmed, the frames are then made smaller (or larger: that adds no
detail), coded as a camera would and aligned. Whoever sets `min_face_px` sees here what each width is still worth.
Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...alignment.aligner import AlignOptions
from ...alignment.landmarker import width_px
from ...alignment.registration import Pixels
from ...clips import SECOND_NS
from ...data.footage import Footage, MeshAligner, examined_from_s, read_footage
from ...errors import UsageError
from ...runtime.engine import EngineSet
from .mesh_annotation import Annotation, annotate
from .recordings import SpottingResult, report
from .semireal import plan, warped
from .sweep import judge, received
from .video_link import Receiver

WIDTHS = (40, 50, 60, 70, 80, 90, 100, 150, 200, 400)  # px of the mesh from side to side
EVERY_S = (
    1.0  # of a quiet segment, one ME on average: more than in `semireal`, for there are many widths
)
REPEATS = 4  # passes over the footage at each width, each with other movements
ANY_FACE = AlignOptions(min_face_px=20.0)  # below it the landmarker finds none
BITS_PER_PX = 0.12  # of a frame: what a webcam's codec spends
LEAST_BITRATE = 200_000  # bit/s

Say = Callable[[str], None]


@dataclass(eq=False)
class _Row:
    """What one width was worth so far."""

    verdicts: list[SpottingResult] = field(default_factory=list)
    aligned: int = 0
    sent: int = 0


def examine_widths(
    engines: EngineSet,
    clips: Sequence[Path],
    *,
    widths: Sequence[int] = WIDTHS,
    repeats: int = REPEATS,
    seed: int = 0,
    tuning: bool = False,
    progress: Say = lambda line: None,
) -> list[dict[str, Any]]:
    """One row per width: the fields of `takes.report`, and the share of the frames that were aligned.

    tuning: the part of each clip that the examinations leave, by which a default may be chosen; else the part that
    they use. Movements are the same at every width; one in a frame that was not aligned is missed. Raises UsageError
    for a width under 20 px, DataError for a clip that cannot be read.
    """
    if not widths or min(widths) < ANY_FACE.min_face_px:
        raise UsageError(f"widths {widths}: expected at least {ANY_FACE.min_face_px:.0f} px each")
    rows = {width: _Row() for width in widths}
    for index, path in enumerate(clips):
        footage = _read(path, tuning)
        if footage is None:
            continue
        notes, native = annotate(footage), _width(footage)
        for width, row in rows.items():
            for repeat in range(repeats):
                _see(row, engines, footage, notes, [seed, index, repeat], width / native)
            progress(f"{path.name}, {width} px: {_so_far(row)}")
    return [_figures(width, row, engines.spotter.side) for width, row in rows.items()]


def _read(path: Path, tuning: bool) -> Footage | None:
    """The part of a clip that is asked for; None where there is none."""
    examined = examined_from_s(path)
    start_s, stop_s = (0.0, examined) if tuning else (examined or 0.0, None)
    if stop_s == 0:
        return None
    with MeshAligner(options=ANY_FACE) as aligner:
        footage = read_footage(path, start_s, stop_s, aligner)
    return footage if footage.segments() else None


def _width(footage: Footage) -> float:
    return float(np.median([width_px(mesh) for mesh in footage.meshes if mesh is not None]))


def _see(
    row: _Row, engines: EngineSet, footage: Footage, notes: Annotation, seed: list[int], scale: float
) -> None:  # fmt: skip
    """One pass over the footage at a scale, judged."""
    plans = plan(np.random.default_rng(seed), footage, notes, EVERY_S)
    movements = [action.movement for _, actions in plans for action in actions]
    receiver = _sent(footage, _scaled(warped(footage, plans), scale), engines.spotter.side)
    row.aligned += receiver.aligned
    row.sent += receiver.sent
    seconds = float(footage.times_ns[-1] - footage.times_ns[0]) / SECOND_NS
    row.verdicts += judge(received(receiver, footage.name, movements, seconds), engines)


def _scaled(shots: Iterator[tuple[int, Pixels]], scale: float) -> Iterator[tuple[int, Pixels]]:
    """The shots in even sizes, which H.264 wants."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    for at_ns, image in shots:
        size = tuple(2 * max(8, round(scale * side / 2)) for side in image.shape[1::-1])
        yield at_ns, np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _sent(footage: Footage, shots: Iterator[tuple[int, Pixels]], side: int) -> Receiver:
    hz = round(SECOND_NS / float(np.median(np.diff(footage.times_ns))))
    receiver: Receiver | None = None
    for at_ns, image in shots:
        if receiver is None:
            high, wide = image.shape[:2]
            bitrate = max(LEAST_BITRATE, round(BITS_PER_PX * high * wide * hz))
            receiver = Receiver(bitrate, (wide, high), hz, side, ANY_FACE)
        receiver.push(at_ns, image)
    assert receiver is not None  # a footage holds frames
    receiver.push(0, None)
    receiver.close()
    return receiver


def _so_far(row: _Row) -> str:
    truths = sum(len(v.take.micros()) for v in row.verdicts)
    hits, found = sum(len(v.hits) for v in row.verdicts), sum(len(v.found) for v in row.verdicts)
    return f"{hits} of {truths} MEs, {found - hits} false alarms"


def _figures(width: int, row: _Row, side: int) -> dict[str, Any]:
    aligned = round(row.aligned / row.sent, 4) if row.sent else 0.0
    return {"width_px": width, **report(row.verdicts, side), "aligned": aligned}
