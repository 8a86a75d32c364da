"""What the networks cost: a proposer step, a new frame, every engine on every backend here.

A context is what a system without carried state computes anew for every frame: the last ticks up to
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

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
CONTEXT_TICKS = 128  # of the yardstick that recomputes
CONTEXTS = (64, 128, 256, 512)  # lengths in ticks
REPEATS = 60
UNCOUNTED_CALLS = 3  # before those that count
ENCODED_AT_ONCE = 32  # crops of a context: more take memory and no less time


def call_times(run: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Milliseconds of every call after the first UNCOUNTED_CALLS."""
    times = []
    for _ in range(repeats + UNCOUNTED_CALLS):
        began_ns = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - began_ns) / 1e6)
    return times[UNCOUNTED_CALLS:]


def proposer_costs(engines: EngineSet, folder: str | None, peak: Peak) -> dict[str, Any]:
    """One proposer step for one camera and for BATCH cameras at once, each beside the roofline."""
    one = _proposer_cost(engines, folder, peak, 1)
    return one | {f"cameras_{BATCH}": _proposer_cost(engines, folder, peak, BATCH)}


def _proposer_cost(
    engines: EngineSet, folder: str | None, peak: Peak, cameras: int
) -> dict[str, Any]:
    inputs = _inputs(engines.proposer.inputs, cameras)
    inputs["valid"] = np.ones((cameras, 1), np.float32)
    cost: dict[str, Any] = percentiles(call_times(lambda: engines.proposer(**inputs)))
    roofline = _applicable(engines, _roofline_ms(folder, peak, cameras))
    return cost | {"floor_ms": _rounded(roofline, "proposer")}


def _inputs(tensors: Tensors, batch: int) -> dict[str, Array]:
    """Inputs of one column for `batch` of what the engine takes: bytes 0 to 255, numbers 0 to 1."""
    rng = np.random.default_rng(0)
    found = {}
    for spec in tensors:
        sizes = [1 if isinstance(size, str) else size for size in spec.shape[1:]]
        scale = 255 if spec.dtype == "uint8" else 1
        found[spec.name] = (rng.random((batch, *sizes)) * scale).astype(spec.dtype)
    return found


class FrameTimes(NamedTuple):
    """Milliseconds of a new frame: by one step from carried state, and of the context anew."""

    incremental: list[float]
    recompute: list[float]


