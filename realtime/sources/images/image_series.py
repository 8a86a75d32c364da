"""Which images of a folder are its frames, and which only lie beside them.

Beside them lie companion files of macOS, masks, and copies. Not from the papers.
"""

from __future__ import annotations

import os
import re
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from microspot.engines.data.footage import IMAGES

from ...errors import SourceError

DIGITS = re.compile(r"(\d+)")

# What the names of one series have in common: the stem with # for numbers, and the suffix.
Pattern = tuple[str, str]
Numbers = tuple[int, ...]  # those in one name


class ImageSeries(NamedTuple):
    """The frames in order, and a warning about images that were left out, or ""."""

    files: list[Path]
    warning: str


def frames_of(folder: Path) -> ImageSeries:
    """The images of `folder` in natural order of their names.

    Hidden files (`._img1.jpg`) and what is no file (a pipe would be waited for) are ignored; a link
    that leads nowhere keeps its place. Images whose names are those of others with something before
    or after them (`img1_mask.png` beside `img1.jpg`) are left out with a warning. Raises OSError
    where the folder cannot be read, SourceError where images of two patterns have the same numbers
    and neither belongs to the other.
    """
    by_pattern: dict[Pattern, dict[Numbers, list[Path]]] = {}
    for path in _images(folder):
        stem = path.name[: -len(path.suffix)]
        numbers = tuple(int(number) for number in DIGITS.findall(stem))
        by_numbers = by_pattern.setdefault((DIGITS.sub("#", stem), path.suffix), {})
        by_numbers.setdefault(numbers, []).append(path)
    companions = _companions(folder, by_pattern)
    files: list[Path] = []
    left_out: list[Path] = []
    for pattern, by_numbers in by_pattern.items():
        chosen = left_out if pattern in companions else files
        for paths in by_numbers.values():
            chosen += paths
    return ImageSeries(sorted(files, key=natural), _warning(sorted(left_out, key=natural)))


def natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key by which frame2 comes before frame10.

    Runs of digits compare as numbers; equal numbers (1, 01) as text.
    """
    return [_sort_key(part) for part in DIGITS.split(path.name)], path.name


def _sort_key(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdecimal() else (-1, part)


def _images(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if _is_image(entry)]


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether an entry has the name of an image, and is a file or a link that leads nowhere."""
    if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in IMAGES:
        return False
    return os.path.isfile(entry.path) or (entry.is_symlink() and not os.path.exists(entry.path))


def _companions(folder: Path, by_pattern: dict[Pattern, dict[Numbers, list[Path]]]) -> set[Pattern]:
    """The patterns that belong to a shorter one.

    Names that share digits by chance, one of a pattern, are no series.
    """
    found = set[Pattern]()
    pairs = sorted(_sharing(by_pattern), key=lambda pair: [_by_length(one) for one in pair])
    for shorter, longer in pairs:
        if found & {shorter, longer}:
            continue
        if _extends(longer[0], shorter[0]):
            found.add(longer)
            continue
        if min(len(by_pattern[shorter]), len(by_pattern[longer])) < 2:
            continue
        number = min(by_pattern[shorter].keys() & by_pattern[longer].keys())
        names = [by_pattern[pattern][number][0].name for pattern in (shorter, longer)]
        raise SourceError(
            f"{folder}: {' and '.join(names)} have the same number: which are the frames? "
            "Give each kind its own folder"
        )
    return found


def _extends(longer: str, shorter: str) -> bool:
    """Whether a stem is another one with something before or after it."""
    return longer != shorter and (longer.startswith(shorter) or longer.endswith(shorter))


def _by_length(pattern: Pattern) -> tuple[int, Pattern]:
    return len(pattern[0]), pattern


def _sharing(
    by_pattern: dict[Pattern, dict[Numbers, list[Path]]],
) -> set[tuple[Pattern, Pattern]]:
    """Pairs of patterns that share a number, the shorter one first."""
    with_numbers: dict[Numbers, list[Pattern]] = {}
    for pattern, by_numbers in by_pattern.items():
        for numbers in by_numbers.keys() - {()}:
            with_numbers.setdefault(numbers, []).append(pattern)
    pairs = set[tuple[Pattern, Pattern]]()
    for patterns in with_numbers.values():
        pairs.update(combinations(sorted(patterns, key=_by_length), 2))
    return pairs


def _warning(left_out: list[Path]) -> str:
    if not left_out:
        return ""
    names = left_out[0].name
    if len(left_out) > 1:
        names = f"{names} to {left_out[-1].name}"
    return (
        f"{len(left_out)} images that lie beside frames were left out ({names}): "
        "they are taken for masks or copies"
    )
