"""A video file as a source: opened and checked before decoding, every frame at its own time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from microspot.engines.clips import SECOND_NS
from microspot.engines.data.decoding import DEMUXERS, VideoTrack, open_video

from ..errors import SourceError
from .capture.packets import to_ns
from .options import SourceOptions
from .packet_ledger import PacketLedger
from .recorded import DecodedFrame, RecordedSource


class VideoFile(RecordedSource):
    """A video file.

    Times are its own presentation times, exact; the declared rate is shown and never used. Raises
    SourceError naming the path: not a readable file, not a video of a known kind, larger than the
    limits.
    """

    def __init__(self, path: Path, name: str, options: SourceOptions, pace: bool = False) -> None:
        super().__init__(name, options, pace)
        self.path = path
        self._short = ""  # how much of the promised duration is missing at the end
        self._broken = ""  # why reading stopped before the end
        if not path.is_file():
            why = "not a file" if path.exists() else "no such file"
            raise SourceError(f"{path}: {why}; give a video to read")
        self._container = self._open()
        try:
            self._track = self._check()
        except SourceError:
            self._container.close()
            raise
        self._stream = self._track.stream
        rate = self._stream.average_rate
        self.rate_hz = float(rate) if rate else None
        # As promised; 0 where the file does not say.
        self.duration_s = (self._container.duration or 0) / av.time_base

    def _open(self) -> av.container.InputContainer:
        try:
            return open_video(self.path)
        except (av.error.FFmpegError, OSError) as error:
            forbidden = isinstance(error, PermissionError)
            why = error.strerror if forbidden else "not a video that can be read"
            raise SourceError(
                f"{self.path}: {why} ({DEMUXERS.split(',')[0]}, matroska, avi, mpeg …)"
            ) from error

    def _check(self) -> VideoTrack:
        """The video's track, if it can be decoded and lies within the limits."""
        track = self._find_track()
        options = self.options
        stream = track.stream
        if stream.codec_context is None:
            raise SourceError(f"{self.path}: no frame: no decoder for its video stream")
        if stream.width * stream.height > options.max_pixels:
            raise SourceError(
                f"{self.path}: {stream.width}x{stream.height}, "
                f"expected at most {options.max_pixels} pixels"
            )
        seconds = (self._container.duration or 0) / av.time_base
        if seconds > options.max_seconds:
            raise SourceError(
                f"{self.path}: {seconds:.0f} s long, "
                f"expected at most {options.max_seconds:.0f} s; cut it"
            )
        stream.codec_context.thread_count = 1  # one thread a stage
        track.configure(options.max_pixels)
        return track

    def _find_track(self) -> VideoTrack:
        try:
            track = VideoTrack.of(self._container)
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

    def _decode(self) -> Iterator[DecodedFrame]:
        base = self._stream.time_base
        at_ns = 0
        duration_ns = 0
        for stamp, frame in self._stamped_frames():
            if frame is None:
                yield DecodedFrame(at_ns, None)
                continue
            stamp_ns = to_ns(stamp, base)
            if stamp_ns is None:
                raise SourceError(
                    f"{self.path}: the video carries no times; convert it to mp4 or mkv"
                )
            at_ns = stamp_ns
            duration_ns = to_ns(frame.duration, base) or 0
            yield DecodedFrame(at_ns, self._track.picture(frame))
        self._short = self._missing_at_end(at_ns + duration_ns)

    def _stamped_frames(self) -> Iterator[tuple[int | None, av.VideoFrame | None]]:
        """Time stamps and frames in display order; no frame where it cannot be decoded."""
        ledger = PacketLedger(self._container.format.name == "avi")
        packets = self._track.packets()
        while packet := self._next(packets):
            ledger.expect(packet)
            try:
                frames = [] if packet.is_corrupt else self._track.decode(packet)
            except (av.error.FFmpegError, OSError):
                frames = []
                ledger.damaged = True
            for frame in frames:
                stamp = ledger.stamp(frame)
                yield from [(None, None)] * ledger.lost_before(stamp, frame.key_frame)
                yield stamp, None if frame.is_corrupt else frame
        yield from [(None, None)] * ledger.lost_before(None)

    def _next(self, packets: Iterator[Any]) -> Any:
        """The next packet; None ends the file, also where the rest cannot be read."""
        try:
            return next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            self._broken = f"reading stopped: {error.strerror}"
            return None

    def _missing_at_end(self, last_ns: int) -> str:
        """How much of the promised duration comes after the last frame; "" where nothing does.

        The file's duration is the video's where it has no other streams, which may be longer.
        """
        base = self._stream.time_base
        if self._stream.duration:
            end_s = float(((self._stream.start_time or 0) + self._stream.duration) * base)
        elif self._container.duration and len(self._container.streams) == 1:
            end_s = ((self._container.start_time or 0) + self._container.duration) / av.time_base
        else:
            return ""
        short_s = end_s - last_ns / SECOND_NS
        return f"the file ends {short_s:.2f} s early" if short_s > self.options.lost_tail_s else ""

    def _damage(self) -> str:
        return "; ".join(part for part in (self._broken, self._short, super()._damage()) if part)

    def _release(self) -> None:
        self._container.close()
