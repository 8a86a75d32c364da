"""A whole set of engines on an NVIDIA GPU: what is missing for it, engines from the cache or built now, self-tested.

An engine that this GPU has not run yet must first repeat the golden outputs (rung D); one that cannot is refused.
"""

from __future__ import annotations

import importlib.util
import logging
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..errors import EngineError
from ..export.parity import judge, outputs_of, outputs_one_by_one
from ..runtime.engine import Array, Engine, Tensors
from ..specs import RecognizerSpec, SpotterSpec
from .builder import INSTALL, MODULES, PRECISIONS, Target, load_module, supported_sms
from .cache import PLAN, Cache, Entry, cache_folder
from .cuda import Cuda
from .engine import LoadError, TensorRTEngine
from .gpu import Gpu, find_gpu
from .graphs import EXPORTERS, Graph, Graphs, Read, scores_of
from .plans import plan_entry

PRECISION = PRECISIONS[0]
PACKAGES = (*EXPORTERS, "filelock")  # beside TensorRT


def missing(backend: str) -> list[str]:
    """What `rtx` or `tensorrt` lacks on this machine, each with the remedy; empty where it can run.

    Imports TensorRT and torch only where the driver has a GPU; one that is installed but does not import is lacking.
    """
    gpu, module = find_gpu(), MODULES[backend]
    found = [f"an NVIDIA GPU and its driver ({gpu})"] if isinstance(gpu, str) else []
    absent = [name for name in (module, *PACKAGES) if importlib.util.find_spec(name) is None]
    found += [f"{', '.join(absent)} ({INSTALL[backend]})"] if absent else []
    if found or isinstance(gpu, str):
        return found
    try:
        trt = load_module(backend)
        import torch
    except (EngineError, ImportError, OSError) as error:
        return [f"{module} and torch that can be imported ({error.__cause__ or error})"]
    if backend == "rtx" and gpu.sm not in (listed := supported_sms(trt)):
        found.append(
            f"a GPU of SM {', '.join(map(str, listed))}: {gpu.name} is SM {gpu.sm}, use --backend tensorrt"
        )
    if not torch.cuda.is_available():
        found.append(
            f"torch with CUDA: {torch.__version__} has none, take the CUDA build (pytorch.org/get-started)"
        )
    return found


def require(backend: str) -> Gpu:
    """The GPU; EngineError that says what to install where `missing` finds something."""
    lacks, gpu = missing(backend), find_gpu()
    if lacks or isinstance(gpu, str):
        raise EngineError(
            f"backend {backend} needs {' and '.join(lacks)}; NVIDIA's driver comes from NVIDIA, the rest with "
            f"{INSTALL[backend]}, or use --backend onnx"
        )
    return gpu


def target_of(backend: str, gpu: Gpu) -> Target:
    """What to build for this GPU: TensorRT's engines are for one model, those of TensorRT for RTX for a capability."""
    return Target(backend, gpu.sm, gpu.name if backend == "tensorrt" else "")


def load_on_gpu(
    backend: str,
    spotter: SpotterSpec,
    recognizer: RecognizerSpec | None,
    labels: int,
    read: Read,
    precision: str = PRECISION,
) -> dict[str, Engine]:
    """All engines of one set by name, from the cache or built now; `read` returns the verified bytes of a file.

    backend: rtx or tensorrt.
    Raises EngineError where something is missing, cannot be built or does not repeat the golden outputs.
    """
    gpu = require(backend)
    place = Place(
        Cache(cache_folder(), logging.getLogger(__name__).warning),
        target_of(backend, gpu),
        gpu,
        Cuda(),
    )
    graphs = Graphs(spotter, recognizer, read, place.cache, precision)
    engines: dict[str, Engine] = {}
    try:
        for name in graphs.names:
            engines[name] = start(graphs.graph(name), place, spotter)
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise
    if recognizer is not None:
        tensors = recognizer.tensors()["recognizer"]
        engines["recognizer"] = SplitRecognizer(
            engines.pop("frames"), engines.pop("head"), *tensors, labels
        )
    return engines


