"""A recipe that moves faces as the people of a study do, as far as the generator has a knob.

A study measures real and generated micro-expressions in the same way. How much larger, and how much
slower to rise and to fall, the real ones are is carried over to the recipe that the generated ones
came from: what the measuring adds or takes away is in both. Not from the papers.

| measure | knob of the recipe |
|---|---|
| peak_displacement | micro_px |
| onset_speed, offset_speed | micro_s and apex: the times of rise and fall that the speeds tell |
| area, asymmetry, co_motion, alignment_residual | none |

Courses other than the plain one have times of their own, which no knob moves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...data.generator.timeline import Recipe
from ...errors import DataError
from .measures import UNITS

KNOBS = {
    "peak_displacement": "micro_px",
    "onset_speed": "micro_s and apex",
    "offset_speed": "micro_s and apex",
}
WITHOUT_KNOB = tuple(name for name in UNITS if name not in KNOBS)
LOW, MIDDLE, HIGH = "p10", "p50", "p90"
USED = (
    *(("peak_displacement", place) for place in (LOW, MIDDLE, HIGH)),
    ("onset_speed", MIDDLE),
    ("offset_speed", MIDDLE),
)
TAIL = 0.1  # of a sample below LOW, and above HIGH
SLOPE = (0.5, 2.0)  # of measured against drawn displacement, both as logarithms
PX = (0.1, 12.0)  # least and most that is drawn
PX_SPAN = 1.05  # least ratio of the two
SPREAD = 0.05  # least share of micro_s between its mean and its ends
APEX_MARGIN = 0.05  # likewise of apex

Percentiles = Mapping[str, float]


@dataclass(frozen=True)
class Likeness:
    """A recipe like a study, and in words what was changed and what could not be."""

    recipe: Recipe
    said: tuple[str, ...]


def recipe_like(study: Path, recipe: Recipe) -> Likeness:
    """`recipe` with what the realism of a study asks for.

    study: study.json of `microspot study`, whose generated micro-expressions came from `recipe`.
    Raises DataError where it cannot be read or its realism is withheld.
    """
    try:
        realism = json.loads(study.read_text(encoding="utf-8"))["realism"]
        if "withheld" in realism:
            raise DataError(f"{study}: its realism is withheld: {realism['withheld']}")
        real, drawn = (
            {name: realism["measures"][name][kind] for name in UNITS}
            for kind in ("real", "generated")
        )
        _check({"real": real, "generated": drawn}, study)
        changed = _like(recipe, real, drawn)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{study} is no study.json of microspot study ({error!r})") from error
    said = [
        f"micro_px {_span(recipe.micro_px)} -> {_span(changed.micro_px)}",
        f"micro_s mean {recipe.micro_s[0]:.2f} -> {changed.micro_s[0]:.2f}",
        f"apex mean {recipe.apex[0]:.2f} -> {changed.apex[0]:.2f}",
        f"the generator has no knob for {', '.join(WITHOUT_KNOB)}",
    ]
    return Likeness(changed, tuple(said))


def _check(measures: Mapping[str, Mapping[str, Percentiles]], study: Path) -> None:
    """Raise DataError where a percentile that is used has no logarithm or is no divisor."""
    for kind, told in measures.items():
        for name, place in USED:
            value = told[name][place]
            if not (math.isfinite(value) and value > 0):
                raise DataError(
                    f"{study}: {place} of {kind} {name} is {value}: expected more than 0; study "
                    "recordings in which faces move"
                )


def _span(span: tuple[float, float]) -> str:
    return f"{span[0]:.2f} to {span[1]:.2f}"


def _like(
    recipe: Recipe, real: Mapping[str, Percentiles], drawn: Mapping[str, Percentiles]
) -> Recipe:
    peak = "peak_displacement"
    micro_px = _sizes(recipe.micro_px, real[peak], drawn[peak])
    rise, fall = (
        _time(real[peak], real[speed]) / _time(drawn[peak], drawn[speed])
        for speed in ("onset_speed", "offset_speed")
    )
    mean, spread, least, most = recipe.micro_s
    share, share_spread, first, last = recipe.apex
    rises = mean * share * rise
    falls = mean * (1 - share) * fall
    margin = SPREAD * (most - least)
    apex = rises / (rises + falls)
    return replace(
        recipe,
        micro_px=micro_px,
        micro_s=(_between(rises + falls, least + margin, most - margin), spread, least, most),
        apex=(_between(apex, first + APEX_MARGIN, last - APEX_MARGIN), share_spread, first, last),
    )


def _sizes(span: tuple[float, float], real: Percentiles, drawn: Percentiles) -> tuple[float, float]:
    """What has to be drawn, log-uniform, so that as much is measured as of real people."""
    low, high = map(math.log, span)
    at_low, at_high = low + TAIL * (high - low), high - TAIL * (high - low)
    measured_low, measured_high = math.log(drawn[LOW]), math.log(drawn[HIGH])
    slope = _between((measured_high - measured_low) / (at_high - at_low), *SLOPE)
    middle = (at_low + at_high) / 2
    measured = (measured_low + measured_high) / 2
    wanted = [middle + (math.log(real[place]) - measured) / slope for place in (LOW, HIGH)]
    reach = (wanted[1] - wanted[0]) * TAIL / (1 - 2 * TAIL)
    first = _between(math.exp(wanted[0] - reach), PX[0], PX[1] / PX_SPAN)
    return first, _between(math.exp(wanted[1] + reach), first * PX_SPAN, PX[1])


def _time(peak: Percentiles, speed: Percentiles) -> float:
    """About how long the peak of the middle takes at the speed of the middle, in s."""
    return peak[MIDDLE] / speed[MIDDLE]


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
