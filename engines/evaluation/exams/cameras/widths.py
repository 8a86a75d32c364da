"""How small a face may be: the movements of `semireal` at several widths of the face.

The movements are warped into the footage as it was filmed, the frames are then made smaller (or
larger: that adds no detail), coded as a camera would and aligned without a limit of width. The
figures of each width help to choose `min_face_px`. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ....alignment.aligner import AlignOptions
from ....alignment.landmarker import width_px
from ....alignment.registration import Pixels
from ....clips import SECOND_NS
from ....data.footage import Footage, MeshAligner, read_footage
from ....data.people import ClipPart
from ....errors import UsageError
from ....runtime.engine import EngineSet
from ..mesh_annotation import Annotation, annotate
from ..recordings import Say, SpottingResult, silent
from ..report import report
from ..segments import examine_segments
from ..semireal.whole_clips import plan, warped
from .film import received
from .video_link import Receiver

WIDTHS = (40, 50, 60, 70, 80, 90, 100, 150, 200, 400)  # px of the mesh from side to side
# of a quiet segment, one ME on average: more than in `semireal`, since there are many widths
EVERY_S = 1.0
REPEATS = 4  # passes over the footage at each width, each with other movements
ANY_FACE = AlignOptions(min_face_px=20.0)  # below it the landmarker finds none
BITS_PER_PX = 0.12  # of a frame, as a webcam's codec
LEAST_BITRATE = 200_000  # bit/s


@dataclass(eq=False)
class _Row:
    """Results of one width so far, and frames aligned and sent."""

    results: list[SpottingResult] = field(default_factory=list)
    aligned: int = 0
    sent: int = 0


def examine_widths(
    engines: EngineSet,
    clips: Sequence[ClipPart],
    *,
    widths: Sequence[int] = WIDTHS,
    repeats: int = REPEATS,
    seed: int = 0,
    progress: Say = silent,
) -> list[dict[str, Any]]:
    """One row per width: the fields of `report.report` and the share of frames `aligned`.

    Movements are the same at every width; one in a frame that was not aligned is missed. Raises
    UsageError for a width under 20 px, DataError for a clip that cannot be read.
    """
    if not widths or min(widths) < ANY_FACE.min_face_px:
        raise UsageError(f"widths {widths}: expected at least {ANY_FACE.min_face_px:.0f} px each")
    rows = {width: _Row() for width in widths}
    for index, clip in enumerate(clips):
        footage = _read(clip)
        if footage is None:
            continue
        annotation = annotate(footage)
        native = _width(footage)
        for width, row in rows.items():
            for repeat in range(repeats):
                pass_seed = [seed, index, repeat]
                _examine_pass(row, engines, footage, annotation, pass_seed, width / native)
            progress(f"{footage.name}, {width} px: {_so_far(row)}")
    return [_figures(width, row, engines.spotter.side) for width, row in rows.items()]


def _read(clip: ClipPart) -> Footage | None:
    """The part of a clip that is used; None where no face is in it."""
    path, part = clip
    with MeshAligner(options=ANY_FACE) as aligner:
        footage = read_footage(path, part.from_s, part.to_s, aligner)
    return footage if footage.segments() else None


def _width(footage: Footage) -> float:
    """Median width of the face in px."""
    return float(np.median([width_px(mesh) for mesh in footage.meshes if mesh is not None]))


def _examine_pass(
    row: _Row,
    engines: EngineSet,
    footage: Footage,
    annotation: Annotation,
    seed: list[int],
    scale: float,
) -> None:
    """Examine one pass over the footage at a scale, with MEs drawn by `seed`."""
    plans = plan(np.random.default_rng(seed), footage, annotation, EVERY_S)
    movements = [action.movement for _, actions in plans for action in actions]
    receiver = _sent(footage, _scaled(warped(footage, plans), scale), engines.spotter.side)
    row.aligned += receiver.aligned
    row.sent += receiver.sent
    seconds = float(footage.times_ns[-1] - footage.times_ns[0]) / SECOND_NS
    row.results += examine_segments(received(receiver, footage.name, movements, seconds), engines)


def _scaled(shots: Iterator[tuple[int, Pixels]], scale: float) -> Iterator[tuple[int, Pixels]]:
    """The shots in even sizes, which H.264 wants."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    for at_ns, image in shots:
        size = tuple(2 * max(8, round(scale * side / 2)) for side in image.shape[1::-1])
        yield at_ns, np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _sent(footage: Footage, shots: Iterator[tuple[int, Pixels]], side: int) -> Receiver:
    """Send the shots through a video link; the closed receiver."""
    hz = round(SECOND_NS / float(np.median(np.diff(footage.times_ns))))
    receiver: Receiver | None = None
    for at_ns, image in shots:
        if receiver is None:
            high, wide = image.shape[:2]
            bitrate = max(LEAST_BITRATE, round(BITS_PER_PX * high * wide * hz))
            receiver = Receiver(bitrate, (wide, high), hz, side, ANY_FACE)
        receiver.push(at_ns, image)
    assert receiver is not None  # footage has frames
    receiver.push(0, None)
    receiver.close()
    return receiver


def _so_far(row: _Row) -> str:
    """The counts so far in words."""
    truths = sum(len(result.recording.micros()) for result in row.results)
    hits = sum(len(result.hits) for result in row.results)
    found = sum(len(result.found) for result in row.results)
    return f"{hits} of {truths} MEs, {found - hits} false alarms"


def _figures(width: int, row: _Row, side: int) -> dict[str, Any]:
    aligned = round(row.aligned / row.sent, 4) if row.sent else 0.0
    return {"width_px": width, **report(row.results, side), "aligned": aligned}
