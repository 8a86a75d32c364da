"""Recipes and helpers of the tests of the generator."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from microspot.engines.data.generator.behaviour import draw_actions
from microspot.engines.data.generator.synthetic import Motion
from microspot.engines.data.generator.timeline import Action, Recipe

ONLY_MICRO = Recipe(
    macro_per_min=0,
    blink_per_min=0,
    speech_per_min=0,
    gaze_per_min=0,
    swallow_per_min=0,
    turn_per_min=0,
)
TINY = (1e-6, 2e-6)
STILL_CAMERA = dataclasses.replace(
    ONLY_MICRO,
    hz=(30.0,),
    time_jitter=0,
    lost_frames=0,
    repeated_frames=0,
    smears=0,
    noise=TINY,
    light=0,
    flicker=0,
    shrink=(1.0, 1.0 + 1e-9),
    codecs=(0.0, 0.0, 1.0),
    sway_rad=TINY,
    sway_px=TINY,
    warp_px=TINY,
    jitter_px=(0.0, 0.0),
    drift_px=0,
    place_px=0,
    micro_px=(1.2, 1.9),
)


def drawn(motion: Motion, recipe: Recipe, count: int, seconds: float) -> Iterator[list[Action]]:
    for seed in range(count):
        yield draw_actions(np.random.default_rng(seed), seconds, recipe, motion.peak)


def change(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Difference of every crop to the first: mean of the 2 % that changed most, so that a small
    region shows."""
    levels = np.abs(crops.astype(np.float32) - crops[0]).mean(1).reshape(len(crops), -1)
    return np.asarray(np.sort(levels, axis=1)[:, -levels.shape[1] // 50 :].mean(1), np.float64)
