"""A video file as a source: opened and checked before decoding, every frame at its own time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from microspot.engines.data.decoding import DEMUXERS, Track, open_video

from ..errors import SourceError
from .options import NS, SourceOptions
from .packet_ledger import PacketLedger
from .recorded import Recorded, Shot


class VideoFile(Recorded):
    """A video file. Times are its own presentation times, exact; the declared rate is shown and never used.

    Raises SourceError naming the path: not a readable file, not a video of a known kind, larger
    than the limits.
    """

    def __init__(self, path: Path, name: str, options: SourceOptions, pace: bool = False) -> None:
        super().__init__(name, options, pace)
        self.path = path
        self._short = self._broken = ""
        if not path.is_file():
            raise SourceError(
                f"{path}: {'not a file' if path.exists() else 'no such file'}; give a video to read"
            )
        self._container = self._open()
        try:
            self._track = self._check()
        except SourceError:
            self._container.close()
            raise
        self._stream = self._track.stream
        rate = self._stream.average_rate
        self.rate_hz = float(rate) if rate else None
        self.duration_s = (
            self._container.duration or 0
        ) / av.time_base  # as promised; 0 where the file does not say

    def _open(self) -> av.container.InputContainer:
        try:
            return open_video(self.path)
        except (av.error.FFmpegError, OSError) as error:
            why = (
                error.strerror
                if isinstance(error, PermissionError)
                else "not a video that can be read"
            )
            raise SourceError(
                f"{self.path}: {why} ({DEMUXERS.split(',')[0]}, matroska, avi, mpeg …)"
            ) from error

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
            raise SourceError(
                f"{self.path}: not a video that can be read ({error.strerror})"
            ) from error
        if track is None:
            cover = ", only a cover or a still" if self._container.streams.video else ""
            raise SourceError(
                f"{self.path}: no frame: the file has no video stream{cover}; give a video"
            )
        return track

    def _shots(self) -> Iterator[Shot]:
        base, at_ns, shown_ns = self._stream.time_base, 0, 0
        for stamp, frame in self._decoded():
            if frame is not None:
                if stamp is None:
                    raise SourceError(
                        f"{self.path}: the video carries no times; convert it to mp4 or mkv"
                    )
                at_ns = stamp * base.numerator * NS // base.denominator
                shown_ns = (frame.duration or 0) * base.numerator * NS // base.denominator
            yield Shot(at_ns, None if frame is None else self._track.picture(frame))
        self._short = self._missing(at_ns + shown_ns)

    def _decoded(self) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
        """Time stamps and frames in display order; no frame where it cannot be decoded."""
        roll, packets = PacketLedger(self._container.format.name == "avi"), self._track.packets()
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
