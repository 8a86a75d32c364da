"""The parity ladder: four rungs of evidence that an engine is the function that was trained.

    A   ONNX Runtime in float32   against the networks in torch (graphs and shipped ONNX files)
    B   ONNX Runtime in FP16      against the networks in float32
    C   TensorRT for RTX          reads the graph, keeps its types, builds the same bytes twice
    D   the engine on the GPU     against the networks in float32

A to C need no GPU and prove nothing about what a GPU computes; D does. Numbers are compared with
golden arrays, and so are decisions: which scores pass their threshold, which class wins. The
tolerances are not from the papers. Those of D were tried with torch's kernels on a GPU (an H100
used at most 22 % of them), never with those of TensorRT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.engine import Engine, Tensors
from ..runtime.onnx_engine import OnnxEngine
from ..specs import SpotterSpec

# Trained weights: 7.5e-6 at worst, in features of crops whose flow has a small divisor.
ABSOLUTE = {"A": 2e-5}
RELATIVE = {"B": 5e-3, "D fp32": 1e-4, "D fp16": 5e-3}  # of the largest absolute value of an output
# A decision counts where the reference is at least so far from its threshold or rival.
MARGIN = 1e-3

Arrays = Mapping[str, NDArray[Any]]
Golden = dict[str, NDArray[Any]]


def judge(
    rung: str, name: str, found: Arrays, golden: Golden, spotter: SpotterSpec
) -> dict[str, Any]:
    """The result of one rung for one graph, as parity.json holds it.

    It has `passed`, `errors` and `limits` by output (an error of None: the output is missing, of
    another shape or not a number), `decisions` that count, and how many of them `changed`.

    rung: A, B, D fp32 or D fp16. found: outputs by name, of the golden inputs.
    """
    wanted = _with_prefix("out.", golden)
    limits = {}
    for key, want in wanted.items():
        limits[key] = ABSOLUTE.get(rung) or RELATIVE[rung] * float(np.abs(want).max())
    errors = {key: _difference(found.get(key), want) for key, want in wanted.items()}
    total = 0
    changed = 0
    for key, error in errors.items():
        if error is None:
            continue
        clear, differs = _decisions(name, key, found[key], wanted[key], spotter)
        total += int(clear.sum())
        changed += int((clear & differs).sum())
    close = all(error is not None and error <= limits[key] for key, error in errors.items())
    return {
        "passed": close and changed == 0,
        "errors": errors,
        "limits": limits,
        "decisions": total,
        "changed": changed,
    }


def _difference(found: NDArray[Any] | None, wanted: NDArray[Any]) -> float | None:
    """The largest absolute difference; None where there is none to take."""
    if found is None or found.shape != wanted.shape or not np.isfinite(found).all():
        return None
    return float(np.abs(found - wanted).max(initial=0))


def _decisions(
    name: str, output: str, found: NDArray[Any], wanted: NDArray[Any], spotter: SpotterSpec
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(decisions that are clear in the reference, decisions that differ), one flag each.

    Empty where the output decides nothing.
    """
    if output.startswith("classes") and name != "refiner":
        rivals = np.sort(wanted, axis=1)
        return rivals[:, -1] - rivals[:, -2] >= MARGIN, found.argmax(1) != wanted.argmax(1)
    limit = {("proposer", "scores"): spotter.t_cpn, ("refiner", "classes"): spotter.t_crn}.get(
        (name, output)
    )
    if limit is None:
        return np.zeros(0, bool), np.zeros(0, bool)
    if name == "refiner":
        # column 1 is ME
        found = found[:, 1]
        wanted = wanted[:, 1]
    return np.abs(wanted - limit) >= MARGIN, (found >= limit) != (wanted >= limit)


def inputs_of(golden: Golden) -> dict[str, NDArray[Any]]:
    """The golden inputs by name, as an engine takes them."""
    return _with_prefix("in.", golden)


def _with_prefix(prefix: str, golden: Golden) -> dict[str, NDArray[Any]]:
    """The golden arrays whose key starts with `prefix`, by the rest of the key."""
    return {
        key.removeprefix(prefix): value for key, value in golden.items() if key.startswith(prefix)
    }


def onnx_outputs(model: bytes, tensors: tuple[Tensors, Tensors], golden: Golden) -> Arrays:
    """Outputs of ONNX Runtime for the golden inputs.

    Raises EngineError where the file differs from its specs.
    """
    return outputs_of(OnnxEngine(model, *tensors), golden)


def outputs_of(engine: Engine, golden: Golden) -> Arrays:
    """Outputs of an engine for the golden inputs, in one batch."""
    return engine(**inputs_of(golden))


def outputs_one_by_one(engine: Engine, golden: Golden) -> Arrays:
    """Outputs of an engine for the golden inputs, asked as one live camera asks.

    That is row by row, and the proposer also tick by tick on its own state.
    """
    inputs = inputs_of(golden)
    rows = len(next(iter(inputs.values())))
    found = []
    for row in range(rows):
        one = {name: array[row : row + 1] for name, array in inputs.items()}
        found.append(_outputs_of_row(engine, one))
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}


def _outputs_of_row(engine: Engine, row: Arrays) -> Arrays:
    """Outputs for a batch of one, copied: a result lasts until the next call only."""
    if "state" not in row:
        return {name: array.copy() for name, array in engine(**row).items()}
    state = row["state"]
    found: dict[str, list[NDArray[Any]]] = {}
    for tick in range(row["valid"].shape[1]):
        at = slice(tick, tick + 1)
        out = engine(features=row["features"][:, :, at], valid=row["valid"][:, at], state=state)
        state = out["state_out"].copy()
        for name in out.keys() - {"state_out"}:
            found.setdefault(name, []).append(out[name].copy())
    ticks = {name: np.concatenate(parts, axis=2) for name, parts in found.items()}
    return ticks | {"state_out": state}
