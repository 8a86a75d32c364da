"""The rows of the semi-real examination.

quiet: MEs anywhere on a face in quiet; each brow ME has a mouth ME at the same person, time and
size. upper: MEs of brows and lids while the mouth may move. slow: the same MEs on slow local
courses of several speeds. The plays of all clips are planned first, so that nobody has more than
his share of a row; people who were seen while rules were set are reported apart. Not from the
papers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....alignment.landmarker import Mesh
from ....data.footage import MeshAligner, read_footage
from ....data.people import ClipPart
from ....errors import DataError, UsageError
from ....runtime.engine import EngineSet
from .. import SEED
from ..mesh_annotation import annotate
from ..recordings import Say, silent
from .planning import Stage, planned
from .plays import Play, played, spotted, told
from .room import Span, allotted, spans_of
from .row_report import row_movement, row_report
from .shapes import Family
from .warp import Warp

ROWS = ("quiet", "upper", "slow")
PLACES = {"quiet": 210, "upper": 208, "slow": 104}  # of MEs in a row, at most
SEEN_BEFORE = 0.15  # of a row's places: as many again on people who were seen before, at most


class PlayOptions(NamedTuple):
    """How a row is played.

    places: of MEs, None for PLACES. sham: the face is moved and moved back, so that every hit is
    false.
    """

    places: int | None = None
    seed: int = SEED
    sham: bool = False


STANDARD = PlayOptions()


def examine_semireal(
    engines: EngineSet,
    clips: Sequence[ClipPart],
    *,
    rows: Sequence[str] = ROWS,
    families: Sequence[Family],
    options: PlayOptions = STANDARD,
    progress: Say = silent,
) -> list[dict[str, Any]]:
    """One report for each row and family (`row_report`); the row "slow" has the first family only.

    Raises UsageError for another row, DataError for a clip that cannot be read
    and where nobody has room.
    """
    unknown = sorted(set(rows) - set(ROWS))
    if unknown:
        raise UsageError(f"row {unknown[0]!r}: choose of {', '.join(ROWS)}")
    room, meshes = rooms_of(clips, rows, progress)
    counts = {row: counts_of(room[row], options.places or PLACES[row]) for row in rows}
    wanted = [(row, family) for row in rows for family in _families(row, families)]
    plays: dict[tuple[str, str], list[Play]] = {(row, family.name): [] for row, family in wanted}
    for stage in _stages(clips, counts, meshes):
        for row, family in wanted:
            count = _share_of(stage, room[row], counts[row])
            rng = np.random.default_rng([options.seed, ROWS.index(row), _number(stage.person)])
            found = _plays(engines, stage, row, family, (count, options.sham), rng)
            plays[row, family.name] += found
            if found:
                progress(f"{row}, {family.name}: {stage.footage.name}, {_so_far(found)}")
    if not any(plays.values()):
        raise DataError("nobody in the videos is still for long enough; give other videos")
    side = engines.spotter.side
    reports = []
    for row, family in wanted:
        about = {"row": row, "family": family.name, "sham": options.sham}
        of_row = plays[row, family.name]
        report = row_report(of_row, _by_name(room[row]), side)
        reports.append(about | report | _movement(of_row, engines))
    return reports


def _movement(plays: Sequence[Play], engines: EngineSet) -> dict[str, Any]:
    """What moved in the hits, where the weights say it."""
    spec = engines.recognizer_spec
    return {"movement": row_movement(plays, spec)} if spec is not None and spec.units else {}


def _families(row: str, families: Sequence[Family]) -> Sequence[Family]:
    """The families that a row is played with."""
    return families[:1] if row == "slow" else families


# ---- who has how much room

Room = dict[tuple[str, bool, str], float]  # person, seen before, file -> seconds
Meshes = dict[str, list[Mesh | None]]  # of all frames of a file's part


def rooms_of(
    clips: Sequence[ClipPart], rows: Sequence[str], progress: Say = silent
) -> tuple[dict[str, Room], Meshes]:
    """Seconds of room for each row, by person and clip; and what MediaPipe found in each clip."""
    meshes: Meshes = {}
    found: dict[str, Room] = {row: {} for row in rows}
    for path, part in clips:
        footage = read_footage(path, part.from_s, part.to_s, keep_frames=False)
        annotation = annotate(footage)
        meshes[str(path)] = footage.meshes
        for row in rows:
            spans = spans_of(footage, annotation, upper=row == "upper")
            seconds = sum(span.seconds for span in spans)
            found[row][part.person, part.seen_before, str(path)] = seconds
        progress(f"{path.name}: looked at")
    return found, meshes


def _by_name(room: Room) -> dict[str, float]:
    return {person: seconds for (person, _), seconds in _by_person(room).items()}


def _by_person(room: Room) -> dict[tuple[str, bool], float]:
    seconds: dict[tuple[str, bool], float] = {}
    for (person, seen, _), part in room.items():
        seconds[person, seen] = round(seconds.get((person, seen), 0.0) + part, 2)
    return seconds


def counts_of(room: Room, wanted: int) -> dict[str, int]:
    """MEs' places by person; those seen before come on top."""
    persons = _by_person(room)
    new = {person: seconds for (person, seen), seconds in persons.items() if not seen}
    seen = {person: seconds for (person, before), seconds in persons.items() if before}
    counts = allotted(new, wanted)
    most = max(1, round(SEEN_BEFORE * wanted))
    counts |= {person: min(most, int(10 * seconds)) for person, seconds in seen.items()}
    return {person: count for person, count in counts.items() if count}


def _share_of(stage: Stage, room: Room, counts: dict[str, int]) -> int:
    """The clip's part of its person's places, by its room."""
    own = {key: seconds for key, seconds in room.items() if key[0] == stage.person}
    total = sum(own.values())
    mine = sum(seconds for key, seconds in own.items() if Path(key[2]).name == stage.footage.name)
    return round(counts.get(stage.person, 0) * mine / total) if total else 0


def _stages(
    clips: Sequence[ClipPart], counts: dict[str, dict[str, int]], meshes: Meshes
) -> Iterator[Stage]:
    """The clips of people who have room, one at a time, with their frames."""
    for path, part in clips:
        if any(part.person in places for places in counts.values()):
            with MeshAligner() as aligner:
                footage = read_footage(
                    path, part.from_s, part.to_s, aligner, known=meshes[str(path)]
                )
            yield Stage(part.person, part.seen_before, footage, annotate(footage))


def _number(name: str) -> int:
    """A seed from a name."""
    return int.from_bytes(name.encode()[-6:], "big")


# ---- plays


def _plays(
    engines: EngineSet,
    stage: Stage,
    row: str,
    family: Family,
    amount: tuple[int, bool],
    rng: np.random.Generator,
) -> list[Play]:
    """The plays of a number of places on one clip; amount: that number, and whether it is sham."""
    count, sham = amount
    spans = stage.spans(row)
    if not spans:
        return []
    warps: dict[Span, Warp] = {}
    found = []
    for i in range(count):
        found_place = planned(rng, stage, row, family, spans, warps, i)
        if found_place is None:
            continue
        warp, plays = found_place
        for part, course_px, actions in plays:
            recording = played(stage.footage, warp, actions, stage.person, sham)
            results = spotted(recording, engines)
            moved = told(recording, results, engines)
            found.append(Play(stage.person, stage.seen_before, part, course_px, results, moved))
    return found


def _so_far(plays: Sequence[Play]) -> str:
    hits = sum(play.hit for play in plays)
    return f"{hits} of {len(plays)} MEs found"
