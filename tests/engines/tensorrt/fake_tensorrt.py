"""A fake of the TensorRT Python module and of CUDA, for tests without a GPU.

The fake engine file is a JSON text that names a scale; its "kernel" reads and writes the addresses
that it was given.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import numpy as np
import torch

from microspot.engines.errors import EngineError
from microspot.engines.runtime.engine import Tensors

CODES = {"uint8": "UINT8", "float32": "FLOAT"}


def fake_plan(inputs: Tensors, outputs: Tensors, scale: float = 2.0, **faults: Any) -> bytes:
    """An engine file of the fake: every output is `scale` times the mean of the first input's rows.

    faults: `broken` cannot be deserialised; `refuses` names a call of the context that fails,
    `raises` one that raises; a batch of `spoils` rows is answered wrongly.
    """
    tensors = [[s.name, "in", s.dtype, s.shape] for s in inputs]
    tensors += [[s.name, "out", s.dtype, s.shape] for s in outputs]
    return json.dumps({"tensors": tensors, "scale": scale} | faults).encode()


class FakeCuda:
    """`Cuda` on host memory: copies happen when waited for, as late as a stream may.

    loops: how many of the first recordings fail, as those of networks with loops may; what was
        launched is lost then.
    """

    handle = 7

    def __init__(self, loops: int = 0) -> None:
        self.queue: list[Callable[[], object]] = []
        self.recorded = 0
        self.tried = 0
        self.loops = loops
        self.full = False

    def on_gpu(self, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
        if self.full:
            raise RuntimeError("CUDA out of memory.\nSee the documentation")
        return torch.zeros(shape, dtype=getattr(torch, dtype))

    pinned = on_gpu

    def copy(self, to: torch.Tensor, source: torch.Tensor) -> None:
        self.queue.append(lambda: to.copy_(source))

    def wait(self) -> None:
        for step in self.queue:
            step()
        self.queue.clear()

    def record(self, launch: Callable[[], None]) -> Callable[[], None]:
        self.tried += 1
        before = len(self.queue)
        launch()
        steps = self.queue[before:]
        del self.queue[before:]
        if self.tried <= self.loops:
            raise EngineError("CUDA cannot record it")
        self.recorded += 1
        return lambda: self.queue.extend(steps)


class FakeContext:
    """Shapes and addresses as set, and a kernel that uses them."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.shapes = {}
        self.addresses = {}

    def _allowed(self, call: str) -> bool:
        if self.engine.content.get("raises") == call:
            raise RuntimeError(f"{call}: internal error")
        return self.engine.content.get("refuses") != call

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return self._allowed("set_input_shape")

    def infer_shapes(self) -> list[str]:
        free = {}
        for name, kind, _, wanted in self.engine.content["tensors"]:
            sizes = zip(wanted, self.shapes.get(name, ()), strict=kind == "in")
            free |= {letter: size for letter, size in sizes if isinstance(letter, str)}
        for name, _, _, wanted in self.engine.content["tensors"]:
            self.shapes.setdefault(name, tuple(free.get(size, size) for size in wanted))
        return [] if self._allowed("infer_shapes") else ["x"]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name] if self._allowed("get_tensor_shape") else (1,)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return self._allowed("set_tensor_address")

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == FakeCuda.handle
        cuda = self.engine.module.cuda
        cuda.queue.append(self._kernel)
        return self._allowed("execute_async_v3")

    def _kernel(self) -> None:
        tensors = self.engine.content["tensors"]
        first = next(name for name, kind, _, _ in tensors if kind == "in")
        spoiled = self.shapes[first][0] == self.engine.content.get("spoils")
        scale = 0 if spoiled else self.engine.content["scale"]
        mean = self._at(first).reshape(self.shapes[first][0], -1).mean(1, dtype=np.float64)
        for name, kind, _, _ in tensors:
            if kind == "out":
                target = self._at(name)
                target[:] = scale * mean.reshape(-1, *[1] * (target.ndim - 1))

    def _at(self, name: str) -> np.ndarray:
        dtype = next(np.dtype(d) for n, _, d, _ in self.engine.content["tensors"] if n == name)
        shape = self.shapes[name]
        size = int(np.prod(shape)) * dtype.itemsize
        memory = (ctypes.c_char * size).from_address(self.addresses[name])
        return np.frombuffer(memory, dtype).reshape(shape)


class FakeEngine:
    def __init__(self, module: FakeTensorRT, content: dict[str, Any]) -> None:
        self.module = module
        self.content = content
        self.num_io_tensors = len(content["tensors"])
        self.contexts = 0
        self.alive = WeakSet[FakeContext]()

    def _tensor(self, name: str) -> list[Any]:
        return next(t for t in self.content["tensors"] if t[0] == name)

    def get_tensor_name(self, index: int) -> str:
        return str(self.content["tensors"][index][0])

    def get_tensor_mode(self, name: str) -> str:
        return {"in": "input", "out": "output"}[self._tensor(name)[1]]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(-1 if isinstance(size, str) else size for size in self._tensor(name)[3])

    def get_tensor_dtype(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(name=CODES[self._tensor(name)[2]])

    def create_runtime_config(self) -> SimpleNamespace:
        self.module.config = SimpleNamespace(cuda_graph_strategy="none")
        return self.module.config

    def create_execution_context(self, config: object = None) -> FakeContext:
        self.contexts += 1
        context = FakeContext(self)
        self.alive.add(context)
        return context


class FakeTensorRT:
    """Stands for the module `tensorrt` or `tensorrt_rtx`."""

    __version__ = "0.fake"
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    ComputeCapability = SimpleNamespace(SM86=1, SM89=2, CURRENT=3)

    class ILogger:
        Severity = SimpleNamespace(ERROR=1)

        def __init__(self) -> None:
            pass

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.config = None
        self.engines = list[FakeEngine]()

    def Runtime(self, logger: Any) -> SimpleNamespace:  # noqa: N802
        def deserialize(plan: bytes) -> FakeEngine | None:
            content = json.loads(plan)
            if content.get("raises") == "deserialize":
                raise TypeError("pybind11::init(): factory function returned nullptr")
            if content.get("broken"):
                logger.log(1, "magic tag does not match")
                return None
            self.engines.append(FakeEngine(self, content))
            return self.engines[-1]

        return SimpleNamespace(deserialize_cuda_engine=deserialize)
