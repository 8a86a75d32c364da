"""Recognition of the hits: on the intervals as the spotter found them, not on the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS, nearest_frames, thin
from ...data.generator.truth import level_at
from ...intervals import rounded
from ...runtime.engine import EngineSet
from ..metrics import spearman, uf1_uar
from .movement import MovementResult, movement_of_hit
from .recordings import SpottingResult

# Prototype at onset and offset; ranks, and so Spearman, are the same for any value below 1.
EPS = 0.1

Floats = NDArray[np.float64]


Curve = tuple[float, float, float | None]  # spearman, apex error, rank correlation with the course


@dataclass(frozen=True)
class RecognitionResult:
    """A recogniser's result on one hit: classes and the fit of its intensity curve.

    truth: the true class, None where the label set has no such label. certain: whether the
    predicted one reaches the label floor. spearman: rank correlation with the prototype.
    apex_error: |peak - apex| as a share of the found interval's length. true: rank correlation with
    the movement's true course, None where it is not kept. triangle: spearman, apex_error and true
    of a triangular curve, which rises to the middle of the interval and falls again. movement: what
    moved.
    """

    truth: int | None
    predicted: int
    certain: bool
    spearman: float
    apex_error: float
    true: float | None
    triangle: Curve
    movement: MovementResult | None = None


def recognize_hit(
    result: SpottingResult, found: int, truth: int, engines: EngineSet
) -> RecognitionResult:
    """Recognize a found interval and compare with the micro-expression that it hit.

    The prototype [S2 C16-C21] is linear through the true onset (EPS), apex (1) and offset (EPS),
    read at the times of the N positions of the found interval, EPS outside. What is compared
    follows [S2 C31], the measures are ours.
    """
    assert engines.recognizer_spec is not None
    labels = engines.recognizer_spec.labels
    movement = result.recording.micros()[truth]
    at, clip = clip_of(result, found, engines)
    out = engines.engine("recognizer")(clip=clip[None])
    probabilities = out["classes"][0].astype(np.float64)
    curve = out["intensity"][0].astype(np.float64)
    moved = movement_of_hit(result, truth, clip, out, engines.recognizer_spec)
    mu = np.interp(at, (movement.onset_ns, movement.apex_ns, movement.offset_ns), (EPS, 1.0, EPS))
    label = movement.label(len(labels))
    length = max(at[-1] - at[0], 1.0)
    middle = (at[0] + at[-1]) / 2
    triangle = -np.abs(np.linspace(-1, 1, len(at)))
    course = level_at(movement.levels, at - movement.onset_ns) if movement.levels else None
    return RecognitionResult(
        truth=labels.index(label) if label in labels else None,
        predicted=int(probabilities.argmax()),
        certain=bool(probabilities.max() >= engines.recognizer_spec.label_floor),
        spearman=_rank_correlation(curve, mu),
        apex_error=float(abs(at[int(curve.argmax())] - movement.apex_ns) / length),
        true=None if course is None else _rank_correlation(curve, course),
        triangle=(
            _rank_correlation(triangle, mu),
            float(abs(middle - movement.apex_ns) / length),
            None if course is None else _rank_correlation(triangle, course),
        ),
        movement=moved,
    )


def _rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman; a constant curve has none: it counts as 0."""
    return float(np.nan_to_num(spearman(first, second)))


def clip_of(
    result: SpottingResult, found: int, engines: EngineSet
) -> tuple[Floats, NDArray[np.uint8]]:
    """Times (N,) in ns of a found interval, and the recogniser's clip (N, 3, S, S) of it.

    As in the stream (realtime/session.py): of the crops that it keeps, those nearest to N even
    positions are taken.
    """
    assert engines.recognizer_spec is not None
    grid_hz = engines.spotter.grid_hz
    recording = result.recording
    at = positions(result, found, engines.recognizer_spec.frames, grid_hz)
    kept = thin(recording.times_ns, grid_hz)
    clip = recording.crops[kept[nearest_frames(recording.times_ns[kept], at)]]
    return at, np.ascontiguousarray(clip)


def positions(result: SpottingResult, found: int, frames: int, grid_hz: int) -> Floats:
    """(N,) even times (ns) from onset to offset of a found interval, as in its event."""
    onset = max(rounded(float(result.found.start[found])), 0)
    offset = max(rounded(float(result.found.stop[found])) - 1, onset)
    origin = int(result.recording.times_ns[0])
    first = origin + _since_origin_ns(onset, grid_hz)
    last = origin + _since_origin_ns(offset, grid_hz)
    return np.linspace(first, last, frames, dtype=np.float64)


def _since_origin_ns(tick: int, grid_hz: int) -> int:
    """Time of a tick since tick 0, rounded to whole ns."""
    return (2 * tick * SECOND_NS + grid_hz) // (2 * grid_hz)


def recognition_figures(
    recognitions: Sequence[RecognitionResult], labels: Sequence[str]
) -> dict[str, Any]:
    """UF1, UAR and confusion over the labelled hits, curve figures over all hits.

    confusion: {true: {predicted: count}}. `tent` has the figures of a triangular curve over the
    same intervals. `uncertain` counts labelled hits under the label floor; they count by their best
    label all the same. Figures are None where there are no hits.
    """
    matrix = np.zeros((len(labels), len(labels)), int)
    known = 0
    uncertain = 0
    for result in recognitions:
        if result.truth is not None:
            matrix[result.truth, result.predicted] += 1
            known += 1
            if not result.certain:
                uncertain += 1
    uf1: float | None = None
    uar: float | None = None
    if known:
        uf1, uar = (round(x, 4) for x in uf1_uar(matrix))
    confusion = {}
    for label, row in zip(labels, matrix.tolist(), strict=True):
        confusion[label] = dict(zip(labels, row, strict=True))
    return {
        "hits": len(recognitions),
        "labelled": known,
        "uf1": uf1,
        "uar": uar,
        "uncertain": uncertain,
        "confusion": confusion,
        **_curve_figures([(one.spearman, one.apex_error, one.true) for one in recognitions]),
        "tent": _curve_figures([result.triangle for result in recognitions]),
    }


def _curve_figures(curves: Sequence[Curve]) -> dict[str, float | None]:
    """The means of a curve's figures over all hits; None without any.

    That of the true course is over the hits whose course is kept.
    """
    found = {}
    for i, name in enumerate(("spearman", "apex_error", "true")):
        known = [value for curve in curves if (value := curve[i]) is not None]
        found[name] = round(float(np.mean(known)), 4) if known else None
    return found
