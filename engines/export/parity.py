"""The parity ladder: four rungs of evidence that an engine is the function that was trained.

    A   ONNX Runtime in float32   against the networks in torch     (every graph, and the ONNX files that ship)
    B   ONNX Runtime in FP16      against the networks in float32
    C   TensorRT for RTX          reads the graph, keeps its types, builds the same bytes twice
    D   the engine on the GPU     against the networks in float32

A to C need no GPU and say nothing about what a GPU computes; D does. Numbers are compared with golden arrays, and so
are decisions: which scores pass their threshold, which class wins. The tolerances are not from the papers. Those of D
have met the kernels of torch on a GPU (an H100 used at most 22 % of them), never those of TensorRT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.engine import Engine, Tensors
from ..runtime.onnx_engine import OnnxEngine
from ..specs import SpotterSpec

ABSOLUTE = {
    "A": 2e-5
}  # trained weights: 7.5e-6 at worst, in features of crops whose flow divides by little
RELATIVE = {"B": 5e-3, "D fp32": 1e-4, "D fp16": 5e-3}  # of the largest absolute value of an output
MARGIN = (
    1e-3  # a decision counts where the reference is at least so far from its threshold or rival
)

Arrays = Mapping[str, NDArray[Any]]
Golden = dict[str, NDArray[Any]]


def judge(
    rung: str, name: str, found: Arrays, golden: Golden, spotter: SpotterSpec
) -> dict[str, Any]:
    """The result of one rung for one graph, as parity.json holds it: passed, errors and limits by output (an error of
    None: missing, of another shape or not a number), decisions that count, and how many of them changed.

    rung: A, B, D fp32 or D fp16. found: outputs by name, of the golden inputs.
    """
    wanted = {
        key.removeprefix("out."): value for key, value in golden.items() if key.startswith("out.")
    }
    limits = {
        key: ABSOLUTE.get(rung) or RELATIVE[rung] * float(np.abs(want).max())
        for key, want in wanted.items()
    }
    errors = {key: _difference(found.get(key), want) for key, want in wanted.items()}
    changed = total = 0
    for key in (key for key in wanted if errors[key] is not None):
        clear, differs = _decisions(name, key, found[key], wanted[key], spotter)
        total, changed = total + int(clear.sum()), changed + int((clear & differs).sum())
    close = all(error is not None and error <= limits[key] for key, error in errors.items())
    return {
        "passed": close and changed == 0,
        "errors": errors,
        "limits": limits,
        "decisions": total,
        "changed": changed,
    }


def _difference(found: NDArray[Any] | None, wanted: NDArray[Any]) -> float | None:
    """The largest absolute difference."""
    if found is None or found.shape != wanted.shape or not np.isfinite(found).all():
        return None
    return float(np.abs(found - wanted).max(initial=0))


def _decisions(
    name: str, output: str, found: NDArray[Any], wanted: NDArray[Any], spotter: SpotterSpec
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(decisions that are clear in the reference, decisions that differ), one flag each; empty where none is made."""
    if output.startswith("classes") and name != "refiner":
        rivals = np.sort(wanted, axis=1)
        return rivals[:, -1] - rivals[:, -2] >= MARGIN, found.argmax(1) != wanted.argmax(1)
    limit = {("proposer", "scores"): spotter.t_cpn, ("refiner", "classes"): spotter.t_crn}.get(
        (name, output)
    )
    if limit is None:
        return np.zeros(0, bool), np.zeros(0, bool)
    if name == "refiner":
        found, wanted = found[:, 1], wanted[:, 1]  # column 1 is ME
    return np.abs(wanted - limit) >= MARGIN, (found >= limit) != (wanted >= limit)


def inputs_of(golden: Golden) -> dict[str, NDArray[Any]]:
    """The golden inputs by name, as an engine takes them."""
    return {
        key.removeprefix("in."): value for key, value in golden.items() if key.startswith("in.")
    }


def onnx_outputs(model: bytes, tensors: tuple[Tensors, Tensors], golden: Golden) -> Arrays:
    """What ONNX Runtime says of the golden inputs. EngineError where the file differs from its specs."""
    return outputs_of(OnnxEngine(model, *tensors), golden)


def outputs_of(engine: Engine, golden: Golden) -> Arrays:
    """What an engine says of the golden inputs."""
    return engine(**inputs_of(golden))


def outputs_one_by_one(engine: Engine, golden: Golden) -> Arrays:
    """The same, asked as one live camera asks: row by row, the proposer also tick by tick on its own state."""
    inputs = inputs_of(golden)
    rows = len(next(iter(inputs.values())))
    found = [
        _alone(engine, {name: array[row : row + 1] for name, array in inputs.items()})
        for row in range(rows)
    ]
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}


def _alone(engine: Engine, row: Arrays) -> Arrays:
    """What an engine says of a batch of one; copies, since a result lasts until the next call."""
    if "state" not in row:
        return {name: array.copy() for name, array in engine(**row).items()}
    state, scores = row["state"], []
    for tick in range(row["valid"].shape[1]):
        at = slice(tick, tick + 1)
        out = engine(features=row["features"][:, :, at], valid=row["valid"][:, at], state=state)
        state = out["state_out"].copy()
        scores.append(out["scores"].copy())
    return {"scores": np.concatenate(scores, axis=2), "state_out": state}
