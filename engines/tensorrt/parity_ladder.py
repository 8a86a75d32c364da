"""All rungs of the parity ladder that this machine can run, for one set of weights."""

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
from .engine_set import GpuHost, missing, rung_d, target_of
from .gpu import find_gpu
from .graphs import RECOGNIZER_GRAPHS, Graphs, ToolError, scores_of
from .plans import rung_c

Results = dict[str, dict[str, Any]]  # of one rung, by graph


def ladder(weights: Weights, cache: Cache, precision: str, sms: Sequence[int]) -> dict[str, Any]:
    """Run rungs A to D; each gives "passed", "passed, …", "failed: …" or "not run: …".

    `details` has the numbers of every graph by rung, or the reason why there are none. precision
    and sms: of the engines of C and D. Graphs and engines that are missing are made. Raises
    ToolError where torch or onnx is missing and a graph has to be made.
    """
    fp32 = graphs_of(weights, cache, "fp32")
    fp16 = graphs_of(weights, cache, "fp16")
    chosen = fp16 if precision == "fp16" else fp32
    rungs: dict[str, Results | str] = {"A": _rung_a(fp32, weights), "B": _judged("B", fp16)}
    rungs["C"] = f"not run: {INSTALL['rtx']}"
    if importlib.util.find_spec(MODULES["rtx"]):
        rungs["C"] = _rung_c(chosen, sms)
    rungs["D"] = _rung_d(chosen, cache)
    report: dict[str, Any] = {}
    details = {}
    for rung, found in rungs.items():
        if isinstance(found, str):
            report[rung] = found
        else:
            report[rung] = _summary(found)
            details[rung] = found
    return report | {"details": details}


def graphs_of(weights: Weights, cache: Cache, precision: str) -> Graphs:
    """The graphs of a folder of weights."""
    # any label set describes the frames that CMNet takes
    recognizer = next(iter(weights.recognizers.values()), None)
    return Graphs(weights.spotter, recognizer, weights.read, cache, precision)


def _summary(results: Results) -> str:
    """The results of one rung in words."""
    bad = [name for name, result in results.items() if not result["passed"]]
    if bad:
        return f"failed: {', '.join(bad)}"
    if all(result.get("repeatable", True) for result in results.values()):
        return "passed"
    return "passed, bytes not compared: this system does not let a process fix its addresses"


def _tried(check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a check; one that raises EngineError has failed, for that reason."""
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
    """Compare the ONNX file that ships for one label set with the golden outputs of its graphs."""
    name = f"recognizer-{labels}"
    spec = weights.recognizers[str(labels)]
    frames, head = (graphs.graph(part).golden for part in RECOGNIZER_GRAPHS)
    engine = OnnxEngine(weights.read(f"{name}.onnx"), *spec.tensors()["recognizer"])
    wanted = {
        "out.classes": head[f"out.{scores_of(labels)}"],
        "out.intensity": frames["out.intensity"],
        **{f"out.{one.name}": head[f"out.{one.name}"] for one in spec.movement_tensors()},
    }
    return judge("A", name, engine(**inputs_of(frames)), wanted, weights.spotter)


def _judged(rung: str, graphs: Graphs) -> Results:
    return {name: _tried(partial(_judge, rung, graphs, name)) for name in graphs.names}


def _judge(rung: str, graphs: Graphs, name: str) -> dict[str, Any]:
    """Judge one graph by ONNX Runtime; the result goes into its parity.json."""
    graph = graphs.graph(name)
    found = onnx_outputs(graph.model, graph.tensors, graph.golden)
    result = judge(rung, name, found, graph.golden, graphs.spotter)
    graph.entry.record({rung: result})
    return result


def _rung_c(graphs: Graphs, sms: Sequence[int]) -> Results:
    results = {}
    for name in graphs.names:
        for sm in sms:
            results[f"{name} sm{sm}"] = _tried(partial(_built, graphs, name, sm))
    return results


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
            host = GpuHost(cache, target_of(backend, gpu), gpu, Cuda())
        except EngineError as error:  # the GPU is full, or another process has it exclusively
            results[backend] = {"passed": False, "reason": str(error)}
            continue
        for name in graphs.names:
            results[f"{name} {backend}"] = _tried(partial(_tested, graphs, name, host))
    return results


def _tested(graphs: Graphs, name: str, host: GpuHost) -> dict[str, Any]:
    return rung_d(graphs.graph(name), host, graphs.spotter)
