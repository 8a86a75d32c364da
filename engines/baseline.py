"""Feature difference in a fixed window: the traditional method [S1 M5], without weights, to beat.

Each frame is a grid of mean grey levels. The score of a window is how much its middle differs from
the mean of its two ends, relative to the grid's usual noise: an ME departs from neutral and comes
back within the window. It has the interface of an engine set, so that the same pipeline runs it.
None of its numbers is from the papers; the threshold is calibrated by the same rule and on the same
clips as the networks' (`microspot-engines calibrate`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .runtime.engine import EngineSet, FunctionEngine
from .specs import LUMA, SpotterSpec

GRID = 14  # blocks per side; 8 px each at S = 112
WINDOW = 13  # ticks, the median ME
HALF_SCORE = 2.0  # grey levels of block difference that score 0.5
STRONGEST = 0.05  # share of blocks that decide: MEs are local
# Printed by `microspot-engines calibrate --engines baseline` on the set of the first weights.
T_CPN = 0.3
T_CRN = 0.6


def spec() -> SpotterSpec:
    """The spec: one window, still frames, no look-ahead; a state of WINDOW - 1 columns."""
    return SpotterSpec(
        feature=GRID * GRID,
        lags_ns=(),
        windows=(WINDOW,),
        dilations=((3, 3),),
        temporal_kernels=(1, 1),
        state=GRID * GRID * (WINDOW - 1),
        t_cpn=T_CPN,
        t_crn=T_CRN,
    )


def load() -> EngineSet:
    """The baseline as an engine set without a recognizer."""
    promised = spec()
    tensors = promised.tensors()
    return EngineSet(
        name="baseline",
        backend="numpy",
        spotter=promised,
        encoder=FunctionEngine(_encode, *tensors["encoder"]),
        proposer=FunctionEngine(_propose, *tensors["proposer"]),
        refiner=FunctionEngine(_refine, *tensors["refiner"]),
        backend_reason="no networks",
    )


def _encode(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    batch, _, side, _ = pixels.shape
    luma = np.tensordot(pixels.astype(np.float32), np.array(LUMA, np.float32), axes=(1, 0))
    block = side // GRID
    grid = luma.reshape(batch, GRID, block, GRID, block).mean((2, 4)).reshape(batch, -1)
    return {"features": grid - grid.mean(1, keepdims=True)}  # light on the whole face is ignored


def _propose(
    features: NDArray[np.float32], valid: NDArray[np.float32], state: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    batch, width, n = features.shape
    past = state.reshape(batch, width, WINDOW - 1)
    every = np.concatenate([past, features], axis=2)
    windows = np.lib.stride_tricks.sliding_window_view(every, WINDOW, axis=2)  # (B, L, n, WINDOW)
    third = WINDOW // 3
    middle = windows[..., third : WINDOW - third].mean(-1)
    ends = (windows[..., 0] + windows[..., -1]) / 2
    difference = _strongest(np.abs(middle - ends))  # (B, n)
    scores = difference / (difference + HALF_SCORE)
    return {
        "scores": (scores[:, None] * valid[:, None]).astype(np.float32),
        "state_out": np.ascontiguousarray(every[:, :, n:].reshape(batch, -1)),
    }


def _strongest(difference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over the share STRONGEST of the blocks, axis 1, that differ most."""
    count = int(difference.shape[1] * STRONGEST)
    strongest: NDArray[np.float32] = np.sort(difference, axis=1)[:, -count:].mean(1)
    return strongest


def _refine(clips: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The window's own score, computed from the resampled clip, and no regression."""
    length = clips.shape[2]
    third = length // 3
    middle = clips[:, :, third : length - third].mean(-1)
    ends = (clips[:, :, 0] + clips[:, :, -1]) / 2
    strongest = _strongest(np.abs(middle - ends))
    score = strongest / (strongest + HALF_SCORE)
    return {
        "classes": np.stack([1 - score, score], axis=1).astype(np.float32),
        "offsets": np.zeros((len(clips), 2), np.float32),
    }
