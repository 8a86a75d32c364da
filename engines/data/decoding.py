"""How video is opened and decoded, from files, streams and the footage of examinations.

Demuxers and protocols are whitelisted, so that a file cannot make this program open anything else
(a playlist named .mp4 opens nothing). Of several video tracks one is watched, damaged pictures are
refused and intact ones used, and every picture is shown as it is meant to be seen: the right way
up, in square pixels. Nothing here is from the papers.
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

# The whitelists, in FFmpeg's names.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,flv,asf,ogg"
FILE_PROTOCOLS = "file"
# Without "file": a playlist of a stream opens nothing on this machine.
STREAM_PROTOCOLS = "tcp,udp,rtp,srtp,rtsp,rtsps,tls,http,https,httpproxy,crypto"

# Titles are not always UTF-8, and are not read here.
TEXTS: dict[str, Any] = {"metadata_errors": "replace"}
# Tracks that are no video.
PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
LOOK_PACKETS = 256  # read at most, to tell a video from a still that stands before it
STILL_PACKETS = 30  # of another track without a second one of this: this is a still

SQUARE = Fraction(1)
NEAR_SQUARE = 0.02  # pixels closer to square are taken for square
WIDEST = 4  # ratio of a pixel's sides; more than any camera has is not believed
# Matrices of turns to the left, by the number of quarter turns.
QUARTERS = (None, (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))

Pixels = NDArray[np.uint8]


def open_video(path: Path) -> av.container.InputContainer:
    """Open a video file and nothing else. Raises what `av.open` raises."""
    allowed = {"protocol_whitelist": FILE_PROTOCOLS, "format_whitelist": DEMUXERS}
    opened = av.open(f"file:{path.absolute()}", options=allowed, **TEXTS)
    return cast(av.container.InputContainer, opened)


class VideoTrack:
    """The one video track of a container that is watched; `stream` is FFmpeg's description of it.

    Of tracks that move a default one is taken, and of several FFmpeg's best. Covers, thumbnails and
    stills do not count as tracks.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: Any, read: list[av.Packet[Any]]
    ) -> None:
        self._container = container
        self.stream = stream
        self._read = read  # packets that the search for the track has read
        self._messages: Messages | None = None

    @classmethod
    def of(cls, container: av.container.InputContainer) -> Self | None:
        """The track to watch; None where there is none, or only pictures.

        Where there are several, packets are read to see which of them move.
        """
        best = container.streams.best("video")

        def order(stream: Any) -> tuple[bool, bool, bool]:
            by_default = bool(stream.disposition & Disposition.default)
            return stream.codec_context is None, not by_default, stream != best

        tracks = [s for s in container.streams.video if not s.disposition & PICTURES]
        tracks.sort(key=order)
        if len(tracks) < 2:
            return cls(container, tracks[0], []) if tracks else None
        read, counts = _look(container, tracks)
        moving = [stream for stream in tracks if counts[stream.index] > 1]
        return cls(container, (moving or tracks)[0], read)

    def configure(self, max_pixels: int) -> None:
        """Refuse damaged pictures and those of more than `max_pixels`; call it before decoding."""
        codec = self.stream.codec_context
        codec.options = {"err_detect": "explode", "max_pixels": str(max_pixels)}
        if codec.name in SYNTAX:
            self._messages = Messages(codec.name, codec.extradata)
            if codec.extradata:
                codec.extradata = self._messages.description

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel as it is shown, over its height."""
        given = self.stream.sample_aspect_ratio or SQUARE
        believed = 1 / WIDEST <= given <= WIDEST and abs(given - 1) > NEAR_SQUARE
        return Fraction(given) if believed else SQUARE

    def picture(self, frame: av.VideoFrame) -> Pixels:
        """(H, W, 3) BGR of a decoded frame, as it is meant to be seen."""
        return upright(frame, self.pixel_aspect)

    def packets(self) -> Iterator[av.Packet[Any]]:
        """The track's packets, an empty one at the end.

        Raises FFmpegError or OSError where it cannot be read.
        """
        read = [packet for packet in self._read if packet.stream_index == self.stream.index]
        self._read = []
        return itertools.chain(read, self._container.demux(self.stream))

    def decode(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        """The pictures that `packet` gives. Raises FFmpegError or OSError for a damaged one."""
        if self._messages is not None and packet.size:
            data = bytes(packet)
            cleaned = self._messages.clean(data)
            if cleaned != data:
                packet.update(cleaned)
        return packet.decode()


def _look(
    container: av.container.InputContainer, tracks: list[Any]
) -> tuple[list[av.Packet[Any]], Counter[int]]:
    """The first packets of all tracks, and how many of each track.

    Reads until the first track is known to move or not to.
    """
    read: list[av.Packet[Any]] = []
    counts: Counter[int] = Counter()
    first = tracks[0].index
    for packet in itertools.islice(container.demux(*tracks), LOOK_PACKETS):
        if not packet.size:  # the end; it comes again
            break
        read.append(packet)
        counts[packet.stream_index] += 1
        if counts[first] > 1 or (counts[first] and max(counts.values()) >= STILL_PACKETS):
            break
    return read, counts


def upright(frame: av.VideoFrame, pixel_aspect: Fraction = SQUARE) -> Pixels:
    """(H, W, 3) BGR, turned and mirrored as the frame's display matrix says.

    Turns are taken to the nearest quarter. Pixels that are not square are stretched along their
    longer side, so that faces have their true shape.
    """
    wide = frame.width
    high = frame.height
    if pixel_aspect > 1:
        wide = round(wide * pixel_aspect)
    elif pixel_aspect < 1:
        high = round(high / pixel_aspect)
    # one thread: by default PyAV starts a pool of threads for each frame
    image = cast(Pixels, frame.to_ndarray(format="bgr24", width=wide, height=high, threads=1))
    matrix = _matrix(frame)
    if matrix is None:
        return image
    across, b, c, down = matrix
    if abs(b) + abs(c) > abs(across) + abs(down):
        image = image.transpose(1, 0, 2)
        across = c
        down = b
    if down < 0:
        image = image[::-1]
    if across < 0:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """(a, b, c, d) that show the pixel (x, y) at (a x + c y, b x + d y), up to scale; or None.

    None is for pictures that are stored the right way up. Where PyAV does not know the kind of one
    side datum, such as Exif in JPEG, it gives none at all: then a turn is known, a mirror image is
    not.
    """
    try:
        matrix = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)
    except ValueError:
        return QUARTERS[round(frame.rotation / 90) % 4]
    if matrix is None:
        return None
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    return a, b, c, d
