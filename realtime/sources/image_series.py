"""Which files of a folder are its frames, and which only lie beside them: companions of macOS, masks, pipes.

Not from the papers.
"""

from __future__ import annotations

import os
import re
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from ..errors import SourceError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
DIGITS = re.compile(r"(\d+)")

Kind = tuple[
    str, str
]  # what the names of one series have in common: the stem with # for numbers, and the suffix
Numbers = tuple[int, ...]


class Series(NamedTuple):
    """The frames in order, and a word about images beside them that are none, if there are any."""

    files: list[Path]
    warning: str


def frames_of(folder: Path) -> Series:
    """The images of `folder` in natural order of their names.

    Hidden files (`._img1.jpg`) and what is no file (a pipe would be waited for) are nothing; a link
    that leads nowhere keeps its place. Images whose names are those of others with something before
    or after them (`img1_mask.png` beside `img1.jpg`) are left out with a warning. Raises OSError
    where the folder cannot be read, SourceError where two kinds of images have the same numbers and
    neither belongs to the other.
    """
    kinds: dict[Kind, dict[Numbers, list[Path]]] = {}
    for path in _images(folder):
        stem = path.name[: -len(path.suffix)]
        numbers = tuple(int(number) for number in DIGITS.findall(stem))
        kinds.setdefault((DIGITS.sub("#", stem), path.suffix), {}).setdefault(numbers, []).append(
            path
        )
    beside = _beside(folder, kinds)
    files = [
        path for kind in kinds.keys() - beside for paths in kinds[kind].values() for path in paths
    ]
    left = [path for kind in beside for paths in kinds[kind].values() for path in paths]
    return Series(sorted(files, key=natural), _words(sorted(left, key=natural)))


def natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """frame2 before frame10: runs of digits compare as numbers; equal numbers (1, 01) as text."""
    parts = DIGITS.split(path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name


def _images(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        named = [
            e
            for e in entries
            if not e.name.startswith(".") and Path(e.name).suffix.lower() in IMAGES
        ]
    return [
        Path(e.path)
        for e in named
        if os.path.isfile(e.path) or (e.is_symlink() and not os.path.exists(e.path))
    ]


def _beside(folder: Path, kinds: dict[Kind, dict[Numbers, list[Path]]]) -> set[Kind]:
    """The kinds that belong to a shorter one. Names that share digits by chance, one of a kind, are no series."""
    found = set[Kind]()
    for one, other in sorted(
        _sharing(kinds), key=lambda pair: [(len(kind[0]), kind) for kind in pair]
    ):
        if found & {one, other}:
            continue
        if one[0] != other[0] and (other[0].startswith(one[0]) or other[0].endswith(one[0])):
            found.add(other)
            continue
        if min(len(kinds[one]), len(kinds[other])) < 2:
            continue
        number = min(kinds[one].keys() & kinds[other].keys())
        pair = " and ".join(kinds[kind][number][0].name for kind in (one, other))
        raise SourceError(
            f"{folder}: {pair} have the same number: which are the frames? Give each kind its own folder"
        )
    return found


def _sharing(kinds: dict[Kind, dict[Numbers, list[Path]]]) -> set[tuple[Kind, Kind]]:
    """Pairs of kinds that share a number, the shorter name first."""
    with_number: dict[Numbers, list[Kind]] = {}
    for kind, held in kinds.items():
        for number in held.keys() - {()}:
            with_number.setdefault(number, []).append(kind)
    shorter_first = (
        sorted(same, key=lambda kind: (len(kind[0]), kind)) for same in with_number.values()
    )
    return {pair for same in shorter_first for pair in combinations(same, 2)}


def _words(left: list[Path]) -> str:
    if not left:
        return ""
    names = left[0].name if len(left) == 1 else f"{left[0].name} to {left[-1].name}"
    return f"{len(left)} images that lie beside frames were left out ({names}): they are taken for masks or copies"
