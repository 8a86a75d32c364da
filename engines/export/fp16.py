"""FP16 lives in the graph: TensorRT has no switch for it any more, and ONNX Runtime can then run the same graph.

A network is halved behind float32 inputs and outputs; the flow stays float32, for it takes small differences of large
values. BF16 is left out: ONNX Runtime's CPU cannot run it, and with it, neither could rung B.
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
        for part in self.module.modules():
            if not isinstance(part, Flow):
                _halve(part)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = self.module(*(x.half() if x.is_floating_point() else x for x in inputs))
        return tuple(x.float() for x in (found if isinstance(found, tuple) else (found,)))


def _halve(part: nn.Module) -> None:
    """Parameters and floating buffers of this module itself, not of its children, to FP16."""
    for name, parameter in list(part.named_parameters(recurse=False)):
        setattr(part, name, nn.Parameter(parameter.half(), requires_grad=False))
    for name, buffer in list(part.named_buffers(recurse=False)):
        if buffer.is_floating_point():
            setattr(part, name, buffer.half())


def products_as_convolutions(path: Path) -> None:
    """Rewrite each float32 product of a constant matrix and maps (B, C, H, W) as a convolution of 1 x 1, in place.

    The numbers are the same. TensorRT for RTX refuses float32 matrix products for Turing (SM 75) and takes these, so
    that one FP16 graph, whose flow is float32, serves every GPU.
    """
    model = onnx.load(path, load_external_data=False)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        known = [name for name in node.input if name in constants]
        if (
            node.op_type != "MatMul"
            or len(known) != 1
            or constants[known[0]].data_type != onnx.TensorProto.FLOAT
        ):
            nodes.append(node)
            continue
        weight, replacement = _convolution(
            node, numpy_helper.to_array(constants[known[0]]), known[0]
        )
        model.graph.initializer.append(weight)
        nodes.extend(replacement)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _convolution(
    node: onnx.NodeProto, matrix: np.ndarray, constant: str
) -> tuple[onnx.TensorProto, list[onnx.NodeProto]]:
    """The summed axis goes where channels are, and comes back: rows for matrix @ maps, columns for maps @ matrix."""
    on_rows = node.input[0] == constant
    maps, kernel = (node.input[1], matrix) if on_rows else (node.input[0], matrix.T)
    there, back = ([0, 2, 1, 3], [0, 2, 1, 3]) if on_rows else ([0, 3, 1, 2], [0, 2, 3, 1])
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
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
