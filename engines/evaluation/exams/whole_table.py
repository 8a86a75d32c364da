"""All examinations of a set of weights, one after the other: the table of what it is worth."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...data.generator.timeline import Families
from ...data.people import ClipPart
from ...errors import DataError, UsageError
from ...runtime.engine import EngineSet
from .alarms.examination import examine_alarms
from .cameras.sweep import examine_sweep, plan_of
from .heldout import examine_heldout
from .recordings import Say, silent
from .rendering import EXAM_RECIPE, ClipPlan
from .semireal.rows import PLACES, PlayOptions, examine_semireal
from .semireal.shapes import Family, StaysOut, UsualFamily
from .stays_out.family import StaysOutFamily, measure_family

SMALL = 10  # what a small table is a part of
HELDOUT_CLIPS = 60
UNIT_CLIPS = 120
UNIT_MES_PER_MIN = 8.0
# MEs whose units are drawn evenly, alone and in combinations; and single units as fields that no
# basis has, each within 30 degrees of the unit's own direction.
EVEN_UNITS = Families(even=1.0)
NEW_SHAPES = Families(usual=0.0, local=1.0, free=0.0)
COMPOSITE_MIN = 20.0

Report = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Table:
    """What is examined, and where each report is kept.

    faces: folder of portraits. clips: the examined videos. small: a tenth of each, to try it out.
    out: a folder for a JSON file of each examination, or None. say: where progress goes. workers:
    processes that render clips of faces.
    """

    engines: EngineSet
    faces: Path
    clips: Sequence[ClipPart]
    seed: int
    small: bool = False
    out: Path | None = None
    say: Say = silent
    workers: int = 1

    def part(self, count: int) -> int:
        """A count, or a tenth of it in a small table."""
        return max(2, count // SMALL) if self.small else count

    @cached_property
    def family(self) -> StaysOutFamily:
        """The family that stays out, measured once."""
        return measure_family(self.clips, self.say)


def heldout(table: Table, say: Say) -> Report:
    """Minutes of test faces, usual family."""
    plan = ClipPlan(table.part(HELDOUT_CLIPS), seed=table.seed)
    return _on_faces(table, plan, say)


def heldout_stays_out(table: Table, say: Say) -> Report:
    """Minutes of test faces, the family that stays out."""
    plan = ClipPlan(table.part(HELDOUT_CLIPS), seed=table.seed, family=table.family)
    return _on_faces(table, plan, say)


def units(table: Table, say: Say, families: Families) -> Report:
    """Minutes of test faces with more MEs, whose units are known: what is told of the hits."""
    recipe = replace(EXAM_RECIPE, families=families, micro_per_min=UNIT_MES_PER_MIN)
    return _on_faces(table, ClipPlan(table.part(UNIT_CLIPS), seed=table.seed, recipe=recipe), say)


def _on_faces(table: Table, plan: ClipPlan, say: Say) -> Report:
    return examine_heldout([table.engines], table.faces, plan, workers=table.workers, progress=say)


def semireal(table: Table, say: Say, rows: Sequence[str], sham: bool = False) -> Report:
    """Rows of real video, both families; sham: the usual one."""
    families: list[Family] = [UsualFamily()]
    if not sham and rows != ("slow",):
        families.append(StaysOut(table.family))
    found = []
    for row in rows:
        options = PlayOptions(table.part(PLACES[row]), table.seed, sham)
        found += examine_semireal(
            table.engines, table.clips, rows=[row], families=families, options=options, progress=say
        )
    drawn = len(families) > 1
    return {"rows": found, "stays_out": table.family.about() if drawn else None}


def alarms(table: Table, say: Say) -> Report:
    """The people as they are, and composites."""
    stills = None if table.out is None else table.out / "stills"
    minutes = COMPOSITE_MIN / SMALL if table.small else COMPOSITE_MIN
    return examine_alarms(
        table.engines, table.clips, table.seed, minutes, stills=stills, progress=say
    )


def sweep(table: Table, say: Say, axis: str) -> Report:
    """One axis of cameras."""
    plan = plan_of(axis)
    plan = replace(plan, clips=table.part(plan.clips))
    rows = examine_sweep(
        table.engines, table.faces, axis=axis, plan=plan, seed=table.seed, progress=say
    )
    return {"axis": axis, "rows": rows}


EXAMS: dict[str, Callable[[Table, Say], Report]] = {
    "heldout": heldout,
    "heldout-stays-out": heldout_stays_out,
    "units": lambda table, say: units(table, say, EVEN_UNITS),
    "units-new-shapes": lambda table, say: units(table, say, NEW_SHAPES),
    "semireal-quiet": lambda table, say: semireal(table, say, ("quiet",)),
    "semireal-upper": lambda table, say: semireal(table, say, ("upper",)),
    "semireal-slow": lambda table, say: semireal(table, say, ("slow",)),
    "semireal-sham": lambda table, say: semireal(table, say, ("quiet", "upper"), sham=True),
    "alarms": alarms,
    "rate": lambda table, say: sweep(table, say, "rate"),
    "size": lambda table, say: sweep(table, say, "size"),
    "bitrate": lambda table, say: sweep(table, say, "bitrate"),
}


def examine_all(table: Table, only: Sequence[str] = (), progress: Say = silent) -> Report:
    """The reports of all of EXAMS, or of some, by name.

    Raises UsageError for another name, DataError where a report cannot be written.
    """
    unknown = [name for name in only if name not in EXAMS]
    if unknown:
        raise UsageError(f"--only {unknown[0]}: choose of {', '.join(EXAMS)}")
    reports = {}
    for name, examine in EXAMS.items():
        if only and name not in only:
            continue
        progress(f"{name} begins")
        reports[name] = examine(table, progress)
        if table.out is not None:
            _write(table.out / f"{name}.json", reports[name])
    return reports


def _write(path: Path, report: Report) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}); give another --out") from error
