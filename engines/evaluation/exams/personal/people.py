"""Synthetic people who differ at rest: expression, tremor, blinks and speech are drawn once each.

What is drawn is wide on purpose: some give no alarm in minutes, some several a minute. Not from the
papers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....data.faces import FaceAsset
from ....data.generator.actions import SIDES
from ....data.generator.camera import Waves
from ....data.generator.drawing import log_uniform
from ....data.generator.synthetic import Renderer
from ....data.generator.timeline import Action, Curve, Movement, Recipe, Unit

SITES = ("AU1", "AU2", "AU4", "AU6", "AU12", "AU14", "AU15", "AU17", "AU20", "AU24")
SITES_EACH = 2  # that tremble, and that a resting expression moves
TREMOR_PX = (0.02, 0.25)  # RMS at its site, crop px, log-uniform
TREMOR_HZ = (2.0, 6.0)
TREMOR_COMES_HZ = (0.02, 0.2)  # how fast it comes and goes
TREMOR_PART = 0.2  # RMS of the wave in its range from 0 to 1
REST_PX = (0.3, 3.0)  # of the resting expression, log-uniform
BLINKS_PER_MIN = (5.0, 45.0)  # log-uniform
BLINK_PULL = (0.3, 4.0)  # uniform
SPEECH_PER_MIN = (0.0, 0.0, 1.0, 3.0, 6.0)  # each as likely
CAMERA_HZ = (30.0, 30.0, 30.0, 25.0, 25.0, 25.0, 20.0, 15.0)


@dataclass(frozen=True)
class Person:
    """What a person does all the time.

    tremor, rest: units and how many px they move at most, RMS in time or always.
    """

    blink_per_min: float
    blink_pull: float
    speech_per_min: float
    tremor: tuple[tuple[Unit, float], ...]
    rest: tuple[tuple[Unit, float], ...]

    def recipe(self, micro_per_min: float, usual: Recipe) -> Recipe:
        """The usual recipe with this person's rates and so many micro-expressions a minute."""
        return replace(
            usual,
            micro_per_min=micro_per_min,
            blink_per_min=self.blink_per_min,
            blink_pull=self.blink_pull,
            speech_per_min=self.speech_per_min,
            hz=CAMERA_HZ,
        )


def draw_person(seed: int) -> Person:
    """The person of a seed."""
    rng = np.random.default_rng(seed)

    def sites(px: tuple[float, float]) -> tuple[tuple[Unit, float], ...]:
        drawn = []
        for _ in range(SITES_EACH):
            unit = (str(rng.choice(SITES)), str(rng.choice(SIDES)))
            drawn.append((unit, log_uniform(rng, px)))
        return tuple(drawn)

    return Person(
        blink_per_min=log_uniform(rng, BLINKS_PER_MIN),
        blink_pull=float(rng.uniform(*BLINK_PULL)),
        speech_per_min=float(rng.choice(SPEECH_PER_MIN)),
        tremor=sites(TREMOR_PX),
        rest=sites(REST_PX),
    )


class PersonRenderer(Renderer):
    """Clips of a person: the portrait `face` with what the person does all the time."""

    def __init__(self, face: FaceAsset, side: int, recipe: Recipe, person: Person) -> None:
        super().__init__(face, side, recipe)
        self.person = person

    def behaviour(self, rng: np.random.Generator, seconds: float, recipe: Recipe) -> list[Action]:
        """What everybody does, and the tremor and resting expression of the person."""
        actions = super().behaviour(rng, seconds, recipe)
        for unit, px in self.person.tremor:
            actions.append(self._lasting(unit, px / TREMOR_PART, seconds, tremble(rng)))
        for unit, px in self.person.rest:
            actions.append(self._lasting(unit, px, seconds, lambda t: 1.0))
        return sorted(actions, key=lambda action: action.movement.onset_ns)

    def _lasting(self, unit: Unit, px: float, seconds: float, curve: Curve) -> Action:
        """A unit that moves by `px` at most where `curve` is 1, all the time."""
        stop_ns = round(seconds * 1e9)
        movement = Movement("rest", 0, stop_ns // 2, stop_ns, (unit[0],), peak_px=px)
        return Action(movement, {unit: px / self._motion.peak({unit: 1.0})}, curve)


def tremble(rng: np.random.Generator) -> Curve:
    """A small fast wave that comes and goes, from 0 to 1."""
    fast = Waves(rng, 1, TREMOR_HZ)
    slow = Waves(rng, 1, TREMOR_COMES_HZ)

    def curve(t: float) -> float:
        at: NDArray[np.float64] = np.array([t])
        size = max(float(slow(at)[0, 0]), 0.0)
        wave = 0.5 + TREMOR_PART * float(fast(at)[0, 0])
        return size * min(max(wave, 0.0), 1.0)

    return curve
