"""Frames of a recording by their index, exactly.

Of a file with times the packets are read once, without decoding: their times in order are those of
its frames. A run of frames is then decoded from the key frame before it. That holds where there are
as many packets as frames that `analyze` counted; damaged files, those without times, folders and
samples are read from their start, or on from where the last run ended.
"""

from __future__ import annotations

import bisect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Self, TypeVar

import av
import av.container
import av.error
import cv2
import numpy as np

from microspot.engines.clips import SECOND_NS
from microspot.engines.data.decoding import VideoTrack, open_video

from ..errors import SourceError
from ..records import Frame, Pixels
from ..sources.address import parse
from ..sources.capture.packets import to_ns
from ..sources.open import open_source
from ..sources.options import SourceOptions
from .results import VideoResults

MOST_OPEN = 2  # recordings
WITHOUT_TIMES = ("avi",)  # containers whose frames have no times of their own
MOVED = "start again with --videos FOLDER, the folder in which it lies"
WIDEST = 1280  # px of a picture that is shown
QUALITY = 90  # of its JPEG

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """A frame of a recording: its index, its stream time in ns, and (H, W, 3) BGR."""

    index: int
    at_ns: int
    image: Pixels


class FrameReader(ABC):
    """Reads runs of frames of one recording."""

    @abstractmethod
    def read(self, first: int, stop: int) -> Iterator[TimedFrame]:
        """Those of the frames first to stop - 1 that there are. Raises SourceError."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


class PlayedReader(FrameReader):
    """Any recording that `open_source` takes, from its start on."""

    def __init__(self, address: str, fps: float | None) -> None:
        self._address = address
        self._fps = fps
        self._last = -1  # index of the newest frame that was read
        self._open()

    def read(self, first: int, stop: int) -> Iterator[TimedFrame]:
        """See FrameReader."""
        if first <= self._last:
            self.close()
            self._open()
        if first >= stop:
            return
        for record in self._records:
            if not isinstance(record, Frame):
                continue
            self._last = record.index
            if first <= record.index < stop:
                yield TimedFrame(record.index, record.captured_ns, record.image)
            if record.index >= stop - 1:
                return

    def close(self) -> None:
        """See FrameReader."""
        self._source.close()

    def _open(self) -> None:
        self._source = open_source(self._address, fps=self._fps)
        self._records = iter(self._source)
        self._last = -1


class UnevenFileError(Exception):
    """The packets of a file do not tell which frame is which."""


class FileReader(FrameReader):
    """A video file of so many frames, by its key frames. Raises UnevenFileError, SourceError."""

    def __init__(self, path: Path, frames: int) -> None:
        try:
            self._stamps, self._keys, self._base = _index(path)
            if not len(self._stamps) == len(set(self._stamps)) == frames > 0:
                raise UnevenFileError
            self._container = open_video(path)
            try:
                self._track = _track(self._container)
            except BaseException:
                self._container.close()
                raise
        except (av.error.FFmpegError, OSError) as error:
            raise UnevenFileError from error
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next = -1  # index of the frame that comes next; -1 for none

    def read(self, first: int, stop: int) -> Iterator[TimedFrame]:
        """See FrameReader; UnevenFileError where another frame comes than is due."""
        stop = min(stop, len(self._stamps))
        if first >= stop:
            return
        if first != self._next:
            self._frames = self._from_key(first)
        self._next = -1
        try:
            for index in range(first, stop):
                frame = next(self._frames, None)
                if frame is None or frame.pts != self._stamps[index]:
                    raise UnevenFileError
                yield TimedFrame(index, self._at_ns(index), self._track.picture(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise UnevenFileError from error
        self._next = stop

    def _at_ns(self, index: int) -> int:
        """Stream time, as `VideoFile` tells it."""
        at_ns = to_ns(self._stamps[index], self._base) or 0
        return at_ns - (to_ns(self._stamps[0], self._base) or 0)

    def _from_key(self, first: int) -> Iterator[av.VideoFrame]:
        """Frames from `first` on, decoded from the key frame at or before it."""
        due = self._stamps[first]
        key = self._keys[max(0, bisect.bisect_right(self._keys, due) - 1)]
        self._container.seek(key, stream=self._track.stream)
        for packet in self._container.demux(self._track.stream):
            for frame in self._track.decode(packet):
                # what comes before the key frame in time is not whole
                if frame.pts is None or frame.pts >= due:
                    yield frame

    def close(self) -> None:
        """See FrameReader."""
        self._container.close()


def _track(container: av.container.InputContainer) -> VideoTrack:
    """The track that `VideoFile` watches, ready to be decoded."""
    track = VideoTrack.of(container)
    if track is None or track.stream.codec_context is None:
        raise UnevenFileError
    track.stream.codec_context.thread_count = 1
    track.configure(SourceOptions().max_pixels)
    return track


def _index(path: Path) -> tuple[list[int], list[int], Fraction]:
    """Times of all frames and of the key frames, each in order, and their time base."""
    stamps: list[int] = []
    keys: list[int] = []
    with open_video(path) as container:
        if container.format.name in WITHOUT_TIMES:
            raise UnevenFileError
        track = _track(container)
        for packet in track.packets():
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None:
                raise UnevenFileError
            stamps.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        return sorted(stamps), sorted(keys), Fraction(track.stream.time_base)


class Frames:
    """Frames of the recordings of a review, as JPEG; for several threads.

    videos: by folder; addresses: where each of them is, by folder.
    """

    def __init__(self, videos: Iterable[VideoResults], addresses: Mapping[str, str]) -> None:
        self._videos = {video.folder: video for video in videos}
        self._addresses = dict(addresses)
        self._lock = threading.Lock()
        self._open: dict[str, FrameReader] = {}  # the one that was used last comes last
        self._times_s: dict[tuple[str, int], float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            for reader in self._open.values():
                reader.close()
            self._open.clear()

    def pictures(self, video: str, first: int, stop: int) -> list[tuple[int, bytes]]:
        """Indices and JPEGs of those of the frames first to stop - 1 that there are.

        Raises SourceError where the recording is not there or cannot be read.
        """
        return self._read(video, first, stop, lambda frame: (frame.index, _jpeg(frame.image)))

    def frame(self, video: str, index: int) -> TimedFrame | None:
        """A frame as it was recorded, None where there is none. Raises SourceError.

        Frames one after the other are not decoded twice.
        """
        return next(iter(self._read(video, index, index + 1, lambda frame: frame)), None)

    def time_s(self, video: str, index: int) -> float:
        """Stream time of a frame. Raises SourceError where it cannot be read."""
        if (video, index) not in self._times_s:
            self.pictures(video, index, index + 1)
        try:
            return self._times_s[video, index]
        except KeyError:
            raise SourceError(f"{video}: frame {index} cannot be read") from None

    def _read(
        self, video: str, first: int, stop: int, made: Callable[[TimedFrame], Made]
    ) -> list[Made]:
        """What is made of each of the frames first to stop - 1 that there are."""
        with self._lock:
            try:
                return self._timed(video, first, stop, made)
            except UnevenFileError:
                self._open[video] = self._played(video)
                return self._timed(video, first, stop, made)

    def _timed(
        self, video: str, first: int, stop: int, made: Callable[[TimedFrame], Made]
    ) -> list[Made]:
        """What is made of each frame; their times are kept. A reader that fails is closed."""
        reader = self._reader(video)
        found = []
        try:
            for frame in reader.read(first, stop):
                self._times_s[video, frame.index] = round(frame.at_ns / SECOND_NS, 6)
                found.append(made(frame))
        except (UnevenFileError, SourceError):
            self._open.pop(video).close()
            raise
        return found

    def _reader(self, video: str) -> FrameReader:
        """The reader of a video, which is opened if it is not; the one unused longest is closed."""
        reader = self._open.pop(video, None) or self._new_reader(video)
        self._open[video] = reader
        if len(self._open) > MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()
        return reader

    def _new_reader(self, video: str) -> FrameReader:
        address = self._addresses[video]
        if not address:
            raise SourceError(f"{video}: where it lies is not known; {MOVED}")
        if parse(address).kind == "file":
            if not Path(address).is_file():
                raise SourceError(f"{address}: no such file; {MOVED}")
            if not self._videos[video].damaged:
                with suppress(UnevenFileError):
                    return FileReader(Path(address), self._videos[video].frames)
        return self._played(video)

    def _played(self, video: str) -> FrameReader:
        return PlayedReader(self._addresses[video], self._videos[video].fps)


def _jpeg(image: Pixels) -> bytes:
    """A picture as it is shown."""
    height, width = image.shape[:2]
    if width > WIDEST:
        size = (WIDEST, max(1, round(height * WIDEST / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    return bytes(data)
