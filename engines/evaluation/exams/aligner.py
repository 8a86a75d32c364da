"""The real aligner's jitter on a sample of portraits, beside the range that the generator assumes.

Each portrait is put on a canvas at a random size, sways by a known motion, gets noise and a codec
(`engines.evaluation.crop_jitter`) and is aligned by MediaPipe and registration; what is left of the
known motion is the jitter that `Recipe.jitter_px` models. Not from the papers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...alignment.aligner import MediaPipeAligner
from ...data.faces import find_faces, load_face
from ...data.generator.timeline import Recipe
from ...errors import DataError
from ..crop_jitter import measure
from .cameras.film import compose
from .recordings import Say, silent

SHARE = 0.05  # of the portraits
WIDTHS_PX = (100.0, 250.0)  # of the mesh, log-uniform
SECONDS = 4.0
QUANTILES = (0.1, 0.5, 0.9)


def examine_aligner(
    faces: Path,
    *,
    share: float = SHARE,
    seed: int = 0,
    seconds: float = SECONDS,
    progress: Say = silent,
) -> dict[str, Any]:
    """Measure a share of the portraits; figures are their 10 %, 50 % and 90 % quantiles.

    motion_px: RMS length of the crop's own motion above 0.5 Hz; landmarks_px: the same without
    registration; survival: share of a known brow movement that is left; model_px: the range of the
    recipe's white jitter as such a length; within: share of the portraits below its upper end;
    faces and lost: how many portraits were measured, and were not. Raises DataError where no
    portrait can be measured.
    """
    rng = np.random.default_rng(seed)
    found = find_faces(faces)
    chosen = rng.permutation(len(found))[: max(1, round(share * len(found)))]
    rows = []
    for i, index in enumerate(chosen, 1):
        width = math.exp(rng.uniform(*np.log(WIDTHS_PX)))
        canvas, _ = compose(load_face(*found[index]), width)
        try:
            seen = measure(canvas, MediaPipeAligner, seed=i, seconds=seconds)
        except DataError as error:  # a portrait that the aligner loses is counted as lost
            progress(f"{found[index][0].name} at {width:.0f} px: {error}")
            continue
        rows.append((seen.motion_px_rms, seen.unregistered_px_rms, seen.me_survival))
        progress(f"{found[index][0].name} at {width:.0f} px: {seen}")
    if not rows:
        raise DataError(
            f"{faces}: the aligner lost all of {len(chosen)} portraits; give near-frontal ones"
        )
    return {"faces": len(rows), "lost": len(chosen) - len(rows), **_figures(rows)}


def _figures(rows: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """Quantiles over portraits; rows: RMS of the motion, the same unregistered, survival."""
    motion, landmarks, survival = np.array(rows).T
    model = [round(math.sqrt(2) * px, 3) for px in Recipe().jitter_px]
    return {
        "motion_px": _quantiles(motion),
        "landmarks_px": _quantiles(landmarks),
        "survival": _quantiles(survival),
        "model_px": model,
        "within": round(float((motion <= model[1]).mean()), 3),
    }


def _quantiles(values: Any) -> list[float]:
    return [round(float(q), 3) for q in np.quantile(values, QUANTILES)]
