"""Graphs for TensorRT from small random networks: FP16, float32 flow, golden arrays, cache."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
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
from microspot.engines.export.onnx_export import export
from microspot.engines.export.parity import judge, onnx_outputs
from microspot.engines.networks.cmnet import (
    CMNet,
    FramesStep,
    HeadStep,
    RecognizerStep,
    cmnet_of,
)
from microspot.engines.networks.mesnet import EncoderStep, MESNet
from microspot.engines.runtime import torch_engine
from microspot.engines.runtime.onnx_engine import OnnxEngine
from microspot.engines.runtime.onnxruntime_import import onnxruntime
from microspot.engines.specs import NUISANCES, RecognizerSpec, SpotterSpec
from microspot.engines.tensorrt import builder
from microspot.engines.tensorrt import graphs as module
from microspot.engines.tensorrt.cache import Cache
from microspot.engines.tensorrt.graphs import Graphs, ToolError, scores_of

SIDE = 48
FRAMES = 4


class Weights:
    """Random networks behind the `read` that graphs are made from; counts what is asked for."""

    def __init__(self, spec: SpotterSpec | None = None) -> None:
        torch.manual_seed(3)
        self.spotter = MESNet(spec or SpotterSpec(side=SIDE, feature=8)).eval()
        self.recognizer = CMNet(SIDE).eval()
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
def test_an_fp16_graph_is_the_function_of_the_network(
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
    if name == "head":
        assert weighted[TensorProto.FLOAT] == 0
    else:  # the flow
        assert weighted[TensorProto.FLOAT] > 0
    products = [name for node in stored.node if node.op_type == "MatMul" for name in node.input]
    assert TensorProto.FLOAT not in {types.get(name) for name in products}
    if name == "frames":
        assert stored.node[0].op_type == "Cast"  # TensorRT reads bytes, but cannot reshape them


@pytest.mark.parametrize("name", ["encoder", "proposer"])
def test_graphs_of_a_spec_that_asks_for_everything_are_the_network(
    tmp_path: Path, name: str
) -> None:
    spec = SpotterSpec(side=SIDE, feature=12)
    asked = dataclasses.replace(
        spec,
        surround_ns=spec.lags_ns[:2],
        parallax=True,
        certainty=True,
        grid="fine",
        nuisance=NUISANCES,
    )
    everything = Weights(asked)
    graph = everything.graphs(tmp_path, "fp16").graph(name)
    outputs = [tensor.name for tensor in graph.tensors[1]]
    assert (
        outputs == {"encoder": ["features"], "proposer": ["scores", "state_out", "nuisance"]}[name]
    )
    found = onnx_outputs(graph.model, graph.tensors, graph.golden)
    result = judge("B", name, found, graph.golden, everything.spotter.spec)
    assert result["passed"], result
    assert result["errors"].keys() == set(outputs)


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
    before = graphs._fields("head")
    single = weights.graphs(Path("unused"), "fp32")
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
    graphs = weights.graphs(cache, "fp16")
    found = []
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


# Imported by what shapes a graph, and without influence on its content: errors, files, weights as
# data, the contract of engines, what differs between systems, and the check that ends in an error
# or changes nothing.
WITHOUT_INFLUENCE = {
    "alignment/affine.py",
    "text/documents.py",
    "errors.py",
    "export/parity.py",
    "manifest.py",
    "text/redaction.py",
    "runtime/engine.py",
    "runtime/onnx_engine.py",
    "runtime/onnxruntime_import.py",
    "system/folders.py",
    "system/processes.py",
    "system/replacement.py",
    "system/windows.py",
    "telemetry.py",
    "tensorrt/cache.py",
}
EXPORTING = (
    "networks/cmnet.py",
    "networks/mesnet.py",
    "export/fp16.py",
    "export/golden.py",
    "export/onnx_export.py",
    "tensorrt/graphs.py",
)


def imported(file: Path) -> set[Path]:
    """The modules of engines that a file imports, anywhere in it, with relative names resolved."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for name in (alias.name for alias in node.names):
            # a module, something in a module, something in a package
            candidates = (folder / f"{name}.py", folder.with_suffix(".py"), folder / "__init__.py")
            found.update([path for path in candidates if path.is_file()][:1])
    return found


