"""What a recogniser makes of the hits: it is given the intervals as the spotter found them, not the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...clips import SECOND_NS, nearest_frames, thin
from ...intervals import rounded
from ...runtime.engine import EngineSet
from ..metrics import spearman, uf1_uar
from .recordings import SpottingResult

EPS = (
    0.1  # prototype at onset and offset; ranks, and so Spearman, are the same for any value below 1
)
Floats = NDArray[np.float64]
LABEL_FIELDS = {3: "label3", 5: "label5"}


@dataclass(frozen=True)
class RecognitionResult:
    """What a recogniser said of one hit: true and predicted class (None: the set has no such label), and its curve.

    follows: Spearman with the prototype; misses: |peak - apex| as a share of the found interval's length. tent: the
    same two of a curve that knows nothing but the interval, rises to its middle and falls again.
    """

    truth: int | None
    predicted: int
    sure: bool
    follows: float
    misses: float
    tent: tuple[float, float]


def read_hit(
    verdict: SpottingResult, found: int, truth: int, engines: EngineSet
) -> RecognitionResult:
    """Name a found interval and compare with the micro-expression that it hit.

    The prototype [S2 C16-C21] is linear through the true onset (EPS), apex (1) and offset (EPS), read at the times of
    the N positions of the found interval, EPS outside. What is compared follows [S2 C31], the measures are ours.
    """
    assert engines.recognizer_spec is not None
    labels = engines.recognizer_spec.labels
    movement = verdict.take.micros()[truth]
    at, probabilities, curve = recognize(verdict, found, engines)
    mu = np.interp(at, (movement.onset_ns, movement.apex_ns, movement.offset_ns), (EPS, 1.0, EPS))
    label = getattr(movement, LABEL_FIELDS[len(labels)])
    length, tent = max(at[-1] - at[0], 1.0), -np.abs(np.linspace(-1, 1, len(at)))
    return RecognitionResult(
        truth=labels.index(label) if label in labels else None,
        predicted=int(probabilities.argmax()),
        sure=bool(probabilities.max() >= engines.recognizer_spec.label_floor),
        follows=float(np.nan_to_num(spearman(curve, mu))),  # a constant curve follows nothing
        misses=float(abs(at[int(curve.argmax())] - movement.apex_ns) / length),
        tent=(
            float(spearman(tent, mu)),
            float(abs((at[0] + at[-1]) / 2 - movement.apex_ns) / length),
        ),
    )


def recognize(
    verdict: SpottingResult, found: int, engines: EngineSet
) -> tuple[Floats, Floats, Floats]:
    """Times (N,) in ns, class probabilities (C,) and intensities (N,) of a found interval, as the stream has them.

    Of the crops that the stream holds, those nearest to N even positions are taken (realtime/session.py).
    """
    assert engines.recognizer_spec is not None
    grid_hz, take = engines.spotter.grid_hz, verdict.take
    at = positions(verdict, found, engines.recognizer_spec.frames, grid_hz)
    held = thin(take.times_ns, grid_hz)
    clip = take.crops[held[nearest_frames(take.times_ns[held], at)]]
    out = engines.engine("recognizer")(clip=np.ascontiguousarray(clip)[None])
    return at, out["classes"][0].astype(np.float64), out["intensity"][0].astype(np.float64)


def positions(verdict: SpottingResult, found: int, frames: int, grid_hz: int) -> Floats:
    """(N,) even times (ns) from onset to offset of a found interval, as the event would have them."""
    onset = max(rounded(float(verdict.found.start[found])), 0)
    offset = max(rounded(float(verdict.found.stop[found])) - 1, onset)
    origin = int(verdict.take.times_ns[0])
    first, last = (
        origin + (2 * tick * SECOND_NS + grid_hz) // (2 * grid_hz) for tick in (onset, offset)
    )
    return np.linspace(first, last, frames, dtype=np.float64)


def recognition(readings: Sequence[RecognitionResult], labels: Sequence[str]) -> dict[str, Any]:
    """UF1, UAR and confusion {true: {predicted: count}} over the labelled hits, curve figures over all hits.

    `tent`: the figures of a curve that knows nothing but the interval. `uncertain` counts labelled hits under the label
    floor; they are judged by their best label all the same. Figures are None where there is nothing to judge.
    """
    matrix = np.zeros((len(labels), len(labels)), int)
    known = [r for r in readings if r.truth is not None]
    for r in known:
        matrix[r.truth, r.predicted] += 1
    uf1, uar = (round(x, 4) for x in uf1_uar(matrix)) if known else (None, None)
    return {
        "hits": len(readings), "labelled": len(known), "uf1": uf1, "uar": uar,
        "uncertain": sum(not r.sure for r in known),
        "confusion": {t: dict(zip(labels, row, strict=True)) for t, row in zip(labels, matrix.tolist(), strict=True)},
        **_curve_figures([(r.follows, r.misses) for r in readings]), "tent": _curve_figures([r.tent for r in readings]),
    }  # fmt: skip


def _curve_figures(pairs: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    means = np.mean(pairs, axis=0).round(4).tolist() if pairs else (None, None)
    return dict(zip(("spearman", "apex_error"), means, strict=True))
