"""Steps and thresholds of a fold, chosen by its training people alone.

Some of them are set apart. For each number of steps the others train and those set apart are
spotted; what finds them best is taken, with its thresholds. Then all of them train for so many
steps. Nothing here is given a test subject: see `folds.Fold`. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...data.aligned.recordings import AlignedRecording
from ...errors import DataError
from ...evaluation.calibration import best_thresholds
from ...runtime.engine import EngineSet
from ...specs import SpotterSpec
from ..folds import Readable, Subject, hold_out
from ..threshold_folds import SubjectVideo
from .networks import Tuner
from .scoring import scored

TOLD = ("t_cpn", "t_crn", "f1", "precision", "recall", "false_alarms_per_min", "truths", "minutes")

Owned = Sequence[AlignedRecording]  # the recordings of one subject
Score = Callable[[AlignedRecording, EngineSet], SubjectVideo]


@dataclass(frozen=True)
class Choice:
    """What a fold chose: engines, their spec with the thresholds, and the figures behind it.

    apart: the training subjects that chose; tried: steps, thresholds and figures of each trial.
    """

    engines: EngineSet
    spec: SpotterSpec
    steps: int
    apart: tuple[Subject, ...]
    tried: tuple[dict[str, Any], ...]


def choose(training: Readable[Owned], tuner: Tuner, score: Score = scored) -> Choice:
    """The choice of a fold; score: `scored`, or what remembers scores of the weights as given.

    Raises DataError for fewer than two training subjects.
    """
    config = tuner.config
    if len(training) < 2:
        raise DataError(
            "a fold has one training subject: two are needed, one to train and one to choose by"
        )
    inner = hold_out(training, config.inner_share, config.seed)
    learning = _recordings(training, inner.training)
    apart = _recordings(training, inner.test)
    tried = []
    for steps in config.steps:
        engines = tuner.tuned(learning, steps)
        clips = [clip for one in apart for clip in score(one, engines).clips]
        report = best_thresholds(clips, engines.spotter)
        tried.append({"steps": steps} | {name: report[name] for name in TOLD})
    best = max(tried, key=_merit)
    engines = tuner.tuned(_recordings(training, list(training)), best["steps"])
    spec = replace(engines.spotter, t_cpn=best["t_cpn"], t_crn=best["t_crn"])
    return Choice(engines, spec, best["steps"], inner.test, tuple(tried))


def _recordings(training: Readable[Owned], subjects: Sequence[Subject]) -> list[AlignedRecording]:
    return [recording for subject in subjects for recording in training[subject]]


def _merit(report: dict[str, Any]) -> tuple[float, float, int]:
    """The best F1, then fewer false alarms, then fewer steps."""
    return report["f1"], -report["false_alarms_per_min"], -report["steps"]
