"""Two tables compared once: what every figure of a report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from operator import attrgetter

import numpy as np

from ...data.annotations import TYPES, Interval
from .candidates import Candidates, Floats, Ints, candidates, columns, group_key, named
from .matching import check_rule, hits


class Comparison:
    """True and spotted intervals of all videos, and the pairs of them that overlap.

    lowest_iou: no figure asks for less. named: whether every row has a subject. Raises DataError as
    `candidates.group_key` does.
    """

    def __init__(
        self, truth: Sequence[Interval], found: Sequence[Interval], lowest_iou: float
    ) -> None:
        self.truth = truth
        self.found = found
        codes: dict[tuple[str, ...], int] = {}
        key = group_key(truth, found)
        self.true = columns(truth, key, codes)
        self.spotted = columns(found, key, codes)
        self._candidates = candidates(self.true, self.spotted, lowest_iou)
        self.hits = cache(self._hits)
        self.counts: dict[tuple[str, float], Floats] = {}  # of each subject, once they are made
        self.subjects = cache(self._subjects)
        self.kinds = cache(self._kinds)
        self.named = named(truth) and named(found)

    def candidates(self, iou: float) -> Candidates:
        """All pairs that reach an IoU."""
        return self._candidates.at(iou)

    def _hits(self, rule: str, iou: float) -> Candidates:
        """The pairs that a rule counts. Raises UsageError for a wrong rule or IoU."""
        check_rule(rule, iou)
        return hits(self.candidates(iou), self.true, self.spotted, rule)

    def pairs(self, rule: str, iou: float) -> list[tuple[Interval, Interval]]:
        """`hits` as rows (truth, found)."""
        chosen = self.hits(rule, iou)
        places = zip(chosen.truth.tolist(), chosen.found.tolist(), strict=True)
        return [(self.truth[t], self.found[f]) for t, f in places]

    def _kinds(self) -> tuple[Ints, Ints]:
        """Places in TYPES of all true rows (T,) and of all spotted rows (F,)."""
        place = {name: code for code, name in enumerate(TYPES)}
        true, spotted = (
            np.array([place[row.type] for row in rows], np.int64)
            for rows in (self.truth, self.found)
        )
        return true, spotted

    def _subjects(self) -> tuple[list[str], list[str]]:
        """Whose each true row (T,) and each spotted row (F,) is, for resampling.

        A spotted row without a subject is of the subject of its video's truth; a video that no
        subject is known of stands for itself. Empty lists where no row has a subject.
        """
        subject = attrgetter("subject")
        if self.named:
            return list(map(subject, self.truth)), list(map(subject, self.found))
        if not any(map(subject, self.truth)) and not any(map(subject, self.found)):
            return [], []
        of_video = {row.video: row.subject for row in (*self.found, *self.truth) if row.subject}
        true, spotted = (
            [row.subject or of_video.get(row.video, f"video {row.video}") for row in rows]
            for rows in (self.truth, self.found)
        )
        return true, spotted

    def videos(self) -> dict[str, int]:
        """How many videos have truth, how many spotted intervals, and how many one alone."""
        video = attrgetter("subject", "video") if self.named else attrgetter("video")
        true, spotted = (set(map(video, rows)) for rows in (self.truth, self.found))
        return {
            "with_truth": len(true),
            "with_spotted": len(spotted),
            "truth_alone": len(true - spotted),
            "spotted_alone": len(spotted - true),
        }
