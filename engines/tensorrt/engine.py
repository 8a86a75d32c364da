"""One engine on an NVIDIA GPU, by TensorRT or TensorRT for RTX: the same class over either module.

Every shape has its own context, buffers and recorded launch, so a call is: copy in, one launch,
copy out, wait. What CUDA cannot record is launched kernel by kernel. Batches are padded to a power
of two, which keeps the shapes few, and split beyond the largest. Everything lives on one stream. On
a GPU this has run with a fake of TensorRT alone: rung D of the parity ladder says whether it works
on yours.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import EngineError
from ..runtime.engine import Array, Tensors, check_arrays
from ..specs import FREE_SIZES, TensorSpec
from .builder import DTYPES, load_module, logger_of, open_shape
from .cuda import Cuda, as_engine_error

KEPT_SHAPES = 16  # contexts and their buffers; the least recently used is dropped first

Sizes = dict[str, int]


class LoadError(EngineError):
    """An engine file that TensorRT refuses to load; another build may load."""


class TensorRTEngine:
    """An engine file that runs. Outputs are views of buffers: valid until the next call.

    Construct only where `gpu.find_gpu` has found a GPU: TensorRT can kill the process otherwise.
    Raises LoadError where the file does not load, EngineError where its tensors are not those of
    the specs, where a call fails, and where a free dimension other than the batch is outside of
    what engines are built for.
    """

    def __init__(
        self,
        plan: bytes,
        inputs: Tensors,
        outputs: Tensors,
        backend: str,
        name: str,
        cuda: Cuda | None = None,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.name = name
        self._trt = load_module(backend)
        self._backend = backend
        self._log = list[str]()
        self._cuda = cuda or Cuda()
        self._logger = logger_of(self._trt, self._log)
        self._batch = str(inputs[0].shape[0])
        self._letters = sorted(
            {size for spec in inputs for size in spec.shape if isinstance(size, str)}
        )
        self._usual = {letter: FREE_SIZES[letter].usual for letter in self._letters}
        self._steps: OrderedDict[tuple[int, ...], _Step] = OrderedDict()
        self._records = backend == "tensorrt"  # TensorRT for RTX records by itself
        with as_engine_error(name):
            self._runtime = self._trt.Runtime(self._logger)
            self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise LoadError(
                    f"{name}: {backend} does not load it ({self._reason()}); build it again"
                )
            self._check_tensors()
            self._step(self._usual)  # warm before the first frame

    def __call__(self, **arrays: Array) -> dict[str, Array]:
        """Run the engine on a batch of any size; EngineError where a call fails."""
        if self._engine is None:
            raise EngineError(f"{self.name} is closed: load the engines again")
        check_arrays(self.inputs, arrays)
        sizes = self._sizes(arrays)
        count = sizes[self._batch]
        most = FREE_SIZES[self._batch].largest
        if count <= most:
            return self._run(arrays, sizes)
        parts = []
        for start in range(0, count, most):
            part = {name: array[start : start + most] for name, array in arrays.items()}
            found = self._run(part, self._sizes(part))
            parts.append({name: array.copy() for name, array in found.items()})
        return {
            spec.name: np.concatenate([part[spec.name] for part in parts]) for spec in self.outputs
        }

    def forget(self) -> None:
        """Release the memory of every shape but the usual one.

        A released shape is made again when it is needed.
        """
        for key in self._steps.keys() - {tuple(self._usual.values())}:
            del self._steps[key]

    def close(self) -> None:
        """Release the GPU's memory: contexts, then their engine, then its runtime."""
        self._steps.clear()
        self._engine = None
        self._runtime = None

    def _run(self, arrays: dict[str, Array], sizes: Sizes) -> dict[str, Array]:
        count = sizes[self._batch]
        with as_engine_error(self.name):
            step = self._step(sizes | {self._batch: padded_batch(count)})
            return {name: array[:count] for name, array in step(arrays).items()}

    def _step(self, sizes: Sizes) -> _Step:
        key = tuple(sizes.values())
        if key not in self._steps:
            while len(self._steps) >= KEPT_SHAPES:
                self._steps.popitem(last=False)
            step = _Step(self._context(), self._cuda, self.inputs, self.outputs, sizes, self._fail)
            if self._records:
                self._record(step)
            self._steps[key] = step
        self._steps.move_to_end(key)
        return self._steps[key]

    def _record(self, step: _Step) -> None:
        """Launch `step` by a CUDA graph from now on.

        Where one cannot be recorded, no other shape is tried.
        """
        try:
            step.record()
        except EngineError as error:
            self._records = False
            reason = self._reason() if self._log else error
            logging.getLogger(__name__).warning(
                "%s is launched without a CUDA graph (%s)", self.name, reason
            )
            step.warm()

    def _context(self) -> Any:
        if self._backend == "tensorrt":
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def _sizes(self, arrays: dict[str, Array]) -> Sizes:
        """Size of every free dimension, in alphabetical order.

        Raises EngineError where one is outside of the limits.
        """
        free: dict[str, int] = {}
        for spec in self.inputs:
            sizes = zip(spec.shape, arrays[spec.name].shape, strict=True)
            free |= {letter: size for letter, size in sizes if isinstance(letter, str)}
        for letter in self._letters:
            least, _, most = FREE_SIZES[letter]
            if free[letter] < least or (letter != self._batch and free[letter] > most):
                wanted = f"expected {least} to {most}"
                raise EngineError(
                    f"{self.name}: {letter} is {free[letter]}, {wanted}: send less at once"
                )
        return {letter: free[letter] for letter in self._letters}

    def _check_tensors(self) -> None:
        """Raise EngineError unless the engine's tensors are those of the specs.

        Compared are name, direction, shape and type.
        """
        engine = self._engine
        found = {}
        for name in (engine.get_tensor_name(i) for i in range(engine.num_io_tensors)):
            mode = engine.get_tensor_mode(name)
            shape = tuple(engine.get_tensor_shape(name))
            found[name] = (mode, shape, engine.get_tensor_dtype(name).name)
        modes = self._trt.TensorIOMode
        wanted = {}
        for mode, specs in ((modes.INPUT, self.inputs), (modes.OUTPUT, self.outputs)):
            for spec in specs:
                wanted[spec.name] = (mode, open_shape(spec), _type_name(spec.dtype))
        if found != wanted:
            raise EngineError(
                f"{self.name}: expected tensors {wanted}, the engine has {found}; build it again"
            )

    def _fail(self, what: str) -> EngineError:
        return EngineError(
            f"{self.name}: {what} failed ({self._reason()}); use --backend onnx and report it"
        )

    def _reason(self) -> str:
        return " ".join(self._log[-1].split()) if self._log else "no reason given"


