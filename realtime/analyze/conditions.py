"""Whose each video is and under which condition it was recorded, as a table says it.

The table has the columns video, subject and condition; cells of the last two may be empty. A video
is named as it is given to the command, by its path from the table's folder, or by its file's name
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from microspot.engines.data.tables import read_rows

from ..errors import DataError
from .videos import Video, VideoNames

COLUMNS = ("video", "subject", "condition")


@dataclass(frozen=True)
class Assignment:
    """Who is in a video, and under which condition; "" where it is not known."""

    subject: str = ""
    condition: str = ""


@dataclass(frozen=True)
class Conditions:
    """What is known of videos, by the names of their folders.

    unknown: videos that the table names and that are not there, as it names them.
    """

    assignments: dict[str, Assignment]
    unknown: tuple[str, ...] = ()

    def of(self, folder: str) -> Assignment:
        """What is known of the video whose results are in `folder`."""
        return self.assignments.get(folder, Assignment())


def read_conditions(
    path: Path | None, videos: Sequence[Video], subject: str | None = None
) -> Conditions:
    """The conditions of videos by the table at `path`, None for no table.

    subject: who is in all videos of which the table does not say it. Raises DataError for what is
    no such table, and for a row that means several videos, or one that another row means.
    """
    found: dict[str, Assignment] = {}
    unknown = []
    if path is not None:
        names = VideoNames(videos, path.parent)
        for line, row in read_rows(path, COLUMNS):
            name, said, condition = (row[column].strip() for column in COLUMNS)
            meant = names.meant_by(name)
            if len(meant) > 1:
                raise DataError(
                    f"{path} line {line}: several videos are called {name}: give a path"
                )
            if not meant:
                unknown.append(name)
            elif meant[0].folder in found:
                raise DataError(f"{path} line {line}: {name} has a row already: leave one out")
            else:
                found[meant[0].folder] = Assignment(said or subject or "", condition)
    for video in videos:
        found.setdefault(video.folder, Assignment(subject or ""))
    return Conditions(found, tuple(unknown))
