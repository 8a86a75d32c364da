"""ONNX to an engine file, by TensorRT for RTX (no GPU needed) or by TensorRT (for the GPU at hand).

Both build strongly typed networks: what is FP16 in the graph is FP16 in the engine. TF32 is
switched off: flow is made of differences, and ten bits are too few for them. Refitting, weight
stripping and timing caches are not used: without a GPU they were seen to fail or to do nothing.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import EngineError, install
from ..runtime.engine import Tensors
from ..specs import FREE_SIZES, TensorSpec

MODULES = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}
INSTALL = {name: install(name) for name in MODULES}
PRECISIONS = ("fp16", "fp32")
DTYPES = {"HALF": "float16", "FLOAT": "float32"}


@dataclass(frozen=True)
class Target:
    """What an engine is built for: a compute capability (RTX), or one model of GPU (TensorRT)."""

    backend: str  # rtx or tensorrt
    sm: int
    gpu: str = ""  # its name; empty for RTX, whose engines run on every GPU of the capability

    def fields(self, version: str) -> dict[str, Any]:
        """What distinguishes engines of one graph, for the key of the cache."""
        return {
            "module": MODULES[self.backend],
            "version": version,
            "os": f"{sys.platform}-{platform.machine()}",
            "profile": {letter: list(sizes) for letter, sizes in FREE_SIZES.items()},
            "tf32": False,
            "flags": [],
            "sm": self.sm,
            "gpu": self.gpu,
        }


def load_module(backend: str) -> Any:
    """The Python module of `rtx` or `tensorrt`.

    Raises EngineError with the install command where it cannot be imported.
    """
    try:
        return importlib.import_module(MODULES[backend])
    except (ImportError, OSError) as error:
        raise EngineError(
            f"backend {backend} needs {MODULES[backend]} ({error}): {INSTALL[backend]}"
        ) from error


def supported_sms(trt: Any) -> list[int]:
    """Compute capabilities that TensorRT for RTX builds for, by its own list."""
    names = [name for name in dir(trt.ComputeCapability) if name.startswith("SM")]
    return sorted(int(name.removeprefix("SM")) for name in names)


def logger_of(trt: Any, lines: list[str]) -> Any:
    """A logger that keeps errors in `lines` instead of printing them."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            """Keep `message` where it is an error; TensorRT calls this."""
            if severity <= trt.ILogger.Severity.ERROR:
                lines.append(message)

    return Logger()


def build(
    model: bytes, name: str, tensors: tuple[Tensors, Tensors], target: Target
) -> tuple[bytes, dict[str, int]]:
    """Build an engine; returns (engine file, audit of types).

    Native code may end the process: call it through `isolated_build.build_isolated`. Raises
    EngineError where the module is missing, the graph is refused, a dimension is frozen, a layer
    changed its type, or the target is not supported.
    """
    trt = load_module(target.backend)
    lines = list[str]()
    logger = logger_of(trt, lines)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise EngineError(
            f"{name}: {MODULES[target.backend]} cannot read the graph ({_parser_errors(parser)})"
        )
    check_network(network, name, tensors)
    audit = audit_types(network, name, model)
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    config.add_optimization_profile(_profile(builder, name, tensors[0]))
    if target.backend == "rtx":
        _set_capability(trt, config, target.sm)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = lines[-1] if lines else "no reason given"
        hint = "; SM 75 needs --precision fp16" if target.sm == 75 else ""
        raise EngineError(f"{name}: no engine for SM {target.sm} ({reason}){hint}")
    return bytes(plan), audit


def _set_capability(trt: Any, config: Any, sm: int) -> None:
    """Make `config` build for compute capability `sm`; EngineError where that is refused."""
    if sm not in supported_sms(trt):
        listed = ", ".join(map(str, supported_sms(trt)))
        raise EngineError(
            f"SM {sm}: TensorRT for RTX builds for {listed}; use --backend tensorrt on that GPU"
        )
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{sm}"), 0):
        raise EngineError(
            f"SM {sm} is refused by this version of TensorRT for RTX: use --backend tensorrt"
        )


def _parser_errors(parser: Any) -> str:
    """The parser's errors as text, made at once: error objects that outlive it end the process."""
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    return "; ".join(
        f"{e.node_operator()} {e.node_name()}: {' '.join(e.desc().split())}" for e in errors
    )


