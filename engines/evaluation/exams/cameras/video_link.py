"""A video link for examinations: a camera's codec at a bitrate, and the real aligner behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ....alignment.aligner import AlignOptions, MediaPipeAligner
from ....data.generator.timeline import Movement
from ..recordings import Recording

KEYFRAME_S = 2.0
BUFFER_S = 0.5  # of the bitrate: how long a frame may borrow from those after it

Pixels = NDArray[np.uint8]


class Receiver:
    """The other end of a video link: H.264 at a bitrate, decoded and aligned frame by frame.

    `close` frees the aligner.
    """

    def __init__(
        self,
        bitrate: int,
        size: tuple[int, int],
        hz: int,
        side: int,
        options: AlignOptions | None = None,
    ) -> None:
        self.codec = Codec(bitrate, size, hz)
        self.bits = 0
        self.sent = 0
        self.rejected: Counter[str] = Counter()  # frames without a crop, by the aligner's reason
        self.aligner = MediaPipeAligner(side, options=options or AlignOptions())
        self._times: list[int] = []
        self._kept: list[tuple[int, Pixels]] = []

    def push(self, at_ns: int, image: Pixels | None) -> None:
        """Send one frame (H, W, 3) BGR captured at `at_ns`; None when there are no more."""
        if image is not None:
            self._times.append(at_ns)
            self.sent += 1
        packets = self.codec.encode(image)
        self.bits += 8 * sum(packet.size for packet in packets)
        for seen in self.codec.decode(packets, last=image is None):
            at = self._times.pop(0)
            alignment = self.aligner(seen, at)
            self._kept += [(at, face.pixels) for face in alignment.faces[:1]]
            if alignment.rejected is not None:
                self.rejected[alignment.rejected] += 1

    def recording(self, name: str, movements: Sequence[Movement]) -> Recording:
        """The crops of the frames that were aligned, as a recording with `movements`."""
        side = self.aligner.side
        times = np.array([at for at, _ in self._kept], np.int64)
        crops = np.array([pixels for _, pixels in self._kept], np.uint8).reshape(-1, 3, side, side)
        return Recording(name, times, crops, tuple(movements))

    @property
    def aligned(self) -> int:
        """Frames that gave a crop."""
        return len(self._kept)

    def close(self) -> None:
        """Free the aligner."""
        self.aligner.close()


class Codec:
    """x264 as a camera would run it, and its decoder.

    One packet per frame, no B frames, one thread.
    """

    def __init__(self, bitrate: int, size: tuple[int, int], hz: int) -> None:
        self._encoder: Any = av.CodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height = size
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.time_base = Fraction(1, hz)
        self._encoder.framerate = Fraction(hz)
        self._encoder.bit_rate = bitrate
        self._encoder.gop_size = round(KEYFRAME_S * hz)
        self._encoder.thread_count = 1
        limits = {"maxrate": str(bitrate), "bufsize": str(round(bitrate * BUFFER_S))}
        self._encoder.options = {"preset": "veryfast", "tune": "zerolatency", **limits}
        self._decoder: Any = av.CodecContext.create("h264", "r")
        self._decoder.thread_count = 1
        self._count = 0

    def encode(self, image: Pixels | None) -> list[Any]:
        """Packets of a frame (H, W, 3) BGR; of None those that are left."""
        if image is None:
            return list(self._encoder.encode(None))
        frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
        frame.pts = self._count
        self._count += 1
        return list(self._encoder.encode(frame))

    def decode(self, packets: Sequence[Any], last: bool = False) -> Iterator[Pixels]:
        """Frames (H, W, 3) BGR of the packets, in order."""
        end = [None] if last else []
        for packet in [*packets, *end]:
            for frame in self._decoder.decode(packet):
                yield frame.to_ndarray(format="bgr24")
