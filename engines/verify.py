"""All rungs of the parity ladder that this machine can stand on, for one set of weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from .errors import EngineError
from .graphs import RECOGNIZER_GRAPHS, Graph, Graphs, scores_of
from .parity import inputs_of, judge, onnx_outputs
from .runtime.builder import INSTALL, MODULES, Target
from .runtime.cache import Cache
from .runtime.cuda import Cuda
from .runtime.nvidia import find_gpu
from .runtime.onnx_engine import OnnxEngine
from .runtime.plans import rung_c
from .runtime.select import LABELS, Weights
from .runtime.tensorrt_set import Place, missing, start, target_of

Results = dict[str, dict[str, Any]]  # of one rung, by graph


def ladder(weights: Weights, cache: Cache, precision: str, sms: Sequence[int]) -> dict[str, Any]:
    """Rungs A to D: each "passed", "failed: …" or "not run: …", and `details` with the numbers of every graph.

    precision and sms: of the engines of C and D. Graphs and engines that are missing are made. Raises EngineError where
    torch or onnx is missing and a graph has to be made.
    """
    single, half = (graphs_of(weights, cache, kind) for kind in ("fp32", "fp16"))
    chosen = half if precision == "fp16" else single
    rungs: dict[str, Results | str] = {"A": _rung_a(single, weights), "B": _judged("B", half)}
    rungs["C"] = _rung_c(chosen, sms) if importlib.util.find_spec(MODULES["rtx"]) else f"not run: {INSTALL['rtx']}"
    rungs["D"] = _rung_d(chosen, cache)
    verdicts = {rung: found if isinstance(found, str) else _verdict(found) for rung, found in rungs.items()}
    return verdicts | {"details": {rung: found for rung, found in rungs.items() if not isinstance(found, str)}}


def graphs_of(weights: Weights, cache: Cache, precision: str) -> Graphs:
    """The graphs of a folder of weights; any of its label sets describes the frames that CMNet wants."""
    recognizer = next(iter(weights.recognizers.values()), None)
    return Graphs(weights.spotter, recognizer, weights.read, cache, precision)


def _verdict(results: Results) -> str:
    bad = [name for name, result in results.items() if not result["passed"]]
    return f"failed: {', '.join(bad)}" if bad else "passed"


def _rung_a(graphs: Graphs, weights: Weights) -> Results:
    results = _judged("A", graphs)
    if graphs.recognizer is not None:
        frames, head = (graphs.graph(name).golden for name in RECOGNIZER_GRAPHS)
        for labels in (count for count in LABELS if str(count) in weights.recognizers):
            engine = OnnxEngine(
                weights.read(f"recognizer-{labels}.onnx"), *weights.recognizers[str(labels)].tensors()["recognizer"]
            )
            wanted = {"out.classes": head[f"out.{scores_of(labels)}"], "out.intensity": frames["out.intensity"]}
            name = f"recognizer-{labels}"
            results[name] = judge("A", name, engine(**inputs_of(frames)), wanted, weights.spotter)
    return results


def _judged(rung: str, graphs: Graphs) -> Results:
    """ONNX Runtime on every graph, written beside it."""
    results = {}
    for graph in map(graphs.graph, graphs.names):
        found = onnx_outputs(graph.model, graph.tensors, graph.golden)
        results[graph.name] = judge(rung, graph.name, found, graph.golden, graphs.spotter)
        graph.entry.record({rung: results[graph.name]})
    return results


def _rung_c(graphs: Graphs, sms: Sequence[int]) -> Results:
    wanted = [(graphs.graph(name), sm) for name in graphs.names for sm in sms]
    return {f"{graph.name} sm{sm}": rung_c(graphs.cache, graph, Target("rtx", sm)) for graph, sm in wanted}


def _rung_d(graphs: Graphs, cache: Cache) -> Results | str:
    gpu = find_gpu()
    if isinstance(gpu, str):
        return f"not run: {gpu}"
    able = [backend for backend in MODULES if not missing(backend)]
    if not able:
        return f"not run: {'; '.join(missing('rtx'))}"
    results: Results = {}
    for backend in able:
        place = Place(cache, target_of(backend, gpu), gpu, Cuda())
        for graph in map(graphs.graph, graphs.names):
            results[f"{graph.name} {backend}"] = _tested(graph, place, graphs)
    return results


def _tested(graph: Graph, place: Place, graphs: Graphs) -> dict[str, Any]:
    """Rung D of one engine: the self-test, repeated."""
    try:
        start(graph, place, graphs.spotter, test=True).close()
    except EngineError as error:
        return {"passed": False, "reason": str(error)}
    return {"passed": True}