class _Step:
    """One shape of one engine: context, buffers on both sides, launch."""

    def __init__(
        self,
        context: Any,
        cuda: Cuda,
        inputs: Tensors,
        outputs: Tensors,
        sizes: Sizes,
        fail: Callable[[str], EngineError],
    ) -> None:
        if context is None:
            raise fail("making a context")
        self._context = context
        self._cuda = cuda
        self._fail = fail
        self._inputs = [spec.name for spec in inputs]
        self._outputs = [spec.name for spec in outputs]
        shapes = {spec.name: _concrete(spec, sizes) for spec in (*inputs, *outputs)}
        self._set_shapes(shapes)
        dtypes = {spec.name: spec.dtype for spec in (*inputs, *outputs)}
        self._gpu = {name: cuda.on_gpu(shape, dtypes[name]) for name, shape in shapes.items()}
        self._pinned = {name: cuda.pinned(shape, dtypes[name]) for name, shape in shapes.items()}
        self._host = {name: tensor.numpy() for name, tensor in self._pinned.items()}
        for name, tensor in self._gpu.items():
            self._require(
                context.set_tensor_address(name, tensor.data_ptr()), f"giving {name} its memory"
            )
        self._replay: Callable[[], None] | None = None
        self.warm()

    def _set_shapes(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Set the shapes of the inputs; EngineError unless the outputs then have those expected."""
        context = self._context
        for name in self._inputs:
            self._require(
                context.set_input_shape(name, shapes[name]), f"setting {name} to {shapes[name]}"
            )
        self._require(not context.infer_shapes(), "inferring shapes")
        for name in self._outputs:
            found = tuple(context.get_tensor_shape(name))
            self._require(
                found == shapes[name],
                f"{name}: expected shape {shapes[name]}, got {found}; loading",
            )

    def warm(self) -> None:
        """Run once, so that kernels load and lazy work happens now."""
        self._enqueue()
        self._cuda.wait()

    def record(self) -> None:
        """Launch by a CUDA graph from now on.

        Raises EngineError where none can be recorded; the step stays as it was then.
        """
        self._replay = self._cuda.record(self._enqueue)

    def __call__(self, arrays: dict[str, Array]) -> dict[str, Array]:
        for name in self._inputs:
            array = arrays[name]
            host = self._host[name]
            host[: len(array)] = array
            host[len(array) :] = 0
            self._cuda.copy(self._gpu[name], self._pinned[name])
        (self._replay or self._enqueue)()
        for name in self._outputs:
            self._cuda.copy(self._pinned[name], self._gpu[name])
        self._cuda.wait()
        return {name: self._host[name] for name in self._outputs}

    def _enqueue(self) -> None:
        self._require(self._context.execute_async_v3(self._cuda.handle), "running it")

    def _require(self, done: bool, what: str) -> None:
        if not done:
            raise self._fail(what)


def _concrete(spec: TensorSpec, sizes: Sizes) -> tuple[int, ...]:
    """The shape of a tensor at given sizes of its free dimensions."""
    return tuple(sizes[size] if isinstance(size, str) else size for size in spec.shape)


def padded_batch(count: int) -> int:
    """The size that a batch of `count` is padded to: the next power of two."""
    return 1 << (count - 1).bit_length()


def _type_name(dtype: str) -> str:
    """The name of a dtype in TensorRT."""
    return ({"uint8": "UINT8"} | {ours: theirs for theirs, ours in DTYPES.items()})[dtype]
