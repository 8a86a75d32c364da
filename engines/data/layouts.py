"""Where the recordings of a data set lie: a folder of images or a video file for each video.

The readers of `annotations` call a video as its folder is called: `006_1`, or `sub01/EP02_01f`
where that takes two folders. So a recording is found by the end of its path, whatever lies above
it, and letters of either case are alike. What data sets add to that stands in LAYOUTS.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .annotations import Interval
from .footage import IMAGES, VIDEOS

LISTED = 3  # names in a message

Parts = tuple[str, ...]  # of a path or a name, in small letters


@dataclass(frozen=True)
class Layout:
    """What is particular about the recordings of a data set.

    root: the folder of the recordings as they were filmed, where others hold copies of them; name:
    what the name of a recording begins with, more may follow; subject: whose it is, by what stands
    before the first "_" of that. A set with a `name` has recordings that no row of its table names,
    in which there is nothing to find.
    """

    root: str = ""
    name: re.Pattern[str] | None = None
    subject: str = "{}"

    def key(self, parts: Parts) -> Parts:
        """The parts of a path as those of a video's name are written."""
        match = self.name and self.name.match(parts[-1])
        return (*parts[:-1], match.group()) if match else parts


LAYOUTS = {
    # rawpic/s15/15_0101disgustingteeth/img1.jpg, with cropped copies beside rawpic
    "cas-me-2": Layout("rawpic", re.compile(r"\d+_\d{4}(?!\d)"), "s{}"),
    # SAMM_longvideos/006_1/006_1_0001.jpg
    "samm-lv": Layout("SAMM_longvideos", re.compile(r"\d{3}_\d+$")),
    # CASME2_RAW_selected/sub01/EP02_01f/img46.jpg
    "casme-ii": Layout("CASME2_RAW_selected"),
    # SMIC-HS-E/HS/s20/s20_ne_01
    "smic-hs": Layout("SMIC-HS-E"),
    "smic-vis": Layout("SMIC-VIS-E"),
    "smic-nir": Layout("SMIC-NIR-E"),
}


@dataclass(frozen=True)
class Recording:
    """A video of a data set: whose it is, its name in the table, and the folder or file."""

    subject: str
    video: str
    path: Path


@dataclass(frozen=True)
class Recordings:
    """Those that are there, by subject and name, and the (subject, video) of those that are not."""

    found: tuple[Recording, ...]
    missing: tuple[tuple[str, str], ...]


def find_recordings(dataset: str, folder: Path, rows: Sequence[Interval]) -> Recordings:
    """The recordings of a data set in a folder, at any depth.

    rows: of its table. Where a layout names recordings, those without a row are among the found.
    Raises DataError where the folder is none, where it holds none of the videos, and where two
    recordings fit one video.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no folder; give the one that holds the recordings as --videos")
    layout = LAYOUTS.get(dataset, Layout())
    by_last: dict[str, list[tuple[Parts, Path]]] = defaultdict(list)
    for path in _recordings(_root(folder, layout.root)):
        key = layout.key(_parts(path, folder))
        for part in set(key):
            by_last[part].append((key, path))
    wanted = sorted({(row.subject, row.video) for row in rows})
    chosen = {who: _one_of(who[1], by_last) for who in wanted}
    found = [Recording(*who, path) for who, path in chosen.items() if path is not None]
    if not found:
        names = ", ".join(video for _, video in wanted[:LISTED])
        raise DataError(
            f"{folder} holds no recording of {dataset} ({names} …): give its folder as --videos"
        )
    found += _without_rows(layout, by_last, {video for _, video in wanted})
    missing = tuple(who for who, path in chosen.items() if path is None)
    return Recordings(tuple(sorted(found, key=lambda each: (each.subject, each.video))), missing)


def _root(folder: Path, name: str) -> Path:
    """The folder of that name, in `folder` or in one of its folders; else `folder` itself."""
    if not name:
        return folder
    for depth in ("*", "*/*"):
        for path in sorted(folder.glob(depth)):
            if path.name.lower() == name.lower() and path.is_dir():
                return path
    return folder


def _recordings(root: Path) -> Iterator[Path]:
    """Folders that hold images, and video files, in order; hidden ones are passed over."""
    for place, folders, files in os.walk(root, followlinks=True, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = sorted(name for name in files if not name.startswith("."))
        if any(name.lower().endswith(IMAGES) for name in shown):
            yield Path(place)
        yield from (Path(place) / name for name in shown if name.lower().endswith(VIDEOS))


def _unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error


def _parts(path: Path, folder: Path) -> Parts:
    """The parts of a path from `folder` on, `folder` itself included; a file without its ending."""
    inside = path.relative_to(folder)
    last = inside.stem if path.suffix.lower() in VIDEOS else inside.name
    parts = (folder.resolve().name, *inside.parts[:-1], last)
    return tuple(part.lower() for part in parts if part)


def _one_of(video: str, by_part: dict[str, list[tuple[Parts, Path]]]) -> Path | None:
    """The recording of a video: the one whose path ends as it is called, else one below that.

    Raises DataError where several are.
    """
    name = tuple(part.lower() for part in video.split("/"))
    fits = by_part.get(name[-1], [])
    ends = [path for key, path in fits if key[-len(name) :] == name]
    found = ends or [path for key, path in fits if _holds(key, name)]
    if len(found) > 1:
        raise DataError(
            f"{video}: {found[0]} and {found[1]}: which is the recording? Give the folder of one "
            "of them as --videos"
        )
    return found[0] if found else None


def _holds(key: Parts, name: Parts) -> bool:
    return any(key[at : at + len(name)] == name for at in range(len(key)))


def _without_rows(
    layout: Layout, by_part: dict[str, list[tuple[Parts, Path]]], named: set[str]
) -> list[Recording]:
    """The recordings that are called as a video of the set and that the table does not name."""
    if layout.name is None:
        return []
    called = {part for part in by_part if layout.name.fullmatch(part)}
    found = []
    for video in sorted(called - named):
        path = _one_of(video, by_part)
        if path is not None:
            found.append(Recording(layout.subject.format(video.partition("_")[0]), video, path))
    return found
