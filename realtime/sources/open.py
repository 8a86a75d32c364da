"""Where frames come from: `open_source(uri)` gives a context manager that yields frames, gaps and states.

    with open_source("clip.mp4") as source:
        for record in source: ...            # SourceRecord

Files (`media`, `images`) give every frame at its own time; cameras and streams (`live`) are read by
a process of their own. `SOURCES` below is the whole choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, Self

from microspot.engines.redaction import printable

from ..errors import SourceError, UsageError
from ..records import SourceRecord
from .address import Address, is_number, parse
from .image_folder import ImageFolder
from .live import LiveSource
from .options import FPS, SourceOptions
from .synthetic_clip import SyntheticClip
from .video_file import VideoFile

__all__ = [
    "SOURCES",
    "Opening",
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
    """One camera, stream or file. Iterate once. `close` may come from another thread and ends the iteration.

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

    def close(self) -> None: ...


@dataclass(frozen=True)
class Opening:
    """How a source was asked to open."""

    address: Address
    fps: float | None
    size: tuple[int, int] | None
    pace: bool
    wait: bool
    options: SourceOptions


def _live(asked: Opening) -> Source:
    return LiveSource(
        asked.address,
        asked.options,
        fps=asked.fps,
        size=asked.size,
        wait=asked.wait,
        pace=asked.pace,
    )


def _file(asked: Opening) -> Source:
    return VideoFile(Path(asked.address.target), asked.address.name, asked.options, asked.pace)


def _folder(asked: Opening) -> Source:
    fps = FOLDER_FPS if asked.fps is None else asked.fps
    return ImageFolder(
        Path(asked.address.target), asked.address.name, fps, asked.options, asked.pace
    )


def sample_clip() -> Path:
    """The clip of a talking face that comes with the package."""
    return Path(str(resources.files("microspot.realtime") / "sample" / "webcam.mp4"))


def _sample(asked: Opening) -> Source:
    _, *synthetic = asked.address.target.split(":")
    if synthetic:
        seed = int(synthetic[1]) if len(synthetic) > 1 else DEFAULT_SEED
        return SyntheticClip(sample_clip(), seed, asked.address.name, asked.options, asked.pace)
    return VideoFile(sample_clip(), asked.address.name, asked.options, asked.pace)


SOURCES: dict[str, Callable[[Opening], Source]] = {
    "camera": _live,
    "stream": _live,
    "file": _file,
    "folder": _folder,
    "sample": _sample,
}
_TAKES_FPS = ("camera", "folder")
_TAKES_SIZE = ("camera",)
# what an address of these kinds says may be shown: no password is in it
_PATHS = ("file", "folder")


def open_source(
    uri: str,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    pace: bool = False,
    wait: bool = False,
    options: SourceOptions | None = None,
) -> Source:
    """The source behind `uri`: 0, /dev/video0, rtsp://…, http(s)://…, env:NAME, clip.mp4, frames/, sample[:synthetic].

    fps: asked of a camera, or the rate of an image folder (30). size: (width, height) asked of a
    camera. pace: recordings play in real time. wait: keep trying a live source that cannot be
    opened at first. Raises UsageError for an address or option that makes no sense, SourceError
    when a recording cannot be opened; a live source raises SourceError on iteration.
    """
    address = parse(uri)
    options = options or SourceOptions()
    if fps is not None and (address.kind not in _TAKES_FPS or not FPS[0] <= fps <= FPS[1]):
        wanted = f"a camera or a folder of images, and {FPS[0]:g} to {FPS[1]:g}"
        raise UsageError(f"{address.name}: --fps {fps:g} needs {wanted}")
    if size is not None and (
        address.kind not in _TAKES_SIZE or not _possible(size, options.max_pixels)
    ):
        wanted = f"a camera, and 1x1 to {options.max_pixels} pixels"
        raise UsageError(f"{address.name}: --size {'x'.join(map(str, size))} needs {wanted}")
    try:
        return SOURCES[address.kind](Opening(address, fps, size, pace, wait, options))
    except OSError as error:  # of the path itself: too long, in a folder that is forbidden
        raise SourceError(
            f"{address.name}: {error.strerror}; give a file or folder that can be read"
        ) from error
    except SourceError as error:
        if not is_number(uri):
            raise
        raise SourceError(
            f"{error}; for the camera of this number give /dev/video{uri.lstrip('0') or 0}"
        ) from error


def _possible(size: tuple[int, int], max_pixels: int) -> bool:
    return min(size) >= 1 and size[0] * size[1] <= max_pixels


class Unopened:
    """A recording that could not be opened, among others that could: it fails when its turn comes, they go on."""

    live, pace, epoch = False, False, 0
    started_utc: str | None = None
    rate_hz: float | None = None

    def __init__(self, name: str, error: SourceError) -> None:
        self.name, self.error, self.drops = name, error, dict[str, int]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def __iter__(self) -> Iterator[SourceRecord]:
        raise self.error

    def close(self) -> None:
        """Nothing is held."""


def open_among_others(uri: str, **options: Any) -> Source:
    """`open_source`, but what cannot be opened becomes `Unopened`."""
    try:
        return open_source(uri, **options)
    except SourceError as error:
        return Unopened(parse(uri).name, error)


def open_sources(uris: Sequence[str], **options: Any) -> list[Source]:
    """`open_source` for several at once: one that cannot be opened fails in its turn, equal names are told apart.

    Raises SourceError only where a single source was asked for.
    """
    opened: list[Source] = []
    for uri in uris:
        source = (open_source if len(uris) == 1 else open_among_others)(uri, **options)
        taken = {other.name for other in opened}
        if source.name in taken and parse(uri).kind in _PATHS:
            source.name = f"{printable(Path(uri).parent.name)}/{source.name}"  # data sets call many videos alike
        source.name = distinct(source.name, taken)
        opened.append(source)
    return opened


def distinct(name: str, taken: Collection[str]) -> str:
    """`name`, or name#2, name#3 ... where it is taken, as by streams that differ in what is hidden of them."""
    found, turn = name, 2
    while found in taken:
        found, turn = f"{name}#{turn}", turn + 1
    return found
