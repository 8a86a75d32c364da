"""All rungs of the parity ladder that this machine can stand on, for one set of weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..errors import EngineError
from ..export.parity import inputs_of, judge, onnx_outputs
from ..manifest import LABELS, Weights
from ..runtime.onnx_engine import OnnxEngine
from .builder import INSTALL, MODULES, Target
from .cache import Cache
from .cuda import Cuda
from .engine_set import Place, missing, rung_d, target_of
from .gpu import find_gpu
from .graphs import RECOGNIZER_GRAPHS, Graphs, ToolError, scores_of
from .plans import rung_c

Results = dict[str, dict[str, Any]]  # of one rung, by graph


def ladder(weights: Weights, cache: Cache, precision: str, sms: Sequence[int]) -> dict[str, Any]:
    """Rungs A to D: each "passed", "passed, …", "failed: …" or "not run: …", and `details`: numbers of every graph, or
    the reason why there are none.

    precision and sms: of the engines of C and D. Graphs and engines that are missing are made. Raises ToolError where
    torch or onnx is missing and a graph has to be made.
    """
    single, half = (graphs_of(weights, cache, kind) for kind in ("fp32", "fp16"))
    chosen = half if precision == "fp16" else single
    rungs: dict[str, Results | str] = {"A": _rung_a(single, weights), "B": _judged("B", half)}
    rungs["C"] = (
        _rung_c(chosen, sms)
        if importlib.util.find_spec(MODULES["rtx"])
        else f"not run: {INSTALL['rtx']}"
    )
    rungs["D"] = _rung_d(chosen, cache)
    verdicts = {
        rung: found if isinstance(found, str) else _verdict(found) for rung, found in rungs.items()
    }
    return verdicts | {
        "details": {rung: found for rung, found in rungs.items() if not isinstance(found, str)}
    }


def graphs_of(weights: Weights, cache: Cache, precision: str) -> Graphs:
    """The graphs of a folder of weights; any of its label sets describes the frames that CMNet wants."""
    recognizer = next(iter(weights.recognizers.values()), None)
    return Graphs(weights.spotter, recognizer, weights.read, cache, precision)


def _verdict(results: Results) -> str:
    bad = [name for name, result in results.items() if not result["passed"]]
    if bad:
        return f"failed: {', '.join(bad)}"
    compared = all(result.get("repeatable", True) for result in results.values())
    return (
        "passed"
        if compared
        else "passed, bytes not compared: this system does not let a process fix its addresses"
    )


def _tried(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a check; one that raises has failed, and says why."""
    try:
        return check()
    except ToolError:
        raise
    except EngineError as error:
        return {"passed": False, "reason": str(error)}


def _rung_a(graphs: Graphs, weights: Weights) -> Results:
    results = _judged("A", graphs)
    for labels in (count for count in LABELS if str(count) in weights.recognizers):
        results[f"recognizer-{labels}"] = _tried(partial(_recognizer, labels, graphs, weights))
    return results


def _recognizer(labels: int, graphs: Graphs, weights: Weights) -> dict[str, Any]:
    """The ONNX file that ships for one label set, against what both its graphs should say."""
    name = f"recognizer-{labels}"
    frames, head = (graphs.graph(part).golden for part in RECOGNIZER_GRAPHS)
    engine = OnnxEngine(
        weights.read(f"{name}.onnx"), *weights.recognizers[str(labels)].tensors()["recognizer"]
    )
    wanted = {
        "out.classes": head[f"out.{scores_of(labels)}"],
        "out.intensity": frames["out.intensity"],
    }
    return judge("A", name, engine(**inputs_of(frames)), wanted, weights.spotter)


def _judged(rung: str, graphs: Graphs) -> Results:
    return {name: _tried(partial(_judge, rung, graphs, name)) for name in graphs.names}


def _judge(rung: str, graphs: Graphs, name: str) -> dict[str, Any]:
    """ONNX Runtime on one graph, written beside it."""
    graph = graphs.graph(name)
    found = onnx_outputs(graph.model, graph.tensors, graph.golden)
    result = judge(rung, name, found, graph.golden, graphs.spotter)
    graph.entry.record({rung: result})
    return result


def _rung_c(graphs: Graphs, sms: Sequence[int]) -> Results:
    return {
        f"{name} sm{sm}": _tried(partial(_built, graphs, name, sm))
        for name in graphs.names
        for sm in sms
    }


def _built(graphs: Graphs, name: str, sm: int) -> dict[str, Any]:
    return rung_c(graphs.cache, graphs.graph(name), Target("rtx", sm))


def _rung_d(graphs: Graphs, cache: Cache) -> Results | str:
    gpu = find_gpu()
    if isinstance(gpu, str):
        return f"not run: {gpu}"
    able = [backend for backend in MODULES if not missing(backend)]
    if not able:
        return f"not run: {'; '.join(missing('rtx'))}"
    results: Results = {}
    for backend in able:
        try:
            place = Place(cache, target_of(backend, gpu), gpu, Cuda())
        except EngineError as error:  # a GPU that is full, or another process's alone
            results[backend] = {"passed": False, "reason": str(error)}
            continue
        results |= {
            f"{name} {backend}": _tried(partial(_tested, graphs, name, place))
            for name in graphs.names
        }
    return results


def _tested(graphs: Graphs, name: str, place: Place) -> dict[str, Any]:
    return rung_d(graphs.graph(name), place, graphs.spotter)
