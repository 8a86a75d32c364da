"""Scores of action units for a set of weights: fitted on hits on validation faces.

The hits are those of the weights' own spotter in minutes of the examinations' recipe, on faces that
neither training nor an examination shows, since the scores are read on intervals as they are found.
Not from the papers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import UsageError
from ...runtime.engine import EngineSet
from ..unit_calibration import unit_calibration
from . import SEED
from .heldout import Column
from .movement import known_units
from .recordings import Say, silent
from .rendering import ClipPlan, recording_of, render_jobs, rendered
from .segments import segments

CLIPS = 120
CLIP_S = 60.0


def calibrate_units(
    engines: EngineSet,
    faces: Path,
    *,
    clips: int = CLIPS,
    workers: int = 1,
    progress: Say = silent,
) -> dict[str, Any]:
    """`unit_calibration` on the hits in minutes of validation faces.

    Raises UsageError for engines that tell no action units, DataError where the folder has no
    validation face, and for too few hits.
    """
    spec = engines.recognizer_spec
    if spec is None or not spec.units:
        raise UsageError(f"{engines.name}: tells no action units; train weights with such heads")
    jobs = render_jobs(faces, ClipPlan(clips, CLIP_S, SEED, "validation"), engines.spotter.side)
    column = Column([engines])
    for done, clip in enumerate(rendered(jobs, workers), 1):
        for recording in segments(recording_of(clip)):
            column.add(recording)
        progress(f"clip {done}/{clips}: {len(column.recognitions[0])} hits for unit scores")
    moved = [hit.movement for hit in column.recognitions[0] if hit.movement is not None]
    known, scores, truth = known_units(moved, spec)
    clusters = [one.cluster for one in known]
    return unit_calibration(np.asarray(scores, np.float64), truth, clusters, spec.units)
