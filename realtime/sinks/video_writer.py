"""The overlay as an H.264 file (.mp4).

The file is written in fragments and turned into an ordinary MP4 on closing (FFmpeg's
`hybrid_fragmented`): browsers play and seek it, and after a crash every closed fragment still
plays. A frame waits for the encoder's look-ahead and for its fragment to close, so both are short.
Measured with signal 9 at every third frame of a talking face: at most 15 frames of 30 Hz are
missing (40 with the encoder's own look-ahead and a fragment per key frame); a `faststart` file
does not play at all. Frames carry their capture times, so the file keeps the uneven rate of a
camera.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from microspot.engines.text.redaction import printable

from ..errors import DataError, UsageError
from ..records import Frame, Pixels, View
from .base import reason
from .picture_sink import PictureSink
from .run_log import RunLog

TIME_BASE = Fraction(1, 90_000)  # the clock of MPEG; divides 24, 25, 30, 50 and 60 Hz
NOMINAL_HZ = 30  # what the rate control assumes; the times on the frames decide
KEYFRAME_EVERY = 30  # frames: how coarsely a player seeks
# Frames held back by the encoder. With none, files are three times as large; 10 gain 0.3 dB.
LOOKAHEAD_FRAMES = 2
# Longest fragment. It and the look-ahead are what a crash costs: less than 1 s down to 5 Hz.
FRAGMENT_US = 400_000
CODEC_OPTIONS = {
    "preset": "veryfast",
    "crf": "21",
    "bf": "0",  # no B frames: the first frame is at time 0
    "g": str(KEYFRAME_EVERY),
    "rc-lookahead": str(LOOKAHEAD_FRAMES),
}
CONTAINER_OPTIONS = {
    "movflags": "hybrid_fragmented",
    "frag_duration": str(FRAGMENT_US),
    "flush_packets": "1",
}
BT709 = 1  # H.264's code for the colours that browsers assume of HD video


def require_codec(name: str, path: Path) -> None:
    """Raise DataError where PyAV cannot write `path`, since it has no codec `name`."""
    if name not in av.codecs_available:
        raise DataError(
            f"cannot write {path}: this PyAV has no {name}; install PyAV's wheel from PyPI"
        )


class VideoWriter:
    """Writes BGR images of any size with their capture times.

    The first image decides the size of the video. An existing file is overwritten. Raises DataError
    when the path cannot be written or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = 0
        self._first_ns = 0
        self._last_pts = -1
        self._stream: VideoStream | None = None
        self._file: OutputContainer | None
        # An absolute path cannot be taken for one of FFmpeg's network protocols.
        absolute = str(path.absolute())
        try:
            path.open("wb").close()  # PyAV opens the file at the first frame: too late to refuse it
            self._file = av.open(absolute, "w", format="mp4", options=CONTAINER_OPTIONS)
        except OSError as error:
            raise self._refusal(error) from error

    def write(self, image: Pixels, captured_ns: int) -> None:
        """Append an HxWx3 BGR image; one less than a 90 kHz tick after the last is left out."""
        if self._file is None:
            raise ValueError(f"{self.path} is closed")
        stream = self._stream or self._begin(self._file, image, captured_ns)
        pts = round(Fraction(captured_ns - self._first_ns, 10**9) / TIME_BASE)
        if pts <= self._last_pts:
            return
        fitted = _fitted(image, stream.width, stream.height)
        frame = av.VideoFrame.from_ndarray(fitted, format="bgr24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", threads=1
        )
        frame.pts = pts
        frame.time_base = TIME_BASE
        self._mux(self._file, stream, frame)
        self._last_pts = pts
        self.frames += 1

    def close(self) -> None:
        """Finish the file; one without a frame is removed.

        Raises DataError when the disk is full.
        """
        file = self._file
        self._file = None
        if file is None:
            return
        try:
            if self._stream is not None:
                file.mux(self._stream.encode(None))
            file.close()
        except OSError as error:
            _abandon(file)
            raise self._refusal(error) from error
        if not self.frames and self.path.is_file():
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, file: OutputContainer, image: Pixels, captured_ns: int) -> VideoStream:
        """Add the video stream, in the size of the first image, at its time."""
        require_codec("libx264", self.path)
        stream = file.add_stream("libx264", rate=NOMINAL_HZ, options=CODEC_OPTIONS)
        height, width = image.shape[:2]
        stream.height = height + height % 2  # H.264 in 4:2:0 wants even sizes
        stream.width = width + width % 2
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base = TIME_BASE
        codec.thread_count = 1  # one thread per stage
        codec.colorspace = BT709
        codec.color_primaries = BT709
        codec.color_trc = BT709
        codec.color_range = av.video.reformatter.ColorRange.MPEG
        self._stream = stream
        self._first_ns = captured_ns
        return stream

    def _mux(self, file: OutputContainer, stream: VideoStream, frame: av.VideoFrame) -> None:
        try:
            file.mux(stream.encode(frame))
        except OSError as error:
            self._file = None
            _abandon(file)
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> DataError:
        return DataError(f"cannot write {self.path}: {reason(error)}")


def _abandon(file: OutputContainer) -> None:
    """Close a file whose failure is being reported; closing it meets the same error again."""
    with contextlib.suppress(OSError):
        file.close()


def _fitted(image: Pixels, width: int, height: int) -> Pixels:
    """`image` in width x height: padded by a pixel where that makes it fit, else scaled.

    What a scaled image leaves free is black.
    """
    rows, columns = image.shape[:2]
    if not (0 <= height - rows <= 1 and 0 <= width - columns <= 1):
        scale = min(width / columns, height / rows)
        columns = max(1, int(columns * scale))
        rows = max(1, int(rows * scale))
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    out = np.zeros((height, width, 3), np.uint8)
    out[:rows, :columns] = image
    return out


class VideoSink(PictureSink):
    """The overlay as an H.264 file with the frames' own times; one source per file.

    Beside it lies the log of the recording (see `run_log`).
    """

    def __init__(self, path: Path, arrows: bool = False) -> None:
        super().__init__(arrows)
        self._log = RunLog(path)
        self._writer = VideoWriter(path)
        self.note = f"recording to {printable(path.name)}"
        self.notes = (self.note,)

    def write(self, record: dict[str, Any]) -> None:
        """Keep the log; raises UsageError where the `start` record names several sources."""
        if record["type"] == "start" and len(record["sources"]) > 1:
            name = self._writer.path.name
            count = len(record["sources"])
            raise UsageError(
                f"{name} shows one source, not {count}; name one source, or leave {name} out"
            )
        self._log.take(record)
        super().write(record)

    def draw(self, frame: Frame, views: Sequence[View]) -> None:
        """Append the overlay of a frame."""
        self._writer.write(self.picture(frame, views), frame.captured_ns)

    def close(self) -> None:
        """Finish the file; without a frame there is neither file nor log."""
        self._writer.close()
        if not self._writer.frames:
            self._log.remove()
