"""A fake of TensorRT on a real GPU: torch runs the network on the engine's own memory and stream.

It proves nothing about TensorRT. It tests what stands around it: streams, pinned copies, addresses,
CUDA graphs, padded batches, and whether the tolerances of rung D suit a GPU's arithmetic.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from microspot.engines.runtime.engine import Tensors
from tests.engines.tensorrt.fake_tensorrt import FakeContext, FakeCuda, FakeEngine, FakeTensorRT


class FakeOnGpu(FakeTensorRT):
    """Stands for the module `tensorrt`, whatever the engine file holds."""

    def __init__(self, network: nn.Module, inputs: Tensors, outputs: Tensors) -> None:
        super().__init__(FakeCuda())
        self.network = network.to("cuda")
        kinds = (("in", inputs), ("out", outputs))
        self.tensors = [[s.name, kind, s.dtype, s.shape] for kind, specs in kinds for s in specs]

    def Runtime(self, logger: Any) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(
            deserialize_cuda_engine=lambda plan: _Engine(self, {"tensors": self.tensors})
        )


class _Engine(FakeEngine):
    module: FakeOnGpu

    def create_execution_context(self, config: object = None) -> FakeContext:
        return _Context(self)


class _Context(FakeContext):
    @torch.no_grad()
    def execute_async_v3(self, stream: int) -> bool:
        with torch.cuda.stream(torch.cuda.ExternalStream(stream)):
            found = self.engine.module.network(*self._tensors("in"))
            outputs = found if isinstance(found, tuple) else (found,)
            for target, value in zip(self._tensors("out"), outputs, strict=True):
                target.copy_(value)
        return True

    def _tensors(self, wanted: str) -> list[torch.Tensor]:
        """The engine's own memory, seen as tensors."""
        views = []
        for name, kind, dtype, _ in self.engine.content["tensors"]:
            if kind != wanted:
                continue
            interface = {
                "shape": self.shapes[name],
                "typestr": np.dtype(dtype).str,
                "version": 3,
                "data": (self.addresses[name], False),
                "strides": None,
            }
            memory = SimpleNamespace(__cuda_array_interface__=interface)
            views.append(torch.as_tensor(memory, device="cuda"))
        return views
