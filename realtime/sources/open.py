"""Where frames come from: `open_source(uri)` gives a context manager that yields records.

    with open_source("clip.mp4") as source:
        for record in source: ...            # SourceRecord

Files and folders (`recorded`) give every frame at its own time; cameras and streams (`live`) are
read by a process of their own. `SOURCES` below is the whole choice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from microspot.engines.text.redaction import printable

from ..errors import SourceError, UsageError
from ..records import SourceRecord
from .address import Address, is_number, parse
from .capture.device import BY_NAME
from .images.image_folder import ImageFolder
from .live import LiveSource
from .options import FPS, SourceOptions
from .synthetic_clip import SyntheticClip, sample_clip
from .video_file import VideoFile

__all__ = [
    "SOURCES",
    "OpenRequest",
    "Source",
    "SourceOptions",
    "distinct",
    "open_among_others",
    "open_source",
    "open_sources",
]

FOLDER_FPS = 30.0
DEFAULT_SEED = 0


class Source(Protocol):
    """One camera, stream, file or folder. Iterate once.

    name: shown everywhere, without credentials; live: whether frames that are not fetched are lost;
    epoch: 0 for recordings, else UTC ns of the current connection, rising; rate_hz: declared, for
    display only; drops: frames that were not delivered, by cause; pace: frames come at their own
    pace, so nothing else may wait for them. A stream that turns out to be a recording sets `live`,
    `pace` and `epoch` as a file has them.
    """

    name: str
    live: bool
    pace: bool
    epoch: int
    started_utc: str | None
    rate_hz: float | None
    drops: dict[str, int]

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[SourceRecord]: ...

    def close(self) -> None:
        """End the iteration; may come from another thread."""
        ...


@dataclass(frozen=True)
class OpenRequest:
    """How a source was asked to open."""

    address: Address
    fps: float | None
    size: tuple[int, int] | None
    pace: bool
    wait: bool
    options: SourceOptions


def _live(request: OpenRequest) -> Source:
    return LiveSource(
        request.address,
        request.options,
        fps=request.fps,
        size=request.size,
        wait=request.wait,
        pace=request.pace,
    )


def _file(request: OpenRequest) -> Source:
    return VideoFile(
        Path(request.address.target), request.address.name, request.options, request.pace
    )


def _folder(request: OpenRequest) -> Source:
    fps = FOLDER_FPS if request.fps is None else request.fps
    return ImageFolder(
        Path(request.address.target), request.address.name, fps, request.options, request.pace
    )


def _sample(request: OpenRequest) -> Source:
    _, *synthetic = request.address.target.split(":")
    if synthetic:
        seed = int(synthetic[1]) if len(synthetic) > 1 else DEFAULT_SEED
        return SyntheticClip(
            sample_clip(), seed, request.address.name, request.options, request.pace
        )
    return VideoFile(sample_clip(), request.address.name, request.options, request.pace)


SOURCES: dict[str, Callable[[OpenRequest], Source]] = {
    "camera": _live,
    "stream": _live,
    "file": _file,
    "folder": _folder,
    "sample": _sample,
}
_TAKES_FPS = ("camera", "folder")
_TAKES_SIZE = ("camera",)
_ON_DISK = ("file", "folder")  # kinds whose paths may be shown: no password is in them


def open_source(
    uri: str,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    pace: bool = False,
    wait: bool = False,
    options: SourceOptions | None = None,
) -> Source:
    """The source behind `uri`.

    That is 0, /dev/video0, camera:NAME, rtsp://…, http(s)://…, env:NAME, clip.mp4, frames/, sample
    or sample:synthetic[:SEED].

    fps: asked of a camera, or the rate of an image folder (30). size: (width, height) asked of a
    camera. pace: recordings play in real time. wait: keep trying a live source that cannot be
    opened at first. Raises UsageError for an address or option that makes no sense, SourceError
    when a recording cannot be opened; a live source raises SourceError on iteration.
    """
    address = parse(uri)
    options = options or SourceOptions()
    request = OpenRequest(address, fps, size, pace, wait, options)
    _check(request)
    try:
        return SOURCES[address.kind](request)
    except OSError as error:  # of the path itself: too long, in a folder that is forbidden
        raise SourceError(
            f"{address.name}: {error.strerror}; give a file or folder that can be read"
        ) from error
    except SourceError as error:
        if not is_number(uri):
            raise
        raise SourceError(
            f"{error}; for the camera of this number give {_other_name(uri)}"
        ) from error


def _other_name(number: str) -> str:
    """What opens the camera of a number where a file or folder here is called so."""
    paths = {"linux": f"/dev/video{number.lstrip('0') or 0}"}
    return paths.get(sys.platform, f"{BY_NAME}NAME, as `microspot cameras` lists it")


def _check(request: OpenRequest) -> None:
    """Raise UsageError for an option that does not suit the source."""
    kind = request.address.kind
    name = request.address.name
    if request.fps is not None:
        slowest, fastest = FPS
        if kind not in _TAKES_FPS or not slowest <= request.fps <= fastest:
            wanted = f"a camera or a folder of images, and {slowest:g} to {fastest:g}"
            raise UsageError(f"{name}: --fps {request.fps:g} needs {wanted}")
    if request.size is not None:
        width, height = request.size
        most = request.options.max_pixels
        if kind not in _TAKES_SIZE or min(width, height) < 1 or width * height > most:
            wanted = f"a camera, and 1x1 to {most} pixels"
            raise UsageError(f"{name}: --size {width}x{height} needs {wanted}")


class UnopenedSource:
    """A recording that could not be opened, among others that could.

    It fails when its turn comes, and the others go on.
    """

    live = False
    pace = False
    epoch = 0
    started_utc: str | None = None
    rate_hz: float | None = None

    def __init__(self, name: str, error: SourceError) -> None:
        self.name = name
        self.error = error
        self.drops = dict[str, int]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: nothing is held."""

    def __iter__(self) -> Iterator[SourceRecord]:
        raise self.error

    def close(self) -> None:
        """Do nothing: nothing is held."""


def open_among_others(uri: str, **options: Any) -> Source:
    """`open_source`, but what cannot be opened becomes an UnopenedSource."""
    try:
        return open_source(uri, **options)
    except SourceError as error:
        return UnopenedSource(parse(uri).name, error)


def open_sources(uris: Sequence[str], **options: Any) -> list[Source]:
    """`open_source` for several at once.

    One that cannot be opened fails in its turn; equal names are told apart. Raises SourceError only
    where a single source was asked for.
    """
    opened: list[Source] = []
    for uri in uris:
        open_one = open_source if len(uris) == 1 else open_among_others
        source = open_one(uri, **options)
        taken = {other.name for other in opened}
        # Data sets give many videos the same name, in folders of their own.
        if source.name in taken and parse(uri).kind in _ON_DISK:
            source.name = f"{printable(Path(uri).parent.name)}/{source.name}"
        source.name = distinct(source.name, taken)
        opened.append(source)
    return opened


def distinct(name: str, taken: Collection[str]) -> str:
    """`name`, or name#2, name#3 ... where it is taken.

    Streams may differ only in what is hidden of them.
    """
    found = name
    number = 2
    while found in taken:
        found = f"{name}#{number}"
        number += 1
    return found
