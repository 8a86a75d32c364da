"""Which videos `analyze` is given, and what the folders of their results are called."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from microspot.engines.data.footage import VIDEOS

from ..errors import UsageError
from ..sources.address import parse

KINDS = ("file", "folder", "sample")  # of sources that end


@dataclass(frozen=True)
class Video:
    """One recording.

    uri: as `open_source` takes it; folder: the name of its results' folder; group: the name of the
    folder that it lies in, "" where it lies in none.
    """

    uri: str
    folder: str
    group: str = ""

    @property
    def address(self) -> str:
        """As `open_source` takes it, wherever the program is started."""
        return str(Path(self.uri).absolute()) if _on_disk(self.uri) else self.uri


def find_videos(uris: Sequence[str]) -> list[Video]:
    """The videos of files, folders of images, folders of videos and samples, in order.

    A folder that holds videos, at any depth, stands for them. Raises UsageError for a source that
    never ends and where there is nothing.
    """
    found = [each for uri in uris for each in _expanded(uri)]
    if not found:
        raise UsageError(f"no video ({' '.join(VIDEOS)}) in {', '.join(uris)}")
    names: set[str] = set()
    videos = []
    for uri in dict.fromkeys(found):
        name = free_name(_folder_name(uri), names)
        names.add(name.casefold())  # some file systems do not tell cases apart
        videos.append(Video(uri, name, Path(uri).absolute().parent.name if _on_disk(uri) else ""))
    return videos


def state_of(video: Video) -> dict[str, int]:
    """Size in bytes and time of the last change (ns) of a file, or of a folder's files together.

    Empty for what is no file. By these it is told whether a video is the one of an earlier run.
    """
    if not _on_disk(video.uri):
        return {}
    path = Path(video.uri)
    files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    stats = [file.stat() for file in files]
    return {
        "files": len(stats),
        "bytes": sum(stat.st_size for stat in stats),
        "changed_ns": max((stat.st_mtime_ns for stat in stats), default=0),
    }


def _expanded(uri: str) -> Iterable[str]:
    """The videos in a folder of videos; any other source that ends, itself."""
    kind = parse(uri).kind
    if kind not in KINDS:
        raise UsageError(f"analyze {uri}: give recordings; `microspot watch` is for what is live")
    if not os.path.isdir(uri):
        return [uri]
    inside = sorted(
        path
        for path in Path(uri).rglob("*")
        if path.suffix.lower() in VIDEOS and path.is_file() and not path.name.startswith(".")
    )
    return [str(path) for path in inside] or [uri]


def _on_disk(uri: str) -> bool:
    return parse(uri).kind in ("file", "folder") and os.path.exists(uri)


def _folder_name(uri: str) -> str:
    """What the folder of a video's results is called."""
    return safe_name(Path(uri).name if _on_disk(uri) else uri)


def safe_name(name: str) -> str:
    """The name with what some file system does not take as a folder's replaced by "_"."""
    kept = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(". ")
    return kept or "video"


def free_name(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number = 2
    free = name
    while free.casefold() in taken:
        free = f"{name}-{number}"
        number += 1
    return free


class VideoNames:
    """Videos by what a table in the folder `beside` may call them."""

    def __init__(self, videos: Sequence[Video], beside: Path) -> None:
        self._beside = beside
        self._exact: dict[str, list[Video]] = {}
        self._by_name: defaultdict[str, list[Video]] = defaultdict(list)
        for video in videos:
            self._exact[video.uri] = [video]
            self._exact[os.path.realpath(video.uri)] = [video]
            for name in {Path(video.uri).name, Path(video.uri).stem}:
                self._by_name[name].append(video)

    def meant_by(self, name: str) -> list[Video]:
        """The video that a row names; several where the name is not enough, none elsewhere.

        It is named as it is given to the command, by its path from the folder, or by its file's
        name alone, with or without its ending.
        """
        path = os.path.realpath(self._beside / name)
        return self._exact.get(path) or self._exact.get(name) or self._by_name.get(name, [])
