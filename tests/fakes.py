"""An engine set of plain numpy functions.

Their arithmetic does not depend on how calls are cut or batched.

Only element-wise operations in a fixed order are used, so that a test may demand equal bits, not
closeness. The first pixels of a crop are its feature, which lets a test write any feature sequence
into a stream.
"""

from __future__ import annotations

import numpy as np

from microspot.engines.runtime.engine import EngineSet, FunctionEngine
from microspot.engines.specs import RecognizerSpec, SpotterSpec
from microspot.realtime.records import Crop

L = 4
SIDE = 16
TAIL = 15 + 2 + 2
RADIUS = 2


def spec(**changes) -> SpotterSpec:
    values = {
        "feature": L,
        "side": SIDE,
        "lags_ns": (),
        "state": (L + 1) * TAIL,
        "t_cpn": 0.5,
        "t_crn": 0.6,
    } | changes
    return SpotterSpec(**values)


def encode(pixels):
    return {"features": pixels[:, 0, 0, :L].astype(np.float32) / 16}


def propose(features, valid, state):
    """Two biased 3-tap layers with zero padding, then per scale the mean of a window's activity."""
    batch, _, n = features.shape
    past = state.reshape(batch, L + 1, TAIL)
    x = np.concatenate([past, np.concatenate([features, valid[:, None]], axis=1)], axis=2)
    ok = x[:, L]
    signal = ((x[:, 0] + x[:, 1]) + (x[:, 2] - x[:, 3])) * ok
    for bias in (np.float32(0.25), np.float32(-0.125)):
        padded = np.pad(signal, ((0, 0), (1, 1)))
        mixed = (padded[:, :-2] * np.float32(0.5) + padded[:, 1:-1]) + padded[:, 2:] * np.float32(
            0.25
        )
        signal = np.maximum(mixed + bias, 0) * ok
    scores = np.zeros((batch, 5, n), np.float32)
    for i, w in enumerate((7, 9, 11, 13, 15)):
        total = np.zeros((batch, n), np.float32)
        for k in range(w):
            first = TAIL - RADIUS - w + 1 + k
            total = total + signal[:, first : first + n]
        mean = total / np.float32(w)
        scores[:, i] = mean / (mean + np.float32(2))
    return {"scores": scores, "state_out": np.ascontiguousarray(x[:, :, n:]).reshape(batch, -1)}


def propose_and_name(features, valid, state):
    """`propose`, with two probabilities of every tick R before the column's."""
    outputs = propose(features, valid, state)
    n = features.shape[2]
    past = state.reshape(len(state), L + 1, TAIL)[:, :2]
    delay = spec().radius
    seen = np.concatenate([past, features[:, :2] * valid[:, None]], axis=2)
    ticks = seen[:, :, TAIL - delay : TAIL - delay + n]
    return outputs | {"nuisance": np.abs(np.sin(ticks * np.float32(1.7))).astype(np.float32)}


def refine(clips):
    """Score and offsets from the clip's content, spread over the whole clamp range."""
    first = clips[:, 0, :8]
    last = clips[:, 0, 8:]
    a = np.zeros(len(clips), np.float32)
    b = np.zeros(len(clips), np.float32)
    for k in range(8):
        a = a + first[:, k]
        b = b + last[:, k] * np.float32(1 + k)
    score = np.abs(np.sin(a * np.float32(1.7) + b)).astype(np.float32)
    offsets = np.stack([np.sin(a) * np.float32(0.6), np.cos(b) * np.float32(0.6)], axis=1)
    return {"classes": np.stack([1 - score, score], axis=1), "offsets": offsets.astype(np.float32)}


def recognize(clip):
    level = clip[:, :, 0, 0, 0].astype(np.float32) / 255
    return {
        "classes": np.tile(np.array([[0.2, 0.7, 0.1]], np.float32), (len(clip), 1)),
        "intensity": level,
    }


UNITS = ("AU4", "AU7", "AU12")
REGIONS = ("brow", "mouth corner")


def recognize_and_tell(clip):
    """`recognize`, and AU4 with AU7 of the left brow in every clip."""
    every = (len(clip), 1)
    return recognize(clip) | {
        "units": np.tile(np.array([[0.8, 0.6, 0.1]], np.float32), every),
        "unit_sides": np.tile(np.array([[[1, 0, 0]] * 3], np.float32), (len(clip), 1, 1)),
        "unit_px": np.tile(np.array([[2.0, 1.0, 0.1]], np.float32), every),
        "regions": np.tile(np.array([[0.9, 0.1]], np.float32), every),
        "side": np.tile(np.array([[1, 0, 0]], np.float32), every),
        "px": np.full(len(clip), 2, np.float32),
    }


def engine_set(moved: bool = False, emotions: bool = True, **changes) -> EngineSet:
    """moved: with heads that say what moved."""
    promised = spec(**changes)
    heads = {"units": UNITS, "regions": REGIONS} if moved else {}
    recognizer = RecognizerSpec(side=SIDE, **heads)
    tensors = promised.tensors() | recognizer.tensors()
    proposer = propose_and_name if promised.nuisance else propose
    functions = {
        "encoder": encode,
        "proposer": proposer,
        "refiner": refine,
        "recognizer": recognize_and_tell if moved else recognize,
    }
    engines = {name: FunctionEngine(functions[name], *tensors[name]) for name in functions}
    return EngineSet(
        name="fake",
        backend="numpy",
        spotter=promised,
        recognizer_spec=recognizer,
        digest="fake",
        emotions=emotions,
        **engines,
    )


def features(rng: np.random.Generator, ticks: int, activity: float = 0.15) -> np.ndarray:
    """(L, T) float32 multiples of 1/16, as from `encode`: quiet, with bursts as long as MEs."""
    level = np.zeros(ticks)
    for start in np.flatnonzero(rng.random(ticks) < activity / 4):
        level[start : start + int(rng.integers(3, 18))] += rng.uniform(0.5, 3)
    noisy = level[None] * np.array([[1.0], [0.8], [0.5], [0.1]]) + rng.random((L, ticks)) * 0.5
    return (np.clip(np.round(noisy * 16), 0, 255) / 16).astype(np.float32)


def crop(feature, captured_ns: int, index: int, face: int = 0) -> Crop:
    """The crop whose encoded feature is `feature` (multiples of 1/16)."""
    pixels = np.zeros((3, SIDE, SIDE), np.uint8)
    pixels[0, 0, :L] = np.round(np.asarray(feature) * 16)
    return Crop("fake", face, index, captured_ns, pixels, np.eye(2, 3), 1.0)