def new_frame_times(
    engines: EngineSet, ticks: int = CONTEXT_TICKS, repeats: int = REPEATS
) -> FrameTimes:
    """What a new frame costs with a context of `ticks`.

    Incremental: the encoder once and one proposer step. Recomputed: both over the whole context.
    """
    spec = engines.spotter
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (ticks, spec.channels, spec.side, spec.side), np.uint8)
    empty = np.zeros((1, spec.state), np.float32)
    carried = _state_after(engines, pixels, empty)  # the stream has reached the context's end
    whole = max(3, REPEATS * CONTEXT_TICKS // ticks // 12)
    return FrameTimes(
        incremental=call_times(lambda: _state_after(engines, pixels[-1:], carried), repeats),
        recompute=call_times(lambda: _state_after(engines, pixels, empty), whole),
    )


def _state_after(engines: EngineSet, frames: Array, state: Array) -> Array:
    """The proposer's state after frames (T, 3 (1 + D), S, S), which are encoded and scored."""
    features = []
    for start in range(0, len(frames), ENCODED_AT_ONCE):
        out = engines.encoder(pixels=frames[start : start + ENCODED_AT_ONCE])
        features.append(out["features"].copy())
    columns = np.ascontiguousarray(np.concatenate(features).T[None])
    valid = np.ones((1, len(frames)), np.float32)
    return engines.proposer(features=columns, valid=valid, state=state)["state_out"].copy()


def context_costs(engines: EngineSet) -> dict[str, Any]:
    """By length of the context in ticks, ms a frame.

    Incremental: a session whose segment is so long; it must not rise. Recomputed: the networks on
    the whole context.
    """
    out = {}
    for ticks in CONTEXTS:
        session = _session_times(engines, ticks)
        recompute = new_frame_times(engines, ticks, repeats=1).recompute
        out[str(ticks)] = {
            "incremental_ms_p50": percentiles(session)["ms_p50"],
            "recompute_ms_p50": percentiles(recompute)["ms_p50"],
        }
    return out


def _session_times(engines: EngineSet, ticks: int) -> list[float]:
    """Milliseconds of each push of a crop after `ticks` of a segment in which nothing moves."""
    session = Session(engines, "bench")
    crops = _still_crops(engines.spotter.side, engines.spotter.grid_hz)
    for crop in islice(crops, ticks):
        session.push(crop)
    return call_times(lambda: session.push(next(crops)))


def _still_crops(side: int, grid_hz: int) -> Iterator[Crop]:
    """The same crop again and again, one a tick."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8)
    for index in count():
        captured_ns = round(index * SECOND_NS / grid_hz)
        yield Crop("bench", 0, index, captured_ns, pixels, np.eye(2, 3), 1.0)


def backend_costs(engines: EngineSet, folder: str | None, peak: Peak) -> dict[str, Any]:
    """By backend and engine, a call with a batch of one: percentiles, shares of tick and roofline.

    engines: those in use. The other backends load the same `folder`; one that is not here says why
    instead. `fraction_of_floor` is 1 where the machine can do no better; None for the baseline,
    which is one backend of its own.
    """
    roofline = _roofline_ms(folder, peak)
    if folder == BASELINE:
        return {engines.backend: _engine_costs(engines, roofline)}
    found: dict[str, Any] = {engines.backend: _backend_cost(engines, roofline)}
    for backend in BACKENDS:
        if backend in found:
            continue
        try:
            with load_engines(folder, backend) as others:
                found[backend] = _backend_cost(others, roofline)
        except MicrospotError as error:  # it is not installed here, or its cache is not writable
            found[backend] = {"not_here": str(error)}
    return found


def _backend_cost(engines: EngineSet, roofline: dict[str, float]) -> dict[str, Any]:
    return {"precision": engines.precision} | _engine_costs(engines, roofline)


def _engine_costs(engines: EngineSet, roofline: dict[str, float]) -> dict[str, Any]:
    names = list(engines.spotter.tensors())
    if engines.recognizer:
        names.append("recognizer")
    budget_ms = 1000 / engines.spotter.grid_hz
    applicable = _applicable(engines, roofline)
    return {name: _engine_cost(engines, name, budget_ms, applicable) for name in names}


def _engine_cost(
    engines: EngineSet, name: str, budget_ms: float, roofline: dict[str, float]
) -> dict[str, Any]:
    engine = engines.engine(name)
    inputs = _inputs(engine.inputs, 1)
    cost: dict[str, Any] = percentiles(call_times(lambda: engine(**inputs), REPEATS // 2))
    p50 = cost["ms_p50"]
    return cost | {
        "share_of_tick": round(p50 / budget_ms, 4),
        "floor_ms": _rounded(roofline, name),
        "fraction_of_floor": round(roofline[name] / p50, 3) if name in roofline else None,
    }


def _applicable(engines: EngineSet, roofline: dict[str, float]) -> dict[str, float]:
    """The roofline where it applies: it is that of the CPU."""
    return {} if engines.backend in MODULES else roofline


def _rounded(roofline: dict[str, float], name: str) -> float | None:
    return round(roofline[name], 4) if name in roofline else None


def _roofline_ms(folder: str | None, peak: Peak, batch: int = 1) -> dict[str, float]:
    """The least ms that a call of each engine with `batch` can take; none for the baseline."""
    if folder == BASELINE:
        return {}
    weights = Weights.open(PACKAGED if folder is None else Path(folder))
    found = {}
    for file in weights.files:
        if file.endswith(".onnx"):
            engine = file.split("-")[0].removesuffix(".onnx")
            found[engine] = peak.roofline_ms(cost_of(weights.read(file)), batch)
    return found
