"""A whole set of engines on an NVIDIA GPU: what is missing for it, loading, self-test.

Engines come from the cache or are built now. One that this GPU has not run yet must first repeat
the golden outputs (rung D of the parity ladder); one that cannot is refused.
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

    Imports TensorRT and torch only where the driver has a GPU; one that is installed but does not
    import is lacking.
    """
    gpu = find_gpu()
    module = MODULES[backend]
    found = []
    if isinstance(gpu, str):
        found.append(f"an NVIDIA GPU and its driver ({gpu})")
    absent = [name for name in (module, *PACKAGES) if importlib.util.find_spec(name) is None]
    if absent:
        found.append(f"{', '.join(absent)} ({INSTALL[backend]})")
    if found or isinstance(gpu, str):
        return found
    try:
        trt = load_module(backend)
        import torch
    except (EngineError, ImportError, OSError) as error:
        return [f"{module} and torch that can be imported ({error.__cause__ or error})"]
    if backend == "rtx" and gpu.sm not in supported_sms(trt):
        listed = ", ".join(map(str, supported_sms(trt)))
        found.append(f"a GPU of SM {listed}: {gpu.name} is SM {gpu.sm}, use --backend tensorrt")
    if not torch.cuda.is_available():
        found.append(
            f"torch with CUDA: {torch.__version__} has none, "
            "take the CUDA build (pytorch.org/get-started)"
        )
    return found


def require(backend: str) -> Gpu:
    """The GPU; raises an EngineError that says what to install where `missing` finds something."""
    lacks = missing(backend)
    gpu = find_gpu()
    if lacks or isinstance(gpu, str):
        raise EngineError(
            f"backend {backend} needs {' and '.join(lacks)}; NVIDIA's driver comes from NVIDIA, "
            f"the rest with {INSTALL[backend]}, or use --backend onnx"
        )
    return gpu


def target_of(backend: str, gpu: Gpu) -> Target:
    """What to build for this GPU.

    An engine of TensorRT is for one model of GPU, one of TensorRT for RTX for a capability.
    """
    return Target(backend, gpu.sm, gpu.name if backend == "tensorrt" else "")


def load_on_gpu(
    backend: str,
    spotter: SpotterSpec,
    recognizer: RecognizerSpec | None,
    labels: int,
    read: Read,
    precision: str = PRECISION,
) -> dict[str, Engine]:
    """All engines of one set by name, from the cache or built now.

    backend: rtx or tensorrt. labels: size of the label set. read: returns the verified bytes of a
    file of the weights. Raises EngineError where something is missing, cannot be built or does not
    repeat the golden outputs.
    """
    gpu = require(backend)
    host = GpuHost(
        Cache(cache_folder(), logging.getLogger(__name__).warning),
        target_of(backend, gpu),
        gpu,
        Cuda(),
    )
    graphs = Graphs(spotter, recognizer, read, host.cache, precision)
    engines: dict[str, Engine] = {}
    try:
        for name in graphs.names:
            engines[name] = start(graphs.graph(name), host, spotter)
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
class GpuHost:
    """Where engines are kept and run: cache, what they are built for, the GPU and its stream."""

    cache: Cache
    target: Target
    gpu: Gpu
    cuda: Cuda


def start(graph: Graph, host: GpuHost, spotter: SpotterSpec) -> TensorRTEngine:
    """The engine of `graph`, loaded, its self-test passed now or before on this GPU.

    Raises EngineError where it cannot be built or fails its self-test.
    """
    entry, engine = _loaded(graph, host)
    known = entry.parity().get("D", {})
    if known.get("passed") is True and known.get("where") == _where(entry, host.gpu):
        return engine
    try:
        _self_test(engine, graph, entry, host.gpu, spotter)
    except BaseException:
        engine.close()
        raise
    return engine


def rung_d(graph: Graph, host: GpuHost, spotter: SpotterSpec) -> dict[str, Any]:
    """Run the self-test of an engine, whether it has passed before or not.

    Returns errors and limits by way of asking and output, such as "whole classes". Raises
    EngineError where the test fails.
    """
    entry, engine = _loaded(graph, host)
    with closing(engine):
        results = _self_test(engine, graph, entry, host.gpu, spotter)
    report: dict[str, Any] = {"passed": True, "errors": {}, "limits": {}}
    for way, result in results.items():
        for kind in ("errors", "limits"):
            report[kind] |= {f"{way} {output}": value for output, value in result[kind].items()}
    return report


def _loaded(graph: Graph, host: GpuHost) -> tuple[Entry, TensorRTEngine]:
    """The engine from the cache, or built; one that does not load is built once more."""
    entry = plan_entry(host.cache, graph, host.target)
    try:
        return entry, _engine(graph, entry, host)
    except LoadError:
        entry = plan_entry(host.cache, graph, host.target, refused=entry.sha256(PLAN))
        return entry, _engine(graph, entry, host)


def _engine(graph: Graph, entry: Entry, host: GpuHost) -> TensorRTEngine:
    return TensorRTEngine(
        entry.read(PLAN), *graph.tensors, host.target.backend, graph.name, host.cuda
    )


def _where(entry: Entry, gpu: Gpu) -> dict[str, str]:
    """What a result of rung D holds for: engine file, GPU and driver."""
    return {"plan": entry.sha256(PLAN), "gpu": gpu.name, "driver": gpu.driver}


def _self_test(
    engine: TensorRTEngine, graph: Graph, entry: Entry, gpu: Gpu, spotter: SpotterSpec
) -> dict[str, dict[str, Any]]:
    """Run rung D: the golden arrays in one batch ("whole"), then row by row ("apart").

    Row by row is how one live camera asks. The results go into parity.json. Raises EngineError
    where one has not passed.
    """
    golden = graph.golden
    rung = f"D {graph.precision}"
    results = {
        way: judge(rung, graph.name, ask(engine, golden), golden, spotter)
        for way, ask in {"whole": outputs_of, "apart": outputs_one_by_one}.items()
    }
    engine.forget()  # the shapes of the golden arrays
    failed = {way: result for way, result in results.items() if not result["passed"]}
    entry.record({"D": results | {"passed": not failed, "where": _where(entry, gpu)}})
    for way, result in failed.items():
        raise EngineError(
            f"{graph.name} {graph.precision} on {gpu.name} is not the function that was trained "
            f"(asked {way}: errors {result['errors']}, allowed {result['limits']}): "
            "refused, use --backend onnx and report it"
        )
    return results


class SplitRecognizer:
    """CMNet as the two engines `frames` and `head`, behind the contract of one."""

    def __init__(
        self, frames: Engine, head: Engine, inputs: Tensors, outputs: Tensors, labels: int
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._frames = frames
        self._head = head
        self._scores = scores_of(labels)

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        """The outputs of a recognizer for a batch of clips; EngineError as the engines raise it."""
        frames = self._frames(**arrays)
        found = self._head(**{spec.name: frames[spec.name] for spec in self._head.inputs})
        own = {"classes": found[self._scores], "intensity": frames["intensity"]}
        answers = {**found, **own}
        return {spec.name: answers[spec.name] for spec in self.outputs}

    def close(self) -> None:
        """Release both engines."""
        self._frames.close()
        self._head.close()
