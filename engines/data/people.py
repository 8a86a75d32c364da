"""Who is in which clip, and what the clip may be used for. Not from the papers.

`people.csv` lists clips by the SHA-256 of the file, so that a copy under another name is known too.
A person is either trained on, or thresholds and rules are set with them (tune), or they are
examined. Only the man of `webcam.mp4` is in two of these: its first 25 s are for tuning. Whoever
gives other video names its person.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

from ..errors import DataError

Use = Literal["train", "tune", "exam"]
TABLE = Path(__file__).with_name("people.csv")
DOING = {"train": "training", "tune": "tuning", "exam": "examinations"}  # a use in words


@dataclass(frozen=True)
class ClipUse:
    """One row of the table: what the part [from_s, to_s) of a file may be used for.

    Times are in seconds from the file's first frame; `to_s` None is its end. seen_before: the
    person was looked at while rules and thresholds were set, so that examinations report them
    apart. `sha256` is empty where the file is not listed and its person was named instead.
    """

    sha256: str
    name: str
    person: str
    use: Use
    from_s: float
    to_s: float | None
    seen_before: bool


ClipPart = tuple[Path, ClipUse]  # a file, and the part of it that is used


def uses_of(path: Path) -> tuple[ClipUse, ...]:
    """The rows of a file, by its content; none for a file that is not listed.

    Raises DataError where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    return tuple(row for row in _rows() if row.sha256 == digest)


def part_for(path: Path, use: Use, person: str | None = None) -> ClipUse:
    """The part of a file that may be used so.

    person: who is in a file that is not listed; it is not asked for a listed one. A person of the
    table is returned under the table's name, in whatever case he is given. An unlisted file of a
    person who is not listed either may be used whole. Raises DataError where the table gives
    the file or the named person another use, for an unlisted file without `person`, and for a file
    that cannot be read.
    """
    listed = uses_of(path)
    if listed:
        return _of_use(path, use, listed)
    name = (person or "").strip()
    if not name:
        raise DataError(
            f"{path.name}: not in the table of people; name the person with --person, "
            f"one who is used for {DOING[use]} only"
        )
    known = [row for row in _rows() if row.person == name.lower()]
    if not known:
        return ClipUse("", path.name, name, use, 0.0, None, seen_before=False)
    row = _of_use(path, use, known)
    return ClipUse("", path.name, row.person, use, 0.0, None, row.seen_before)


def parts_for(paths: Sequence[Path], use: Use, person: str | None = None) -> list[ClipPart]:
    """Each file with its `part_for`, so that all are checked before the first is used."""
    return [(path, part_for(path, use, person)) for path in paths]


def _of_use(path: Path, use: Use, rows: Sequence[ClipUse]) -> ClipUse:
    """The row with this use; DataError where there is none."""
    for row in rows:
        if row.use == use:
            return row
    allowed = " and ".join(DOING[other] for other in sorted({row.use for row in rows}))
    raise DataError(
        f"{path.name}: {rows[0].person} is for {allowed}; give footage of others for {DOING[use]}"
    )


@cache
def _rows() -> tuple[ClipUse, ...]:
    """The table, read once."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            ClipUse(
                row["sha256"],
                row["name"],
                row["person"],
                cast(Use, row["use"]),
                float(row["from_s"]),
                float(row["to_s"]) if row["to_s"] else None,
                row["seen_before"] == "yes",
            )
            for row in csv.DictReader(file)
        )
