"""Thresholds chosen inside the training subjects of each fold, on stored scores.

Weights stay as they are: a fold chooses T_CPN and T_CRN alone, by the rule of `calibration` (the
best F1), and the test subjects' intervals at these thresholds are pooled over the folds. Not from
the papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from ..data.annotations import Interval
from ..evaluation.calibration import Scored, best_thresholds, counts_at
from ..evaluation.stored_scores import VideoScores
from ..specs import SpotterSpec
from .folds import Fold, Readable, Split, Subject

TOLD = ("t_cpn", "t_crn", "f1", "truths", "minutes")  # of a fold's choice on its training subjects


@dataclass(frozen=True)
class SubjectVideo:
    """A video of a subject: its name, its scores, and its true micro-expressions by frame."""

    video: str
    scores: VideoScores
    truth: tuple[Interval, ...]

    @cached_property
    def clips(self) -> list[Scored]:
        """As calibration takes it."""
        return self.scores.clips([(row.onset, row.offset) for row in self.truth])


@dataclass(frozen=True)
class FoldThresholds:
    """What a fold chose, with the figures of its training subjects, and found in its test ones."""

    split: Split
    chosen: dict[str, Any]
    found: tuple[Interval, ...]

    def to_json(self) -> dict[str, Any]:
        """The fold, its test subjects, and the choice under the names of TOLD."""
        told = {name: self.chosen[name] for name in TOLD}
        return {"fold": self.split.name, "test": [str(one) for one in self.split.test], **told}


Read = Callable[[Subject], Sequence[SubjectVideo]]


def choose_in_folds(
    splits: Iterable[Split], read: Read, spec: SpotterSpec, fps: float | None = None
) -> list[FoldThresholds]:
    """The choice of each fold, and what is found in its test subjects with it.

    read: the videos of a subject; it should remember them, as each fold reads them again. spec: of
    the weights, whose other values stay. fps: of the intervals. Raises what `read` raises.
    """
    count = cache(counts_at)  # a clip is in the training part of many folds

    def choose(training: Readable[Sequence[SubjectVideo]]) -> dict[str, Any]:
        videos = [video for subject in training for video in training[subject]]
        clips = [clip for video in videos for clip in video.clips]
        return best_thresholds(clips, spec, count=count)

    results = []
    for split in splits:
        selected = Fold(split, read).select(choose)
        chosen = selected.choice
        at = replace(spec, t_cpn=chosen["t_cpn"], t_crn=chosen["t_crn"])
        found = [
            row
            for subject, videos in selected.test.items()
            for video in videos
            for row in intervals_at(subject, video, at, fps)
        ]
        results.append(FoldThresholds(split, chosen, tuple(found)))
    return results


def intervals_at(
    subject: Subject, video: SubjectVideo, spec: SpotterSpec, fps: float | None = None
) -> list[Interval]:
    """What is found in a video at the thresholds of `spec`, without labels."""
    return [
        Interval(subject.name, video.video, onset, None, offset, "micro", None, score, fps)
        for onset, offset, score in video.scores.found_at(spec)
    ]
