"""What realism compares: MEs of the recordings, and the faces that generated ones are shown on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from microspot.engines.data.faces import FaceAsset, find_faces, load_face
from microspot.engines.data.layouts import Recording
from microspot.engines.errors import DataError
from microspot.engines.evaluation.realism.following import Follower
from microspot.engines.evaluation.realism.measures import Points, Sample

from ..datasets.compared import Compared
from ..records import Frame, Pixels
from ..sources.open import open_source
from ..sources.synthetic_clip import neutral_face, sample_clip

MOST_PORTRAITS = 64  # that are held in memory; not from the papers


def real_movements(compared: Compared) -> list[Sample]:
    """The measures of the true MEs that have an apex and a face in all their frames.

    Each recording is read from its beginning to the last of its MEs. Raises SourceError where one
    has gone.
    """
    found = []
    with Follower() as follower:
        for stored in compared.stored:
            recording = stored.recording
            events = [
                Points(row.onset, row.apex, row.offset)
                for row in compared.truth_of(recording)
                if row.type == "micro" and row.apex is not None
            ]
            measures = follower.follow(_frames(recording, compared.fps), events)
            found += [Sample(recording.subject, each) for each in measures if each is not None]
    return found


def _frames(recording: Recording, fps: float) -> Iterator[tuple[int, int, Pixels]]:
    """Number, time (ns) and image of each frame; fps: of folders of images."""
    rate = fps if recording.path.is_dir() else None
    with open_source(str(recording.path), fps=rate) as source:
        for record in source:
            if isinstance(record, Frame):
                yield record.index, record.captured_ns, record.image


def portraits(folder: Path | None) -> list[FaceAsset]:
    """The faces that generated MEs are shown on; without a folder that of the packaged sample.

    Raises DataError where the folder has no usable one.
    """
    if folder is None:
        return [neutral_face(sample_clip())]
    usable = find_faces(folder)[:MOST_PORTRAITS]
    if not usable:
        raise DataError(f"{folder}: no neutral face among its portraits; give others")
    return [load_face(*each) for each in usable]
