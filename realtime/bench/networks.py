"""What the networks cost: one proposer step, a window anew for each frame, every engine on every backend here."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from microspot.engines.clips import SECOND_NS
from microspot.engines.evaluation.roofline import Peak, cost_of
from microspot.engines.loading import BACKENDS, BASELINE, load_engines
from microspot.engines.manifest import PACKAGED, Weights
from microspot.engines.runtime.engine import Array, EngineSet, Tensors
from microspot.engines.tensorrt.builder import MODULES

from ..errors import MicrospotError
from ..meter import percentiles
from ..records import Crop
from ..session import Session

BATCH = 8  # cameras in a batch
WINDOW_TICKS = 128  # of the yardstick that recomputes
LENGTHS = (64, 128, 256, 512)  # ticks of a window
REPEATS = 60
ENCODED_AT_ONCE = 32  # crops of a window: more take memory and no less time


def timed(run: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Ms of every call after three."""
    times = []
    for _ in range(repeats + 3):
        began = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - began) / 1e6)
    return times[3:]


def head_times(engines: EngineSet, folder: str | None, peak: Peak) -> dict[str, Any]:
    """One proposer step for one camera and for BATCH cameras at once, each beside the machine's floor."""
    one, many = (_heads(engines, folder, peak, cameras) for cameras in (1, BATCH))
    return one | {f"cameras_{BATCH}": many}


def _heads(engines: EngineSet, folder: str | None, peak: Peak, cameras: int) -> dict[str, Any]:
    found: dict[str, Any] = percentiles(timed(_step(engines, cameras)))
    return found | {
        "floor_ms": _rounded(_here(engines, _floors(folder, peak, cameras)), "proposer")
    }


def _step(engines: EngineSet, cameras: int) -> Callable[[], Any]:
    inputs = _inputs(engines.proposer.inputs, cameras) | {
        "valid": np.ones((cameras, 1), np.float32)
    }
    return lambda: engines.proposer(**inputs)


def _inputs(tensors: Tensors, batch: int) -> dict[str, Array]:
    """Inputs of one column for `batch` of what the engine takes: bytes 0 to 255, numbers 0 to 1."""
    rng = np.random.default_rng(0)
    found = {}
    for spec in tensors:
        shape = (batch, *(1 if isinstance(size, str) else size for size in spec.shape[1:]))
        found[spec.name] = (rng.random(shape) * (255 if spec.dtype == "uint8" else 1)).astype(
            spec.dtype
        )
    return found


def window_times(
    engines: EngineSet, ticks: int = WINDOW_TICKS, repeats: int = REPEATS
) -> tuple[list[float], list[float]]:
    """Ms of a new frame in a window of `ticks`: encoder once and one proposer step, and the whole window anew."""
    spec = engines.spotter
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (ticks, spec.channels, spec.side, spec.side), np.uint8)
    state = np.zeros((1, spec.state), np.float32)

    def run(frames: Array, state: Array) -> Array:
        batches = [frames[i : i + ENCODED_AT_ONCE] for i in range(0, len(frames), ENCODED_AT_ONCE)]
        features = np.concatenate(
            [engines.encoder(pixels=batch)["features"].copy() for batch in batches]
        )
        columns = np.ascontiguousarray(features.T[None])
        valid = np.ones((1, len(frames)), np.float32)
        return engines.proposer(features=columns, valid=valid, state=state)["state_out"].copy()

    carried = run(pixels, state)  # the stream has come to the end of the window
    whole = max(3, REPEATS * WINDOW_TICKS // ticks // 12)
    return timed(lambda: run(pixels[-1:], carried), repeats), timed(
        lambda: run(pixels, state), whole
    )


def window_costs(engines: EngineSet) -> dict[str, Any]:
    """By window length in ticks, ms a frame.

    Incremental: a session whose segment is so long; it must stay level. Recomputed: the networks on the whole window.
    """
    out = {}
    for ticks in LENGTHS:
        session, recompute = (
            _session_times(engines, ticks),
            window_times(engines, ticks, repeats=1)[1],
        )
        out[str(ticks)] = {
            "incremental_ms_p50": percentiles(session)["ms_p50"], "recompute_ms_p50": percentiles(recompute)["ms_p50"],
        }  # fmt: skip
    return out


def _session_times(engines: EngineSet, ticks: int) -> list[float]:
    """Ms of each push of a crop, one a tick, into a segment of `ticks` and more in which nothing moves."""
    session = Session(engines, "bench")
    grid_hz, side = engines.spotter.grid_hz, engines.spotter.side
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8)
    crops = (
        Crop("bench", 0, i, round(i * SECOND_NS / grid_hz), pixels, np.eye(2, 3), 1.0) for i in count()
    )
    for crop in islice(crops, ticks):
        session.push(crop)
    return timed(lambda: session.push(next(crops)))


def backend_times(engines: EngineSet, folder: str | None, peak: Peak) -> dict[str, Any]:
    """Per backend and engine, one call of a batch of one: percentiles, share of a tick and of the machine's floor.

    engines: those in use; the other backends load the same `folder`, and one that is not here says why instead.
    `fraction_of_floor` is 1 where the machine can do no better; None for the baseline, which is one backend of its own.
    """
    floors = _floors(folder, peak)
    if folder == BASELINE:
        return {engines.backend: _table(engines, floors)}
    out: dict[str, Any] = {
        engines.backend: {"precision": engines.precision} | _table(engines, floors)
    }
    for backend in [name for name in BACKENDS if name not in out]:
        try:
            with load_engines(folder, backend) as others:
                out[backend] = {"precision": others.precision} | _table(others, floors)
        except (
            MicrospotError
        ) as error:  # a backend that is not here, a cache that cannot be written
            out[backend] = {"not_here": str(error)}
    return out


def _table(engines: EngineSet, floors: dict[str, float]) -> dict[str, Any]:
    floors = _here(engines, floors)
    names = [*engines.spotter.tensors(), *(["recognizer"] if engines.recognizer else [])]
    budget_ms = 1000 / engines.spotter.grid_hz
    return {name: _engine(engines, name, budget_ms, floors) for name in names}


def _engine(
    engines: EngineSet, name: str, budget_ms: float, floors: dict[str, float]
) -> dict[str, Any]:
    engine = engines.engine(name)
    inputs = _inputs(engine.inputs, 1)
    found: dict[str, Any] = percentiles(timed(lambda: engine(**inputs), REPEATS // 2))
    return found | {
        "share_of_tick": round(found["ms_p50"] / budget_ms, 4),
        "floor_ms": _rounded(floors, name),
        "fraction_of_floor": round(floors[name] / found["ms_p50"], 3) if name in floors else None,
    }


def _here(engines: EngineSet, floors: dict[str, float]) -> dict[str, float]:
    """The floors where they are floors: they are of the CPU."""
    return {} if engines.backend in MODULES else floors


def _rounded(floors: dict[str, float], name: str) -> float | None:
    return round(floors[name], 4) if name in floors else None


def _floors(folder: str | None, peak: Peak, batch: int = 1) -> dict[str, float]:
    """Ms by engine for a call of `batch`; nothing is known of the baseline."""
    if folder == BASELINE:
        return {}
    weights = Weights.open(PACKAGED if folder is None else Path(folder))
    models = [name for name in weights.files if name.endswith(".onnx")]
    costs = {
        name.split("-")[0].removesuffix(".onnx"): cost_of(weights.read(name)) for name in models
    }
    return {name: peak.floor_ms(cost, batch) for name, cost in costs.items()}
