"""Roofline: the least time that this machine needs for an engine, by measured peaks.

The roofline of one call is the larger of FLOPs / peak FLOP/s and weight bytes / peak bytes/s, both
on one core. FLOPs count convolutions, matrix products and recurrent layers alone, so the time is
rather too low than too high. Not from the papers.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

GEMM_SIDE = 512  # of the square matrices whose product shows the peak of arithmetic
COPY_BYTES = 1 << 20  # about the weights of an engine, so that caches count where they hold those
TRIES = 50


@dataclass(frozen=True)
class Peak:
    """The highest rates measured on the present core, in float32."""

    flops_per_s: float
    bytes_per_s: float

    def roofline_ms(self, cost: Cost, batch: int = 1) -> float:
        """Least ms of one call with a batch; weights are read once, whatever the batch."""
        arithmetic_s = batch * cost.flops / self.flops_per_s
        memory_s = cost.weight_bytes / self.bytes_per_s
        return 1e3 * max(arithmetic_s, memory_s)


@dataclass(frozen=True)
class Cost:
    """The work of one call of an engine: `flops` of a batch of one, and weights to read."""

    flops: int
    weight_bytes: int


def measure_peak() -> Peak:
    """Measure the peaks: arithmetic by a matrix product, memory traffic by a small copy.

    The best of TRIES counts; traffic is read and write. In a process of its own: NumPy's matrix
    products take their threads, on all cores, when it is imported.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    env = os.environ | dict.fromkeys(threads, "1")
    env["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-P", "-c", f"from {__name__} import _peak; print(*_peak())"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return Peak(*map(float, done.stdout.split()))


def _peak() -> tuple[float, float]:
    """FLOP/s and bytes/s of this process."""
    a = np.ones((GEMM_SIDE, GEMM_SIDE), np.float32)
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.empty(COPY_BYTES, np.uint8)
    product = _fastest(lambda: a @ a)
    copy = _fastest(lambda: np.copyto(target, source))
    return 2 * GEMM_SIDE**3 / product, 2 * COPY_BYTES / copy


def _fastest(run: Callable[[], Any]) -> float:
    """The shortest time of TRIES calls, in s."""
    best = math.inf
    for _ in range(TRIES):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best


def cost_of(model: bytes) -> Cost:
    """The cost of an ONNX model with every free dimension 1.

    Without the package `onnx`, that of reading the file alone.
    """
    if find_spec("onnx") is None:  # it comes with the extra [train]
        return Cost(0, len(model))
    import onnx

    graph = onnx.load_model_from_string(model)
    for value in graph.graph.input:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_value = 1
    graph = onnx.shape_inference.infer_shapes(graph, data_prop=True).graph
    weights = {w.name: tuple(w.dims) for w in graph.initializer}
    weight_bytes = sum(len(onnx.numpy_helper.to_array(w).tobytes()) for w in graph.initializer)
    shapes = weights | {v.name: _shape(v) for v in [*graph.input, *graph.value_info, *graph.output]}
    return Cost(sum(_flops(node, shapes) for node in graph.node), weight_bytes)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim)


def _flops(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """FLOPs of a node, two per multiplication and addition.

    0 for what is not counted, and where shapes are not known.
    """
    if node.op_type not in ("Conv", "MatMul", "Gemm", "LSTM"):
        return 0
    first = shapes.get(node.input[0], ())
    weight = shapes.get(node.input[1], ())
    out = shapes.get(node.output[0], ())
    if node.op_type == "Conv":
        return 2 * math.prod(out) * math.prod(weight[1:]) if out and weight else 0
    if node.op_type == "LSTM":
        # weight (directions, 4 hidden, input), recurrence (directions, 4 hidden, hidden)
        recurrence = shapes.get(node.input[2], ())
        if not first or not weight:
            return 0
        return 2 * first[0] * first[1] * (math.prod(weight) + math.prod(recurrence))
    if node.op_type == "Gemm" and _flag(node, "transB"):
        inner = weight[-1]
    else:
        inner = weight[-2] if len(weight) > 1 else 0
    return 2 * math.prod(out) * inner if out else 0


def _flag(node: Any, name: str) -> bool:
    return any(attribute.name == name and attribute.i for attribute in node.attribute)