@dataclass(frozen=True, eq=False)
class Place:
    """Where engines are kept and run."""

    cache: Cache
    target: Target
    gpu: Gpu
    cuda: Cuda


def start(graph: Graph, place: Place, spotter: SpotterSpec) -> TensorRTEngine:
    """The engine of `graph`, loaded and known to be right. Raises EngineError."""
    entry, engine = _loaded(graph, place)
    known, where = entry.parity().get("D", {}), _where(entry, place.gpu)
    if known.get("passed") is True and known.get("where") == where:
        return engine
    try:
        _self_test(engine, graph, entry, place.gpu, spotter)
    except BaseException:
        engine.close()
        raise
    return engine


def rung_d(graph: Graph, place: Place, spotter: SpotterSpec) -> dict[str, Any]:
    """The self-test of an engine, whether it has passed before or not; errors and limits by way of asking and output.

    Raises EngineError where it fails.
    """
    entry, engine = _loaded(graph, place)
    with closing(engine):
        results = _self_test(engine, graph, entry, place.gpu, spotter)
    numbers = {
        kind: {
            f"{way} {output}": value
            for way, result in results.items()
            for output, value in result[kind].items()
        }
        for kind in ("errors", "limits")
    }
    return {"passed": True, **numbers}


def _loaded(graph: Graph, place: Place) -> tuple[Entry, TensorRTEngine]:
    """The engine from the cache, or built; one that does not load is built once more."""
    entry = plan_entry(place.cache, graph, place.target)
    try:
        return entry, _engine(graph, entry, place)
    except LoadError:
        entry = plan_entry(place.cache, graph, place.target, refused=entry.sha256(PLAN))
        return entry, _engine(graph, entry, place)


def _engine(graph: Graph, entry: Entry, place: Place) -> TensorRTEngine:
    return TensorRTEngine(
        entry.read(PLAN), *graph.tensors, place.target.backend, graph.name, place.cuda
    )


def _where(entry: Entry, gpu: Gpu) -> dict[str, str]:
    """What a result of rung D holds for."""
    return {"plan": entry.sha256(PLAN), "gpu": gpu.name, "driver": gpu.driver}


def _self_test(
    engine: TensorRTEngine, graph: Graph, entry: Entry, gpu: Gpu, spotter: SpotterSpec
) -> dict[str, dict[str, Any]]:
    """Rung D: the golden arrays at once ("whole"), and as one live camera asks ("apart"). Raises EngineError."""
    golden, rung = graph.golden, f"D {graph.precision}"
    results = {
        way: judge(rung, graph.name, ask(engine, golden), golden, spotter)
        for way, ask in {"whole": outputs_of, "apart": outputs_one_by_one}.items()
    }
    engine.forget()  # the shapes of the golden arrays
    failed = {way: result for way, result in results.items() if not result["passed"]}
    entry.record({"D": results | {"passed": not failed, "where": _where(entry, gpu)}})
    for way, result in failed.items():
        raise EngineError(
            f"{graph.name} {graph.precision} on {gpu.name} is not the function that was trained (asked {way}: errors "
            f"{result['errors']}, allowed {result['limits']}): refused, use --backend onnx and report it"
        )
    return results


class SplitRecognizer:
    """CMNet as the two engines `frames` and `head`, behind the contract of one."""

    def __init__(
        self, frames: Engine, head: Engine, inputs: Tensors, outputs: Tensors, labels: int
    ) -> None:
        self.inputs, self.outputs = inputs, outputs
        self._frames, self._head, self._scores = frames, head, scores_of(labels)

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        seen = self._frames(**arrays)
        return {
            "classes": self._head(product=seen["product"])[self._scores],
            "intensity": seen["intensity"],
        }

    def close(self) -> None:
        self._frames.close()
        self._head.close()
