"""The look of one clip, drawn from the recipe's shares. Not from the papers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..actions import Field, Geometry
from ..drawing import log_uniform
from ..timeline import Looks, Recipe
from .glasses import Glasses
from .skin import bearded, darker, lines

DARK_GAIN = (0.22, 0.55)  # of a dark room's light, log-uniform
DARK_NOISE = (1.0, 2.2)  # times the sensor's
LEAST_PX = 0.3  # in the picture, of an ME of a small face: less is nowhere to be seen


@dataclass(frozen=True, eq=False)
class Look:
    """A clip's portrait (H, W, 3) BGR and how it is shown.

    lines: (H, W) where pressed skin darkens. gain, noise: times the sensor's own.
    """

    portrait: NDArray[np.uint8]
    lines: Field | None = None
    glasses: Glasses | None = None
    gain: float = 1.0
    noise: float = 1.0


def draw_look(
    rng: np.random.Generator, looks: Looks, portrait: NDArray[np.uint8], geometry: Geometry
) -> Look:
    """A look; the portrait as it is where the recipe has none."""
    if rng.random() < looks.dark_skin:
        portrait = darker(portrait, geometry, rng)
    if rng.random() < looks.stubble:
        portrait = bearded(portrait, geometry, rng)
    pressed = lines(geometry, rng) if rng.random() < looks.wrinkles else None
    glasses = Glasses.draw(geometry, rng) if rng.random() < looks.glasses else None
    if rng.random() >= looks.dark_room:
        return Look(portrait, pressed, glasses)
    gain = log_uniform(rng, DARK_GAIN)
    return Look(portrait, pressed, glasses, gain, float(rng.uniform(*DARK_NOISE)))


def of_small_faces(rng: np.random.Generator, recipe: Recipe) -> Recipe:
    """The recipe of a clip, at the recipe's share with a small face and MEs that can be seen."""
    if rng.random() >= recipe.looks.small:
        return recipe
    scale = log_uniform(rng, recipe.looks.small_shrink)
    weakest, strongest = recipe.micro_px
    weakest = min(max(weakest, LEAST_PX / scale), strongest)
    return replace(recipe, shrink=(scale, scale), micro_px=(weakest, strongest))
