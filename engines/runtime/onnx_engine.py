"""ONNX Runtime on the CPU: the default backend, the only one that a base install has.

One intra-op thread, sequential: a stage that borrows a second core stalls (p95 of tens of ms) as
soon as another stage needs that core, and the networks are small enough for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import EngineError
from ..specs import RecognizerSpec, SpotterSpec, TensorSpec
from .engine import Array, Engine, Tensors, brief, check_arrays, expected_tensors

THREADS = 1
DTYPES = {
    "tensor(float)": "float32",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
    "tensor(float16)": "float16",
}
WARNINGS_OFF = 3  # ONNX Runtime's severity "error"


def load_onnx(
    spotter: SpotterSpec,
    recognizer: RecognizerSpec | None,
    labels: int,
    read: Callable[[str], bytes],
) -> dict[str, Engine]:
    """All engines of one set, by name.

    labels: size of the label set, which chooses the recognizer's file. read: returns the verified
    bytes of a file of the weights.
    """
    files = {name: f"{name}.onnx" for name in spotter.tensors()}
    if recognizer is not None:
        files["recognizer"] = f"recognizer-{labels}.onnx"
    tensors = expected_tensors(spotter, recognizer)
    return {name: OnnxEngine(read(file), *tensors[name], name=file) for name, file in files.items()}


class OnnxEngine:
    """One ONNX model. Outputs are fresh arrays.

    `model` is the file's content; `name` stands in messages. Raises EngineError where the model
    cannot be parsed or its inputs and outputs differ from the spec in name, order, dtype or
    dimension (exporters have been seen to freeze a free dimension without a warning).
    """

    def __init__(
        self, model: bytes, inputs: Tensors, outputs: Tensors, name: str = "model"
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.name = name
        self._session: Any = _open(model, name)
        _check_model(f"{name} inputs", inputs, self._session.get_inputs())
        _check_model(f"{name} outputs", outputs, self._session.get_outputs())
        self._names = [spec.name for spec in outputs]

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        """Run the model; EngineError where arrays differ from the spec, and after `close`."""
        if self._session is None:
            raise EngineError(f"{self.name} is closed: load the engines again")
        check_arrays(self.inputs, arrays)
        return dict(zip(self._names, self._session.run(self._names, arrays), strict=True))

    def close(self) -> None:
        """Release the session."""
        self._session = None


def _open(model: bytes, name: str) -> Any:
    """A session on one thread.

    Raises EngineError where the model does not parse or needs an unknown operator.
    """
    # not at the top: importing engines must stay quick
    from .onnxruntime_import import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = WARNINGS_OFF
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base
        raise EngineError(
            f"{name}: ONNX Runtime cannot load it ({_first_line(error)}); export it again"
        ) from error


def _check_model(where: str, specs: Tensors, found: list[Any]) -> None:
    actual = tuple(_describe(node) for node in found)
    same = len(actual) == len(specs) and all(map(_same, specs, actual))
    if not same:
        raise EngineError(f"{where}: expected {brief(specs)}, got {brief(actual)}; export it again")


def _describe(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else str(size) for size in node.shape)
    return TensorSpec(node.name, DTYPES.get(node.type, node.type), shape)


def _same(spec: TensorSpec, actual: TensorSpec) -> bool:
    """Whether two tensors agree in all but the names of their free dimensions."""
    same_kind = (spec.name, spec.dtype) == (actual.name, actual.dtype)
    return same_kind and _anonymous(spec.shape) == _anonymous(actual.shape)


def _anonymous(shape: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The shape with every free dimension as "*": their names are the exporter's choice."""
    return tuple("*" if isinstance(size, str) else size for size in shape)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