def check_network(network: Any, name: str, tensors: tuple[Tensors, Tensors]) -> None:
    """Raise EngineError unless the parsed network's tensors are those of the specs.

    Compared are names in order and shapes, with the free dimensions where the specs have them.
    """
    inputs, outputs = tensors
    for kind, count, get, specs in (
        ("inputs", network.num_inputs, network.get_input, inputs),
        ("outputs", network.num_outputs, network.get_output, outputs),
    ):
        found = [(get(i).name, tuple(get(i).shape)) for i in range(count)]
        wanted = [(spec.name, open_shape(spec)) for spec in specs]
        if found != wanted:
            raise EngineError(
                f"{name}: expected {kind} {wanted}, the network has {found}; export it again"
            )


def open_shape(spec: TensorSpec) -> tuple[int, ...]:
    """The shape with -1 for a free dimension, as TensorRT writes it."""
    return tuple(-1 if isinstance(size, str) else size for size in spec.shape)


def sizes_of(spec: TensorSpec, which: int) -> tuple[int, ...]:
    """A concrete shape at the least (0), usual (1) or largest (2) size of every free dimension."""
    return tuple(FREE_SIZES[size][which] if isinstance(size, str) else size for size in spec.shape)


def _profile(builder: Any, name: str, inputs: Tensors) -> Any:
    profile = builder.create_optimization_profile()
    for spec in inputs:
        profile.set_shape(spec.name, *(sizes_of(spec, which) for which in range(3)))
    if not profile:
        raise EngineError(f"{name}: the profile {FREE_SIZES} is refused")
    return profile


def audit_types(network: Any, name: str, model: bytes) -> dict[str, int]:
    """Layers with learned or constant weights by type, such as {"convolution float16": 4}.

    Raises EngineError where a convolution or matrix product does not compute in the type that the
    graph gives it.
    """
    layers = (network.get_layer(i) for i in range(network.num_layers))
    found = Counter((layer.type.name, DTYPES.get(_type(layer), _type(layer))) for layer in layers)
    convolutions = {dtype: count for (kind, dtype), count in found.items() if kind == "CONVOLUTION"}
    products = {dtype: count for (kind, dtype), count in found.items() if kind == "MATRIX_MULTIPLY"}
    wanted, allowed = _types_of(model)
    if convolutions != dict(wanted) or not products.keys() <= allowed:
        raise EngineError(
            f"{name}: expected convolutions {dict(wanted)} and products of {sorted(allowed)}, "
            f"the network has {convolutions} and {products}"
        )
    audit = {}
    for kind, counts in (("convolution", convolutions), ("product", products)):
        for dtype in sorted(counts):
            audit[f"{kind} {dtype}"] = counts[dtype]
    return audit


def _type(layer: Any) -> str:
    return str(layer.get_input(0).dtype.name) if layer.num_inputs else ""


def _types_of(model: bytes) -> tuple[Counter[str], set[str]]:
    """(convolutions of an ONNX graph by type of their weights, types of its products and LSTMs)."""
    import onnx  # not at the top: running an engine takes no onnx

    graph = onnx.load_from_string(model).graph
    types = {
        tensor.name: onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
        for tensor in graph.initializer
    }
    convolutions = Counter(types[node.input[1]] for node in graph.node if node.op_type == "Conv")
    products: set[str] = set()
    for node in graph.node:
        if node.op_type in ("Gemm", "MatMul", "LSTM"):
            products |= {types[name] for name in _floats(node.input, types)}
    return convolutions, products


def _floats(names: Iterable[str], types: dict[str, str]) -> Sequence[str]:
    """Those of `names` that are constants of a floating type."""
    return [name for name in names if types.get(name, "").startswith("float")]
