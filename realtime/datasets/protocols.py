"""What counts as found in a data set: the events as they came, or what folds chose thresholds for.

Both are made from what one run of the recordings left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from microspot.engines.data.annotations import Interval
from microspot.engines.evaluation.stored_scores import KEPT_T_CPN, KEPT_T_CRN
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.folds import Subject, leave_one_subject_out
from microspot.engines.training.threshold_folds import (
    SubjectVideo,
    choose_in_folds,
    intervals_at,
)

from ..config import Settings
from ..errors import UsageError
from .compared import Compared

ZERO_SHOT = "zero-shot"
LOSO_THRESHOLDS = "loso-thresholds"
MEANINGS = {
    ZERO_SHOT: "weights and thresholds as they were given, none chosen on this data set",
    LOSO_THRESHOLDS: "weights as they were given; T_CPN and T_CRN of each subject chosen on the "
    "other subjects alone, by the best F1 at IoU 0.5 in ticks; intervals pooled; no labels",
}


@dataclass(frozen=True)
class Found:
    """The intervals of a protocol, and what the report says of how they came.

    everything: what is found at the low thresholds that scores were kept for, for the average
    precision.
    """

    intervals: Sequence[Interval]
    everything: Sequence[Interval]
    delays_s: Sequence[float]
    protocol: dict[str, Any]


def check_protocol(name: str, settings: Settings) -> None:
    """Raise UsageError for an unknown protocol, thresholds beside those of the folds, and a memory.

    What is found at low thresholds, which every protocol needs, comes from stored scores, and these
    know no memory of rejected events.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"protocol {name!r}: choose one of {', '.join(PROTOCOLS)}")
    given = (settings.threshold, settings.proposal_threshold, settings.alarms_per_min)
    if name == LOSO_THRESHOLDS and given != (None, None, None):
        raise UsageError(
            f"--protocol {LOSO_THRESHOLDS} chooses the thresholds: leave --threshold, "
            "--alarms-per-min and the setting proposal_threshold out"
        )
    if settings.memory is not None:
        raise UsageError(
            f"--protocol {name} scores a data set without a memory of rejected events: leave the "
            "setting memory out"
        )


def find(name: str, compared: Compared, spec: SpotterSpec) -> Found:
    """What is found by a protocol; spec: of the run.

    Raises DataError where stored scores cannot be read, and for folds of fewer than two subjects.
    """
    return PROTOCOLS[name](compared, spec)


def _zero_shot(compared: Compared, spec: SpotterSpec) -> Found:
    events = [row for each in compared.stored for row in each.intervals(compared.fps)]
    delays_s = [delay for each in compared.stored for delay in each.delays_s()]
    told = {"name": ZERO_SHOT, "means": MEANINGS[ZERO_SHOT]}
    return Found(events, _everything(compared, spec), delays_s, told)


def _loso_thresholds(compared: Compared, spec: SpotterSpec) -> Found:
    subjects = {_subject(compared, each.recording.subject) for each in compared.stored}
    splits = leave_one_subject_out(subjects)
    results = choose_in_folds(splits, _reader(compared), spec, compared.fps)
    found = [row for result in results for row in result.found]
    told = {
        "name": LOSO_THRESHOLDS,
        "means": MEANINGS[LOSO_THRESHOLDS],
        "folds": [result.to_json() for result in results],
    }
    return Found(found, _everything(compared, spec), (), told)


PROTOCOLS: dict[str, Callable[[Compared, SpotterSpec], Found]] = {
    ZERO_SHOT: _zero_shot,
    LOSO_THRESHOLDS: _loso_thresholds,
}


def _subject(compared: Compared, name: str) -> Subject:
    return Subject(compared.annotations.dataset, name)


def _reader(compared: Compared) -> Callable[[Subject], list[SubjectVideo]]:
    """Gives the videos of a subject, read from the disk when they are first asked for."""

    @cache
    def read(subject: Subject) -> list[SubjectVideo]:
        return [
            SubjectVideo(
                each.recording.video,
                each.scores(),
                tuple(row for row in compared.truth_of(each.recording) if row.type == "micro"),
            )
            for each in compared.stored
            if each.recording.subject == subject.name
        ]

    return read


def _everything(compared: Compared, spec: SpotterSpec) -> list[Interval]:
    """What is found at the low thresholds in all recordings."""
    low = replace(spec, t_cpn=min(KEPT_T_CPN, spec.t_cpn), t_crn=min(KEPT_T_CRN, spec.t_crn))
    found: list[Interval] = []
    for each in compared.stored:
        subject = _subject(compared, each.recording.subject)
        video = SubjectVideo(each.recording.video, each.scores(), ())
        found += intervals_at(subject, video, low, compared.fps)
    return found
