"""The crops of a data set as a set that training reads: `--cache` with the truth beside it.

What the aligner answered lies in `crop_cache`. Where each face was seen without a gap says the
stream itself, by the segments that its scores were kept for, so that training cuts as the stream
does. Not from the papers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from microspot.engines.data.aligned.recordings import (
    AlignedRecording,
    AlignedSegment,
    write_recording,
)
from microspot.engines.data.layouts import Recording
from microspot.engines.training.folds import Subject, hold_out

from ..crop_cache.stored import crop_times
from ..errors import DataError
from ..sinks.base import reason
from .compared import Compared
from .stored import Stored

VALIDATION = 0.1  # share of the people that `train spotter --data` validates on


def write_training_set(compared: Compared, folders: Mapping[Recording, Path]) -> None:
    """Write whose the crops are and what is true of them.

    folders: of the crops of each recording. Raises DataError where they cannot be written.
    """
    dataset = compared.annotations.dataset
    subjects = {Subject(dataset, each.recording.subject) for each in compared.stored}
    validation = hold_out(subjects, VALIDATION).test if len(subjects) > 1 else ()
    for stored in compared.stored:
        recording = stored.recording
        folder = folders[recording]
        apart = Subject(dataset, recording.subject) in validation
        try:
            write_recording(_aligned(compared, stored, folder, apart))
        except OSError as error:
            raise DataError(f"cannot write {folder}: {reason(error)}") from error


def _aligned(compared: Compared, stored: Stored, folder: Path, apart: bool) -> AlignedRecording:
    scores = stored.scores()
    origins = [segment.origin_ns for segment in scores.segments]
    return AlignedRecording(
        folder,
        compared.annotations.dataset,
        stored.recording.subject,
        stored.recording.video,
        compared.fps,
        stored.analysis.seconds,
        tuple(compared.truth_of(stored.recording)),
        scores.frame_index,
        scores.frame_ns,
        _segments(folder, origins),
        "validation" if apart else "train",
    )


def _segments(folder: Path, origins_ns: Sequence[int]) -> tuple[AlignedSegment, ...]:
    """The crops from each origin to the next one. Raises DataError for crops before the first."""
    times = crop_times(folder)
    edges = [*np.searchsorted(times, origins_ns).tolist(), len(times)]
    if edges[0] != 0 or any(np.diff(edges) <= 0):
        raise DataError(f"{folder} is not of the scores that were kept: remove the folder")
    return tuple(AlignedSegment(start, times[start:stop]) for start, stop in pairwise(edges))
