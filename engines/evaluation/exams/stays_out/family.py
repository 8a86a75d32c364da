"""Micro-expressions of measured fields: drawn by region, on any face, with a course of their own.

A field is chosen region first, then person, so that nobody's expressions dominate. It rises fast
and loses 50 to 100 % within half a second of its onset; what is left fades slowly. Onset, apex and
offset follow the generator's rule (`truth_of`); doubtful ones are drawn again. Not from the papers.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....data.footage import MeshAligner, read_footage
from ....data.generator.drawing import Peak, log_uniform
from ....data.generator.timeline import Action, Curve, Movement, Recipe
from ....data.generator.truth import MICRO, RETURN_S, levels_of, truth_of
from ....data.people import TABLE, ClipPart
from ....errors import DataError
from ..mesh_annotation import annotate
from ..recordings import Say, silent
from . import STAYS_OUT
from .fields import find_fields
from .regions import MeshField
from .registration import SIDE

RISE_S = (0.07, 0.25)
LEAST_RETURN_S = 0.08  # from the apex to where the return slows
LOST = (0.5, 1.0)  # share of the peak that is lost by then
FADE_S = (0.8, 2.0)  # that what is left takes to fade
BENT = (0.7, 1.3)  # how the flanks are bent
# How often a region is drawn, of those that have a field
SHARES = {
    "brow": 0.28,
    "eye": 0.10,
    "nose-cheek": 0.12,
    "mouth corner": 0.24,
    "lips": 0.14,
    "chin": 0.12,
}
# Version 1 had holes at lids and lips, took movements of speech and of blinks for expressions, and
# called the largest displacement of one point of the mesh a field's size.
VERSION = 2
DIGITS = 3  # of cm, in the digest


@dataclass(frozen=True, eq=False)
class StaysOutFamily:
    """The fields of all persons, and movements drawn from them.

    missing: examined persons of whom there was no video: what is measured without them is another
    family.
    """

    fields: tuple[MeshField, ...]
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.fields:
            raise DataError("no expression was measured in the videos; give longer ones")

    def about(self) -> dict[str, Any]:
        """What tells this family from another one measured elsewhere: version, persons, digest.

        `persons` has the fields of each, `regions` those of every region and of how many persons.
        """
        persons = sorted({field.person for field in self.fields})
        regions = {}
        for region in SHARES:
            there = [field.person for field in self.fields if field.region == region]
            regions[region] = {"fields": len(there), "persons": len(set(there))}
        return {
            "version": VERSION,
            "persons": {p: sum(field.person == p for field in self.fields) for p in persons},
            "regions": regions,
            "missing": list(self.missing),
            "digest": self.digest(),
        }

    def digest(self) -> str:
        """SHA-256 of all fields by person, their displacements rounded to DIGITS."""
        found = hashlib.sha256()
        for field in sorted(self.fields, key=lambda field: field.person):
            where = f"{field.person} {field.region} {field.side} {field.from_s} {field.to_s}"
            found.update(where.encode())
            found.update((field.moves.round(DIGITS) + 0.0).astype("<f4").tobytes())
        return found.hexdigest()

    def draw_micro(
        self,
        rng: np.random.Generator,
        start: float,
        recipe: Recipe,
        peak: Peak,
        regions: Sequence[str] = tuple(SHARES),
    ) -> Action:
        """One ME that begins at `start` (s), of one of the regions, as `behaviour.draw_micro`.

        Raises DataError where no field is of these regions.
        """
        field = self._choose(rng, regions)
        target = log_uniform(rng, recipe.micro_px)
        strength = target / max(peak({field: 1.0}), 1e-6)
        curve, truth = draw_course(rng, start)
        onset, apex, offset = (round(second * 1e9) for second in truth)
        movement = Movement(
            MICRO,
            onset,
            apex,
            offset,
            units=(),
            peak_px=round(target, 3),
            family=STAYS_OUT,
            region=field.region,
            side=field.side,
            levels=levels_of(curve, start),
        )
        return Action(movement, {field: strength}, curve, reversible=False)

    def _choose(self, rng: np.random.Generator, regions: Sequence[str]) -> MeshField:
        """A field: of a region, then of a person, then one of theirs."""
        present = [r for r in regions if any(field.region == r for field in self.fields)]
        if not present:
            raise DataError(f"no field of {', '.join(regions)} was measured; give other videos")
        shares = np.array([SHARES[region] for region in present])
        region = present[rng.choice(len(present), p=shares / shares.sum())]
        there = [field for field in self.fields if field.region == region]
        persons = sorted({field.person for field in there})
        person = persons[rng.integers(len(persons))]
        own = [field for field in there if field.person == person]
        return own[rng.integers(len(own))]


def draw_course(rng: np.random.Generator, start: float) -> tuple[Curve, tuple[float, float, float]]:
    """A course that begins at `start`, and the ME's onset, apex and offset, all in s."""
    while True:
        rise = float(rng.uniform(*RISE_S))
        slows = float(rng.uniform(rise + LEAST_RETURN_S, RETURN_S))
        left = 1 - float(rng.uniform(*LOST))
        fade = float(rng.uniform(*FADE_S))
        curve = incomplete_return(start, rise, slows, left, fade, tuple(rng.uniform(*BENT, 2)))
        truth = truth_of(curve, start, start + slows + fade)
        if truth.kind == MICRO:
            return curve, (truth.onset, truth.apex, truth.offset)


def incomplete_return(
    start: float, rise: float, slows: float, left: float, fade: float, bent: tuple[float, ...]
) -> Curve:
    """0 at `start`, 1 after `rise` s, `left` at `slows` s after the start, 0 after `fade` s more.

    bent: exponents of the two flanks.
    """

    def curve(t: float) -> float:
        since = t - start
        if not 0 < since < slows + fade:
            return 0.0
        if since < rise:
            return float((0.5 - 0.5 * math.cos(math.pi * since / rise)) ** bent[0])
        if since < slows:
            share = (since - rise) / (slows - rise)
            return left + (1 - left) * float((0.5 + 0.5 * math.cos(math.pi * share)) ** bent[1])
        return left * (0.5 + 0.5 * math.cos(math.pi * (since - slows) / fade))

    return curve


def measure_family(clips: Sequence[ClipPart], progress: Say = silent) -> StaysOutFamily:
    """The family measured in the examined part of every video, persons as in the table.

    Each person's fields come from the first video of theirs. Where a person whom the table gives to
    the examinations is in no video, a line of warning says so. Raises DataError for a video that
    cannot be read, and where nothing was measured.
    """
    given = {part.person for _, part in clips}
    missing = tuple(person for person in examined_persons() if person not in given)
    if missing:
        progress(
            f"warning: no video of {', '.join(missing)}: this is another family than that of all "
            "examined persons; give all their videos"
        )
    fields: list[MeshField] = []
    for path, part in clips:
        if any(field.person == part.person for field in fields):
            continue
        with MeshAligner(side=SIDE) as aligner:
            footage = read_footage(path, part.from_s, part.to_s, aligner, keep_frames=False)
        found = find_fields(part.person, footage, annotate(footage))
        progress(f"{part.person}: {len(found)} fields measured")
        fields += found
    return StaysOutFamily(tuple(fields), missing)


def examined_persons() -> list[str]:
    """Everybody whom the table of people gives to the examinations."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return sorted({row["person"] for row in csv.DictReader(file) if row["use"] == "exam"})
