"""An event as a loop: the face as it was, beside the same with its movement magnified.

Made when it is asked for, as the report of `analyze --stills` makes it, of the frames that the
review reads by their index. One is made at a time, frame by frame, and given up as soon as another
event is wanted or none. The crops of one event are kept (10 kB a frame of a webcam) and the
loops made of them, so that another gain costs no decoding.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

from microspot.engines.alignment.aligner import Aligner
from microspot.engines.alignment.bridge import Bridge
from microspot.engines.magnification.magnify import Magnification

from ..analyze.pictures.event_pictures import AROUND_S, magnified_loop
from ..analyze.pictures.steady_crops import SteadyCrop, steady_picture
from ..errors import SourceError, UsageError
from ..sinks.base import JsonRecord
from .faces import NewAligner, RecordingAligner, new_aligner
from .frames import Frames, TimedFrame
from .results import VideoResults

MOST_FRAMES = 480  # of an event: 2 s at 240 Hz
LOOP_BYTES = 1_000_000  # most of a loop; of a webcam it has a tenth of that

Place = tuple[str, str, int, int]  # folder, id, onset and offset: what crops are made of


@dataclass(frozen=True, eq=False)
class _Kept:
    """The crops of one event, and the loops by gain."""

    place: Place
    crops: list[SteadyCrop]
    loops: dict[float, bytes] = field(default_factory=dict)


class Replays:
    """Loops of events; for several threads."""

    def __init__(self, frames: Frames, new: NewAligner = new_aligner) -> None:
        self._frames = frames
        self._aligner = RecordingAligner(new)
        self._at_work = threading.Lock()
        self._wanted: tuple[Place, float] | None = None  # the newest request
        self._kept: _Kept | None = None

    def loop(self, video: VideoResults, event: JsonRecord, gain: float) -> bytes | None:
        """The WebP of an event, movement `gain` times as large; None where it was given up.

        Raises SourceError where no face is found, UsageError for an event without an offset or one
        of more than MOST_FRAMES, ValueError for a gain that is not allowed.
        """
        magnification = Magnification(gain)
        place = _place(video, event)
        wanted = (place, gain)
        self._wanted = wanted
        with self._at_work:
            if self._kept is None or self._kept.place != place:
                self._kept = None
                crops = self._crops(video, event, place)
                if crops is None:
                    return None
                self._kept = _Kept(place, crops)
            if self._wanted != wanted:
                return None
            loops = self._kept.loops
            if gain not in loops:
                loops[gain] = magnified_loop(event, self._kept.crops, magnification, LOOP_BYTES)
            return loops[gain]

    def stop(self) -> None:
        """Give up what is being made."""
        self._wanted = None

    def close(self) -> None:
        """Give up what is being made, and free what is open."""
        self.stop()
        with self._at_work:
            self._aligner.close()

    def _crops(
        self, video: VideoResults, event: JsonRecord, place: Place
    ) -> list[SteadyCrop] | None:
        """The face from a little before the onset to as much after the offset; None: given up."""
        *_, onset, offset = place
        around = math.ceil(AROUND_S * video.rate_hz)
        aligner = self._aligner.of(video)
        bridge = Bridge()
        crops: list[SteadyCrop] = []
        for index in range(max(0, onset - around), min(video.frames, offset + around + 1)):
            if self._wanted is None or self._wanted[0] != place:
                return None
            frame = self._frames.frame(video.folder, index)
            if frame is None:
                continue
            bridge.see(frame.at_ns)
            crop = _crop(aligner, frame, event["face"])
            if crop is None:
                continue
            if crops and not bridge.spans(crops[-1].captured_ns, crop.captured_ns):
                # the aligner holds the face in another place from here on: it would seem to move
                if crops[-1].index >= offset:
                    break
                crops.clear()
            crops.append(crop)
        if not crops or crops[0].index > onset or crops[-1].index < offset:
            raise SourceError(f"no face was found all through frames {onset} to {offset}")
        return crops


def _place(video: VideoResults, event: JsonRecord) -> Place:
    onset = event["onset_frame"]
    offset = event["offset_frame"]
    if offset is None:
        raise UsageError("a replay goes from onset to offset: go to the offset's frame, then F")
    if offset - onset >= MOST_FRAMES:
        raise UsageError(f"a replay has at most {MOST_FRAMES} frames, from onset to offset")
    return video.folder, event["id"], onset, offset


def _crop(aligner: Aligner, frame: TimedFrame, face: int) -> SteadyCrop | None:
    """The face with a number in a frame; None where it is not used."""
    for found in aligner(frame.image, frame.at_ns).faces:
        if found.face == face:
            side = found.pixels.shape[-1]
            picture = steady_picture(frame.image, found.affine, side)
            return SteadyCrop.of(frame.index, frame.at_ns, picture)
    return None
