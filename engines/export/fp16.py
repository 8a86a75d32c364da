"""The FP16 variant of a network, made in the graph itself.

TensorRT no longer has a switch for FP16, and ONNX Runtime can then run the same graph. A network is
converted behind float32 inputs and outputs; the flow stays float32, for it takes small differences
of large values. BF16 is left out: ONNX Runtime's CPU cannot run it, so rung B of the parity ladder
could not either.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from torch import Tensor, nn

from ..networks.motion import Flow


class Fp16Step(nn.Module):
    """A module in FP16 behind float32 inputs and outputs; bytes go in as they are."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).eval()
        flows = [part for part in self.module.modules() if isinstance(part, Flow)]
        kept = {id(part) for flow in flows for part in flow.modules()}
        for part in self.module.modules():
            if id(part) not in kept:
                _to_fp16(part)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The module's outputs as float32; floating inputs are converted to FP16 first."""
        found = self.module(*(x.half() if x.is_floating_point() else x for x in inputs))
        outputs = found if isinstance(found, tuple) else (found,)
        return tuple(x.float() for x in outputs)


def _to_fp16(part: nn.Module) -> None:
    """Convert parameters and floating buffers of this module itself, not of its children."""
    for name, parameter in list(part.named_parameters(recurse=False)):
        setattr(part, name, nn.Parameter(parameter.half(), requires_grad=False))
    for name, buffer in list(part.named_buffers(recurse=False)):
        if buffer.is_floating_point():
            setattr(part, name, buffer.half())


def products_as_convolutions(path: Path) -> None:
    """Rewrite float32 products of a constant matrix and maps as convolutions of 1 x 1, in place.

    Maps are (B, C, H, W); the numbers stay the same. TensorRT for RTX refuses float32 matrix
    products for Turing (SM 75) but takes convolutions, so that one FP16 graph, whose flow is
    float32, serves every GPU.
    """
    model = onnx.load(path, load_external_data=False)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        matrix = _constant_factor(node, constants)
        if matrix is None:
            nodes.append(node)
            continue
        weight, replacement = _convolution(node, numpy_helper.to_array(matrix), matrix.name)
        model.graph.initializer.append(weight)
        nodes.extend(replacement)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _constant_factor(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> onnx.TensorProto | None:
    """The one float32 constant of a matrix product; None for any other node."""
    known = [constants[name] for name in node.input if name in constants]
    if node.op_type != "MatMul" or len(known) != 1:
        return None
    return known[0] if known[0].data_type == onnx.TensorProto.FLOAT else None


def _convolution(
    node: onnx.NodeProto, matrix: np.ndarray, constant: str
) -> tuple[onnx.TensorProto, list[onnx.NodeProto]]:
    """(kernel, nodes) of a convolution that replaces the matrix product `node`.

    The summed axis is moved to the channels and back: rows for matrix @ maps, columns for maps @
    matrix.
    """
    if node.input[0] == constant:
        maps = node.input[1]
        kernel = matrix
        there = [0, 2, 1, 3]
        back = [0, 2, 1, 3]
    else:
        maps = node.input[0]
        kernel = matrix.T
        there = [0, 3, 1, 2]
        back = [0, 2, 3, 1]
    name = node.output[0]
    weight = numpy_helper.from_array(
        np.ascontiguousarray(kernel[:, :, None, None]), f"{name}.kernel"
    )
    return weight, [
        helper.make_node("Transpose", [maps], [f"{name}.there"], perm=there),
        helper.make_node(
            "Conv", [f"{name}.there", weight.name], [f"{name}.mixed"], kernel_shape=[1, 1]
        ),
        helper.make_node("Transpose", [f"{name}.mixed"], [name], perm=back),
    ]


def _drop_unused(model: onnx.ModelProto) -> None:
    """Remove constants that no node takes."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
