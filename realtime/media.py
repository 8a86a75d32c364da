"""Recorded sources, and video files among them. Every frame comes, at its own time, bounded before decoding.

How a file is opened and decoded stands in `engines.decoding`. Sizes are checked from headers, and damaged frames are
refused, not concealed: FFmpeg's concealment paints motion that no face made (measured on the sample with bytes flipped
in three packets: concealing gives all 1337 frames as if nothing were wrong, `err_detect=explode` refuses 8, two of the
three and those that copy from them).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import av
import av.container
import av.error

from engines.decoding import DEMUXERS, Track, open_video

from .errors import SourceError
from .intake import NS, Pace, RateCheck, SourceOptions
from .records import Frame, Gap, Pixels, SourceState
from .roll import Roll

DAMAGED = "damaged"  # the cause under which undecodable frames are counted


class Shot(NamedTuple):
    """One position of a recording: time since an arbitrary zero, and the image unless it could not be decoded."""

    at_ns: int
    image: Pixels | None


class Recorded(ABC):
    """What files and folders have in common. Iterate once; close() is safe from any thread."""

    live = False
    epoch = 0
    started_utc: str | None = None
    rate_hz: float | None = None

    def __init__(self, name: str, options: SourceOptions, pace: bool) -> None:
        self.name, self.options, self.pace = name, options, pace
        self.drops: dict[str, int] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()  # decoding and closing exclude each other

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration (wherever it is) and release the file."""
        self._closed.set()
        with self._lock:
            self._release()

    def __iter__(self) -> Iterator[Frame | Gap | SourceState]:
        check, pace, shots, first = RateCheck(self.options), Pace(self._closed), self._shots(), None
        for index, shot in enumerate(self._locked(shots)):
            if shot.image is None:
                self.drops[DAMAGED] = self.drops.get(DAMAGED, 0) + 1
                continue
            first = shot.at_ns if first is None else first
            at_ns = shot.at_ns - first
            if self.pace:
                pace.wait(at_ns)
            yield Frame(self.name, index, at_ns, shot.image)
            if warning := check.add(at_ns):
                yield SourceState(self.name, "warning", warning)
        if self._closed.is_set():
            return
        if first is None:
            raise SourceError(f"{self.name}: no frame could be decoded; check that the source is a video")
        yield from self._last_words(check)

    def _last_words(self, check: RateCheck) -> Iterator[SourceState]:
        if warning := check.finish():
            yield SourceState(self.name, "warning", warning)
        if damage := self._damage():
            yield SourceState(self.name, DAMAGED, damage)

    def _locked(self, shots: Iterator[Shot]) -> Iterator[Shot]:
        while True:
            with self._lock:
                shot = None if self._closed.is_set() else next(shots, None)
            if shot is None:
                return
            yield shot

    def _damage(self) -> str:
        count = self.drops.get(DAMAGED, 0)
        return f"{count} frames could not be decoded and were skipped" if count else ""

    @abstractmethod
    def _shots(self) -> Iterator[Shot]:
        """Frames as they are decoded."""

    def _release(self) -> None:  # noqa: B027 most hold nothing
        """Let go of what is open."""


class VideoFile(Recorded):
    """A video file. Times are its own presentation times, exact; the declared rate is shown and never used.

    Raises SourceError naming the path: not a readable file, not a video of a known kind, larger than the limits.
    """

    def __init__(self, path: Path, name: str, options: SourceOptions, pace: bool = False) -> None:
        super().__init__(name, options, pace)
        self.path = path
        self._short = self._broken = ""
        if not path.is_file():
            raise SourceError(f"{path}: {'not a file' if path.exists() else 'no such file'}; give a video to read")
        self._container = self._open()
        try:
            self._track = self._check()
        except SourceError:
            self._container.close()
            raise
        self._stream = self._track.stream
        rate = self._stream.average_rate
        self.rate_hz = float(rate) if rate else None
        self.duration_s = (self._container.duration or 0) / av.time_base  # as promised; 0 where the file does not say

    def _open(self) -> av.container.InputContainer:
        try:
            return open_video(self.path)
        except (av.error.FFmpegError, OSError) as error:
            why = error.strerror if isinstance(error, PermissionError) else "not a video that can be read"
            raise SourceError(f"{self.path}: {why} ({DEMUXERS.split(',')[0]}, matroska, avi, mpeg …)") from error

    def _check(self) -> Track:
        track, options = self._found(), self.options
        stream = track.stream
        if stream.codec_context is None:
            raise SourceError(f"{self.path}: no frame: no decoder for its video stream")
        if stream.width * stream.height > options.max_pixels:
            raise SourceError(
                f"{self.path}: {stream.width}x{stream.height}, expected at most {options.max_pixels} pixels"
            )
        seconds = (self._container.duration or 0) / av.time_base
        if seconds > options.max_seconds:
            raise SourceError(
                f"{self.path}: {seconds:.0f} s long, expected at most {options.max_seconds:.0f} s; cut it"
            )
        stream.codec_context.thread_count = 1  # one thread a stage
        track.configure(options.max_pixels)
        return track

    def _found(self) -> Track:
        try:
            track = Track.of(self._container)
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"{self.path}: not a video that can be read ({error.strerror})") from error
        if track is None:
            cover = ", only a cover or a still" if self._container.streams.video else ""
            raise SourceError(f"{self.path}: no frame: the file has no video stream{cover}; give a video")
        return track

    def _shots(self) -> Iterator[Shot]:
        base, at_ns, shown_ns = self._stream.time_base, 0, 0
        for stamp, frame in self._decoded():
            if frame is not None:
                if stamp is None:
                    raise SourceError(f"{self.path}: the video carries no times; convert it to mp4 or mkv")
                at_ns = stamp * base.numerator * NS // base.denominator
                shown_ns = (frame.duration or 0) * base.numerator * NS // base.denominator
            yield Shot(at_ns, None if frame is None else self._track.picture(frame))
        self._short = self._missing(at_ns + shown_ns)

    def _decoded(self) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
        """Time stamps and frames in display order; no frame where it cannot be decoded."""
        roll, packets = Roll(self._container.format.name == "avi"), self._track.packets()
        while packet := self._next(packets):
            roll.expect(packet)
            try:
                frames = [] if packet.is_corrupt else self._track.decode(packet)
            except (av.error.FFmpegError, OSError):
                frames = []
                roll.trouble = True
            for frame in frames:
                stamp = roll.stamp(frame)
                yield from [(None, None)] * roll.missing(stamp, frame.key_frame)
                yield stamp, None if frame.is_corrupt else frame
        yield from [(None, None)] * roll.missing(None)

    def _next(self, packets: Iterator[Any]) -> Any:
        """The next packet; an unreadable rest ends the file, and `_missing` says how much it was."""
        try:
            return next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            self._broken = f"reading stopped: {error.strerror}"
            return None

    def _missing(self, last_ns: int) -> str:
        """How much of the promised duration comes after the last frame; other streams may be longer than the video."""
        base = self._stream.time_base
        if self._stream.duration:
            end_s = float(((self._stream.start_time or 0) + self._stream.duration) * base)
        elif self._container.duration and len(self._container.streams) == 1:
            end_s = ((self._container.start_time or 0) + self._container.duration) / av.time_base
        else:
            return ""
        short = end_s - last_ns / NS
        return f"the file ends {short:.2f} s early" if short > self.options.lost_tail_s else ""

    def _damage(self) -> str:
        return "; ".join(part for part in (self._broken, self._short, super()._damage()) if part)

    def _release(self) -> None:
        self._container.close()
