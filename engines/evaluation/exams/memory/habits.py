"""Synthetic people with a habit: a brief movement that each repeats and that is no ME.

The habit rises and falls as fast as a micro-expression, at one site of the person's own, so that
the spotter cannot know better: only whoever knows the person does. Rest, tremor, blinks and speech
are those of `exam personal`. Not from the papers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....data.faces import FaceAsset
from ....data.generator.actions import SIDES
from ....data.generator.drawing import log_uniform, ns, number, spaced
from ....data.generator.timeline import Action, Movement, Recipe, Strengths, Unit, rise_and_fall
from ....data.generator.truth import MICRO
from ..personal.people import SITES, Person, PersonRenderer, draw_person

KIND = "habit"
HABIT_PX = (0.8, 2.5)  # of its peak, crop px at 112, log-uniform
HABIT_PER_MIN = (3.0, 8.0)  # log-uniform
HABIT_S = (0.25, 0.45)  # how long one takes, uniform
HABIT_APEX = (0.35, 0.6)  # share of it until the peak, uniform
AGAIN = (0.75, 1.3)  # how large it is another time, as a share of its usual size, uniform
EDGE_S = 0.5  # between a habit and the end of a clip


@dataclass(frozen=True)
class Habit:
    """A unit that a person moves so often and by so many px."""

    unit: Unit
    px: float
    per_min: float


def draw_habit(seed: int) -> tuple[Person, Habit]:
    """The person of a seed and the person's habit."""
    rng = np.random.default_rng([seed, 1])
    unit = (str(rng.choice(SITES)), str(rng.choice(SIDES)))
    habit = Habit(unit, log_uniform(rng, HABIT_PX), log_uniform(rng, HABIT_PER_MIN))
    return draw_person(seed), habit


class HabitRenderer(PersonRenderer):
    """Clips of a person who has a habit."""

    def __init__(
        self, face: FaceAsset, side: int, recipe: Recipe, person: Person, habit: Habit
    ) -> None:
        super().__init__(face, side, recipe, person)
        self.habit = habit

    def behaviour(self, rng: np.random.Generator, seconds: float, recipe: Recipe) -> list[Action]:
        """What the person does, and the habit, apart from the micro-expressions."""
        actions = super().behaviour(rng, seconds, recipe)
        micros = [action for action in actions if action.movement.kind == MICRO]
        count = number(rng, self.habit.per_min, seconds)

        def draw(start: float) -> Action:
            return self._once(rng, start)

        actions += spaced(rng, recipe, count, seconds - EDGE_S, micros, draw, apart=True)
        return sorted(actions, key=lambda action: action.movement.onset_ns)

    def _once(self, rng: np.random.Generator, start: float) -> Action:
        """The habit, from `start` s on."""
        unit = self.habit.unit
        px = self.habit.px * float(rng.uniform(*AGAIN))
        stop = start + float(rng.uniform(*HABIT_S))
        apex = start + (stop - start) * float(rng.uniform(*HABIT_APEX))
        movement = Movement(KIND, ns(start), ns(apex), ns(stop), (unit[0],), peak_px=px)
        strengths: Strengths = {unit: px / self._motion.peak({unit: 1.0})}
        return Action(movement, strengths, rise_and_fall(start, apex, stop, 1.0, 1.0))
