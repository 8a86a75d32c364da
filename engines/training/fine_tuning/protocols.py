"""The folds of a protocol, and the recordings that they are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...data.aligned.recordings import AlignedRecording
from ...data.annotations import Interval
from ...errors import UsageError
from ..folds import Split, Subject, composite, cross_database, hold_out, leave_one_subject_out

LOSO = "loso"
HOLD_OUT = "hold-out"
CROSS_DATABASE = "cross-database"
COMPOSITE = "composite"
TEST_SHARE = 0.25  # of the people, unless told otherwise; not from the papers
MEANINGS = {
    LOSO: "each subject is tested with what the others taught",
    HOLD_OUT: "one draw of the subjects is tested with what the others taught",
    CROSS_DATABASE: "each data set is tested with what the others taught",
    COMPOSITE: "the clips of MEGC2019's composite; each subject is tested with what the others "
    "taught",
}
CHOSEN = (
    "number of steps and thresholds chosen inside the training subjects, by some of them that did "
    "not train, at the best F1 at IoU 0.5 in ticks; then all training subjects train"
)

Recordings = Sequence[AlignedRecording]


def subject_of(recording: AlignedRecording) -> Subject:
    """Whose recording it is."""
    return Subject(recording.dataset, recording.subject)


def folds_of(
    protocol: str, recordings: Recordings, share: float = TEST_SHARE, seed: int = 0
) -> tuple[list[Split], list[AlignedRecording]]:
    """The folds of a protocol, and the recordings that it is of.

    share, seed: of the draw of `hold-out`. Raises UsageError for an unknown protocol and where the
    composite lacks a set, DataError where a part of a fold is empty.
    """
    if protocol not in MEANINGS:
        raise UsageError(f"protocol {protocol!r}: choose one of {', '.join(MEANINGS)}")
    of = _composite(recordings) if protocol == COMPOSITE else list(recordings)
    subjects = {subject_of(each) for each in of}
    splits: dict[str, Callable[[], list[Split]]] = {
        LOSO: lambda: leave_one_subject_out(subjects),
        HOLD_OUT: lambda: [hold_out(subjects, share, seed)],
        CROSS_DATABASE: lambda: cross_database(subjects),
        COMPOSITE: lambda: leave_one_subject_out(subjects),
    }
    return splits[protocol](), of


def _composite(recordings: Recordings) -> list[AlignedRecording]:
    """The recordings with MEs of the composite, whose truth these alone are."""
    rows: dict[str, list[Interval]] = defaultdict(list)
    for each in recordings:
        rows[each.dataset] += each.truth
    kept = {
        (who, row.video): [own for own in found if own.video == row.video]
        for who, found in composite(rows).items()
        for row in found
    }
    return [
        replace(each, truth=tuple(kept[subject_of(each), each.video]))
        for each in recordings
        if (subject_of(each), each.video) in kept
    ]