def test_every_module_that_exporting_imports_is_a_source_or_without_influence() -> None:
    home = Path(module.__file__).parents[1]
    waiting = [home / name for name in EXPORTING]
    reached = set(waiting)
    while waiting:
        new = imported(waiting.pop()) - reached
        reached |= new
        waiting += new
    assert home / "networks" / "motion.py" in reached
    assert home / "intervals.py" in reached
    sources = {path.relative_to(home).as_posix() for path in module._sources()}
    names = {path.relative_to(home).as_posix() for path in reached}
    assert names - sources - WITHOUT_INFLUENCE == set()
    assert names >= WITHOUT_INFLUENCE


def test_a_source_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for gone in ("networks/gone*.py", "export/half.py"):
        monkeypatch.setattr(module, "SOURCES", ("receptive.py", gone))
        with pytest.raises(ToolError, match=rf"{re.escape(gone)}: no such source"):
            module._sources()


def test_a_graph_that_is_another_function_is_not_kept(
    weights: Weights, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = weights.graphs(tmp_path, "fp16")
    good = weights.graphs(cache, "fp16")
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


def test_frames_and_head_of_a_recognizer_that_says_what_moved(tmp_path: Path) -> None:
    torch.manual_seed(3)
    regions = ("brow", "chin")
    spec = RecognizerSpec(
        frames=FRAMES, side=SIDE, texture="direction", units=("AU1", "AU2", "AU4"), regions=regions
    )
    network = cmnet_of(spec).eval()
    contents = {"recognizer.safetensors": save(network.state_dict())}
    tensors = module._recognizer_tensors(spec, contents["recognizer.safetensors"])
    assert [one.name for one in tensors["frames"][1]] == ["product", "intensity", "clues"]
    assert [one.name for one in tensors["head"][0]] == ["product", "clues"]
    names = [one.name for one in spec.movement_tensors()]
    assert [one.name for one in tensors["head"][1]] == [scores_of(3), scores_of(5), *names]
    modules = {"frames": FramesStep(network).eval(), "head": HeadStep(network).eval()}
    made = golden.golden_recognizer(modules, tensors, spec)
    whole = RecognizerStep(network, 5)(torch.tensor(made["frames"]["in.clip"]))
    parts = {**made["frames"], **made["head"]}
    wanted = [scores_of(5), "intensity", *names]
    for name, tensor in zip(wanted, whole, strict=True):
        np.testing.assert_allclose(parts[f"out.{name}"], tensor.detach().numpy(), atol=1e-5)
    step = Fp16Step(modules["head"])
    path = tmp_path / "head.onnx"
    export(step, "head fp16", tensors["head"], None, path)
    found = onnx_outputs(path.read_bytes(), tensors["head"], made["head"])
    result = judge("B", "head", found, made["head"], SpotterSpec())
    assert result["passed"], result


def test_a_shipped_float32_graph_is_taken_as_it_is(weights: Weights, tmp_path: Path) -> None:
    tensors = weights.spotter.spec.tensors()["refiner"]
    graphs = weights.graphs(tmp_path, "fp32")
    shipped = b"the graph that ships"
    graphs._read = {**weights.contents, "refiner.onnx": shipped}.__getitem__
    assert graphs._export("refiner") == shipped
    with pytest.raises(EngineError, match="ONNX Runtime cannot load it"):
        OnnxEngine(shipped, *tensors)


def test_the_flow_stays_float32(weights: Weights) -> None:
    step = Fp16Step(EncoderStep(weights.spotter))
    kinds = {name: value.dtype for name, value in [*step.named_parameters(), *step.named_buffers()]}
    flow = {kind for name, kind in kinds.items() if ".flow." in name}
    rest = {
        kind for name, kind in kinds.items() if ".flow." not in name and "num_batches" not in name
    }
    assert (flow, rest) == ({torch.float32}, {torch.float16})
    torch.testing.assert_close(
        step.module.encoder.flow.local, weights.spotter.encoder.flow.local, atol=0, rtol=0
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
    node = helper.make_node("MatMul", names, ["y"])
    constant = numpy_helper.from_array(matrix, "m")
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
