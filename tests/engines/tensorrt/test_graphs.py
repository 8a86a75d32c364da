"""Graphs for TensorRT from small random networks: FP16 inside, flow in float32, golden arrays, kept in the cache."""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save

from microspot.engines import receptive
from microspot.engines.errors import EngineError
from microspot.engines.export import golden
from microspot.engines.export.fp16 import Fp16Step, products_as_convolutions
from microspot.engines.export.parity import judge, onnx_outputs
from microspot.engines.networks.cmnet import CMNet, FramesStep, HeadStep, RecognizerStep
from microspot.engines.networks.mesnet import EncoderStep, MESNet
from microspot.engines.runtime import torch_engine
from microspot.engines.runtime.onnx_engine import OnnxEngine
from microspot.engines.runtime.onnxruntime_import import onnxruntime
from microspot.engines.specs import RecognizerSpec, SpotterSpec
from microspot.engines.tensorrt import builder
from microspot.engines.tensorrt import graphs as module
from microspot.engines.tensorrt.cache import Cache
from microspot.engines.tensorrt.graphs import Graphs, scores_of

SIDE, FRAMES = 48, 4


class Weights:
    """Random networks behind the `read` that graphs are made from; counts what is asked for."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.spotter, self.recognizer = (
            MESNet(SpotterSpec(side=SIDE, feature=8)).eval(),
            CMNet(SIDE).eval(),
        )
        self.contents = {
            "spotter.safetensors": save(self.spotter.state_dict()),
            "recognizer.safetensors": save(self.recognizer.state_dict()),
        }

    def graphs(self, cache: Path, precision: str) -> Graphs:
        spec = RecognizerSpec(frames=FRAMES, side=SIDE)
        return Graphs(self.spotter.spec, spec, self.contents.__getitem__, Cache(cache), precision)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", ["encoder", "frames", "head"])
def test_a_half_graph_is_the_function_of_the_network(
    weights: Weights, cache: Path, name: str
) -> None:
    graph = weights.graphs(cache, "fp16").graph(name)
    result = judge(
        "B",
        name,
        onnx_outputs(graph.model, graph.tensors, graph.golden),
        graph.golden,
        weights.spotter.spec,
    )
    assert result["passed"], result
    stored = onnx.load_from_string(graph.model).graph
    types = {tensor.name: tensor.data_type for tensor in stored.initializer}
    weighted = Counter(
        types[node.input[1]]
        for node in stored.node
        if node.op_type in ("Conv", "Gemm") and node.input[1] in types
    )
    assert weighted[TensorProto.FLOAT16] > 0
    assert (weighted[TensorProto.FLOAT] > 0) == (
        name != "head"
    )  # the flow, and nothing but the flow
    products = [name for node in stored.node if node.op_type == "MatMul" for name in node.input]
    assert TensorProto.FLOAT not in {types.get(name) for name in products}
    if name == "frames":
        assert stored.node[0].op_type == "Cast"  # TensorRT reads bytes, but cannot reshape them


def test_a_graph_is_made_once_and_needs_no_torch_again(
    weights: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights.graphs(cache, "fp16").graph("head")
    monkeypatch.setattr(module, "_require_exporters", lambda: pytest.fail("asked for torch"))
    again = weights.graphs(cache, "fp16").graph("head")
    assert again.entry.folder == first.entry.folder
    assert not again.entry.built
    assert again.tensors == first.tensors


def test_other_parameters_code_or_precision_are_another_graph(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = weights.graphs(Path("unused"), "fp16")
    before, single = graphs._fields("head"), weights.graphs(Path("unused"), "fp32")
    assert single._fields("head") != before
    monkeypatch.setitem(weights.contents, "recognizer.safetensors", save(CMNet(SIDE).state_dict()))
    assert graphs._fields("head") != before
    assert graphs._fields("encoder") == weights.graphs(Path("unused"), "fp16")._fields("encoder")
    monkeypatch.setitem(weights.contents, "encoder.onnx", b"as it ships")
    shipped = single._fields("encoder")
    monkeypatch.setitem(weights.contents, "encoder.onnx", b"exported again")
    assert single._fields("encoder") != shipped
    monkeypatch.setattr(module, "_code", lambda: "other")
    assert graphs._fields("encoder")["code"] == "other"


def test_a_graph_is_the_same_under_another_build_of_torch(
    weights: Weights, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs, found = weights.graphs(cache, "fp16"), []
    for build in ("2.11.0+cpu", "2.11.0+cu130", "2.11.0", "2.12.0"):
        monkeypatch.setattr(module, "version_of", lambda tool, build=build: build)
        found.append(graphs._fields("head"))
    assert found[0] == found[1] == found[2] != found[3]
    monkeypatch.undo()
    assert onnx.load_from_string(graphs.graph("head").model).producer_version == ""


def test_the_rung_of_a_new_graph_is_written_beside_it(weights: Weights, tmp_path: Path) -> None:
    for precision, rung in (("fp16", "B"), ("fp32", "A")):
        parity = weights.graphs(tmp_path, precision).graph("head").entry.parity()
        assert list(parity) == [rung]
        assert parity[rung]["passed"]


def test_the_code_that_shapes_a_graph_is_known() -> None:
    parts = (builder, golden, receptive, torch_engine, module, Fp16Step, CMNet, MESNet, SpotterSpec)
    assert {Path(inspect.getfile(part)) for part in parts} <= set(module._sources())


def test_a_graph_that_is_another_function_is_not_kept(
    weights: Weights, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, good = weights.graphs(tmp_path, "fp16"), weights.graphs(cache, "fp16")
    monkeypatch.setattr(other, "_export", lambda name: good.graph(name).model)
    golden = other._golden["head"]
    monkeypatch.setitem(
        other._golden, "head", golden | {"out.classes_3": golden["out.classes_3"] + np.float32(0.1)}
    )
    with pytest.raises(EngineError, match="head fp16: rung B of the parity ladder failed"):
        other.graph("head")
    assert list(Cache(tmp_path).entries()) == []


def test_frames_and_head_are_the_recognizer(weights: Weights) -> None:
    clip = torch.randint(0, 256, (2, FRAMES, 3, SIDE, SIDE), dtype=torch.uint8)
    with torch.no_grad():
        product, intensity = FramesStep(weights.recognizer)(clip)
        heads = HeadStep(weights.recognizer)(product)
        for labels, classes in zip((3, 5), heads, strict=True):
            wanted = RecognizerStep(weights.recognizer, labels)(clip)
            torch.testing.assert_close((classes, intensity), wanted, atol=1e-6, rtol=0)
    names = [spec.name for spec in weights.graphs(Path("unused"), "fp32")._tensors["head"][1]]
    assert names == [scores_of(3), scores_of(5)]


def test_a_shipped_float32_graph_is_taken_as_it_is(weights: Weights, tmp_path: Path) -> None:
    tensors = weights.spotter.spec.tensors()["refiner"]
    graphs = weights.graphs(tmp_path, "fp32")
    shipped = b"the graph that ships"
    graphs._read = {**weights.contents, "refiner.onnx": shipped}.__getitem__
    assert graphs._export("refiner") == shipped
    with pytest.raises(EngineError, match="ONNX Runtime cannot load it"):
        OnnxEngine(shipped, *tensors)


def test_the_flow_stays_float32(weights: Weights) -> None:
    half = Fp16Step(EncoderStep(weights.spotter))
    kinds = {name: value.dtype for name, value in [*half.named_parameters(), *half.named_buffers()]}
    flow = {kind for name, kind in kinds.items() if ".flow." in name}
    rest = {
        kind for name, kind in kinds.items() if ".flow." not in name and "num_batches" not in name
    }
    assert (flow, rest) == ({torch.float32}, {torch.float16})
    torch.testing.assert_close(
        half.module.encoder.flow.local, weights.spotter.encoder.flow.local, atol=0, rtol=0
    )
    assert next(weights.spotter.parameters()).dtype == torch.float32


@pytest.mark.parametrize("on_rows", [True, False])
def test_a_product_is_the_same_as_a_convolution(tmp_path: Path, on_rows: bool) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(5, 6) if on_rows else (7, 4)).astype(np.float32)
    names = ["m", "x"] if on_rows else ["x", "m"]
    shapes = (["B", 3, 6, 7], ["B", 3, 5, 7] if on_rows else ["B", 3, 6, 4])
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in zip("xy", shapes, strict=True)
    ]
    node, constant = helper.make_node("MatMul", names, ["y"]), numpy_helper.from_array(matrix, "m")
    graph = helper.make_graph([node], "tiny", ends[:1], ends[1:], initializer=[constant])
    path = tmp_path / "tiny.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path
    )
    products_as_convolutions(path)
    assert [n.op_type for n in onnx.load(path).graph.node] == ["Transpose", "Conv", "Transpose"]
    x = random.normal(size=(2, 3, 6, 7)).astype(np.float32)
    found = onnxruntime.InferenceSession(path).run(None, {"x": x})[0]
    np.testing.assert_allclose(found, matrix @ x if on_rows else x @ matrix, atol=1e-5)
