"""How video is opened and decoded, wherever it comes from: files, streams and the footage of examinations.

A file decides much about the program that opens it, so it decides little here: demuxers and protocols are whitelisted
(a playlist named .mp4 opens nothing). Of several video tracks one is watched, damaged pictures are refused and intact
ones used, and every picture is shown as it is meant to be seen: the right way up, in square pixels. Nothing here is
from the papers.
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, cast

import av
import av.container
import numpy as np
from av.sidedata.sidedata import Type
from av.stream import Disposition
from numpy.typing import NDArray

from .sei_messages import SYNTAX, Messages

DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg"
TEXTS: dict[str, Any] = {
    "metadata_errors": "replace"
}  # titles are not always UTF-8, and nobody reads them here
PICTURES = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
)  # no video
LOOK_PACKETS = 256  # read at most, to tell a video from a still that stands before it
STILL_PACKETS = 30  # of another track without a second one of this: this is a still
SQUARE = Fraction(1)
NEAR_SQUARE, WIDEST = (
    0.02,
    4,
)  # pixels so little off square, or further off than any camera's, are taken for square
QUARTERS = (
    None,
    (0, -1, 1, 0),
    (-1, 0, 0, -1),
    (0, 1, -1, 0),
)  # matrices of turns to the left, by their number

Pixels = NDArray[np.uint8]


def open_video(path: Path) -> av.container.InputContainer:
    """A video file and nothing else. Raises what `av.open` raises."""
    allowed = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    return cast(
        av.container.InputContainer, av.open(f"file:{path.absolute()}", options=allowed, **TEXTS)
    )


class Track:
    """The one video of a container that is watched. `stream` is FFmpeg's description of it.

    Of tracks that move, a default one is taken, and of several FFmpeg's best; covers, thumbnails and stills are none.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: Any, held: list[av.Packet[Any]]
    ) -> None:
        self._container, self.stream, self._held = container, stream, held
        self._messages: Messages | None = None

    @classmethod
    def of(cls, container: av.container.InputContainer) -> Self | None:
        """The track to watch; None where there is none, or only pictures. Reads on where there are several."""
        best = container.streams.best("video")
        tracks = [s for s in container.streams.video if not s.disposition & PICTURES]
        tracks.sort(
            key=lambda s: (
                s.codec_context is None,
                not s.disposition & Disposition.default,
                s != best,
            )
        )
        if len(tracks) < 2:
            return cls(container, tracks[0], []) if tracks else None
        held, counts = _look(container, tracks)
        moving = [stream for stream in tracks if counts[stream.index] > 1]
        return cls(container, (moving or tracks)[0], held)

    def configure(self, max_pixels: int) -> None:
        """Have damaged pictures and those of more than `max_pixels` refused; before the first is decoded."""
        codec = self.stream.codec_context
        codec.options = {"err_detect": "explode", "max_pixels": str(max_pixels)}
        if codec.name in SYNTAX:
            self._messages = Messages(codec.name, codec.extradata)
            if codec.extradata:
                codec.extradata = self._messages.description

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel as it is shown, over its height."""
        said = self.stream.sample_aspect_ratio or SQUARE
        known = 1 / WIDEST <= said <= WIDEST and abs(said - 1) > NEAR_SQUARE
        return Fraction(said) if known else SQUARE

    def picture(self, frame: av.VideoFrame) -> Pixels:
        """(H, W, 3) BGR of a decoded frame, as it is meant to be seen."""
        return upright(frame, self.pixel_aspect)

    def packets(self) -> Iterator[av.Packet[Any]]:
        """The track's packets, an empty one at the end. Raises FFmpegError or OSError where it cannot be read."""
        held, self._held = self._held, []
        rest = self._container.demux(self.stream)
        return itertools.chain(
            (packet for packet in held if packet.stream_index == self.stream.index), rest
        )

    def decode(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        """The pictures that come out now. Raises FFmpegError or OSError for one that is damaged."""
        if self._messages is not None and packet.size:
            data = bytes(packet)
            cleaned = self._messages.clean(data)
            if cleaned != data:
                packet.update(cleaned)
        return packet.decode()


def _look(
    container: av.container.InputContainer, tracks: list[Any]
) -> tuple[list[av.Packet[Any]], Counter[int]]:
    """The first packets of all tracks, and how many of each, until the first track moves or is known not to."""
    held: list[av.Packet[Any]] = []
    counts: Counter[int] = Counter()
    first = tracks[0].index
    for packet in itertools.islice(container.demux(*tracks), LOOK_PACKETS):
        if not packet.size:  # the end; it comes again
            break
        held.append(packet)
        counts[packet.stream_index] += 1
        if counts[first] > 1 or (counts[first] and max(counts.values()) >= STILL_PACKETS):
            break
    return held, counts


def upright(frame: av.VideoFrame, pixel_aspect: Fraction = SQUARE) -> Pixels:
    """(H, W, 3) BGR, turned and mirrored as the frame's display matrix says, to the nearest quarter turn.

    Pixels that are not square are drawn out along their longer side: a face that was squeezed is as wide as it was.
    """
    wide, high = frame.width, frame.height
    if pixel_aspect > 1:
        wide = round(wide * pixel_aspect)
    elif pixel_aspect < 1:
        high = round(high / pixel_aspect)
    # PyAV starts a pool of threads per frame where it is not told otherwise
    image = cast(Pixels, frame.to_ndarray(format="bgr24", width=wide, height=high, threads=1))
    matrix = _matrix(frame)
    if matrix is None:
        return image
    a, b, c, d = matrix
    across, down = a, d
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, across, down = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """(a, b, c, d) that show the pixel (x, y) at (a x + c y, b x + d y), up to scale; None where nothing is to do.

    PyAV shows no side data at all where one is of a kind that it does not know, as Exif in JPEG: then the turn is
    known, a mirror image is not.
    """
    try:
        matrix = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:
        return QUARTERS[round(frame.rotation / 90) % 4]
    if matrix is None:
        return None
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    return a, b, c, d
