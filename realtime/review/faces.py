"""Where the face of an event is, in the frames of its recording.

`analyze` writes down events and no places, so the face is looked for again, by the aligner that
found it there. It numbers faces anew, the largest first: where a recording has several, a number
may be that of another face than in the analysis.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import (
    Aligner,
    AlignOptions,
    Face,
    MediaPipeAligner,
    Refused,
)

from ..errors import SourceError
from ..sinks.base import JsonRecord
from .frames import Frames, TimedFrame
from .results import VideoResults

MARGIN = 0.15  # shown around a face on each side, of its width and height

Box = tuple[float, float, float, float]  # left, top, width, height: shares of the picture
NewAligner = Callable[[int], Aligner]  # for so many faces


def new_aligner(faces: int) -> Aligner:
    """An aligner that looks for a missing face in every frame. Raises EngineError."""
    return MediaPipeAligner(faces=faces, options=AlignOptions(search_ns=0))


class RecordingAligner:
    """The aligner of one recording at a time, opened when it is first asked for."""

    def __init__(self, new: NewAligner) -> None:
        self._new = new
        self._faces = 0
        self._aligner: Aligner | None = None

    def of(self, video: VideoResults) -> Aligner:
        """An aligner that knows no face yet, for as many as the events of a video have."""
        faces = 1 + max((event["face"] for event in video.events.values()), default=0)
        if self._aligner is None or faces != self._faces:
            self.close()
            self._aligner = self._new(faces)
            self._faces = faces
        self._aligner.reset()
        return self._aligner

    def close(self) -> None:
        """Free what it holds."""
        if self._aligner is not None:
            self._aligner.close()
        self._aligner = None


class Faces:
    """The places of events' faces, each looked for once; for several threads."""

    def __init__(self, frames: Frames, new: NewAligner = new_aligner) -> None:
        self._frames = frames
        self._aligner = RecordingAligner(new)
        self._lock = threading.Lock()
        self._boxes: dict[tuple[str, str], Box | None] = {}  # by folder and id; None for no face

    def box(self, video: VideoResults, event: JsonRecord) -> Box:
        """The face of an event at its onset, with a margin.

        Raises SourceError where there is none and where the frame cannot be read.
        """
        name = (video.folder, event["id"])
        onset = event["onset_frame"]
        with self._lock:
            if name not in self._boxes:
                frame = self._frames.frame(video.folder, onset)
                if frame is None:
                    raise SourceError(f"frame {onset} cannot be read")
                self._boxes[name] = self._found(video, frame, event["face"])
            box = self._boxes[name]
        if box is None:
            raise SourceError(f"no face was found in frame {onset}")
        return box

    def close(self) -> None:
        """Free what is open."""
        with self._lock:
            self._aligner.close()

    def _found(self, video: VideoResults, frame: TimedFrame, face: int) -> Box | None:
        """The place of a face, also of one that is turned away."""
        alignment = self._aligner.of(video)(frame.image, frame.at_ns)
        seen: tuple[Face | Refused, ...] = (*alignment.faces, *alignment.refused)
        for found in seen:
            if found.face == face:
                return _with_margin(found.outline, frame.image.shape)
        return None


def _with_margin(outline: NDArray[np.float32], shape: tuple[int, ...]) -> Box:
    """The box around an outline (N, 2) in px of a picture of a shape (H, W, 3), within it."""
    size = np.array([shape[1], shape[0]])
    first = outline.min(0) / size
    last = outline.max(0) / size
    margin = MARGIN * (last - first)
    left, top = np.clip(first - margin, 0, 1).tolist()
    right, bottom = np.clip(last + margin, 0, 1).tolist()
    return left, top, right - left, bottom - top
