"""Builds by the real TensorRT for RTX, without a GPU: what builds, what is refused, equal bytes."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from microspot.engines.errors import EngineError
from microspot.engines.specs import FREE_SIZES, TensorSpec
from microspot.engines.telemetry import EVERY
from microspot.engines.tensorrt import isolated_build
from microspot.engines.tensorrt.builder import Target, load_module, open_shape, sizes_of
from microspot.engines.tensorrt.isolated_build import build_isolated

pytest.importorskip("tensorrt_rtx", reason="pip install '.[rtx]'", exc_type=ImportError)

X = TensorSpec("x", "float32", ("B", 4, 8, 8))
Y = TensorSpec("y", "float32", ("B", 2))
SM86 = Target("rtx", 86)


def model(dtype: type = np.float32, batch: int | str = "B", extra: str = "") -> bytes:
    """A convolution and a product, in `dtype` behind float32 ends.

    extra: names an operator that comes last.
    """
    random = np.random.default_rng(0)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = {"w": random.normal(size=(3, 4, 3, 3)), "m": random.normal(size=(3 * 6 * 6, 2))}
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=kind),
        helper.make_node("Conv", ["a", "w"], ["c"], name="conv"),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["g"], name="gemm"),
        helper.make_node("Cast", ["g"], ["h" if extra else "y"], to=TensorProto.FLOAT),
    ]
    if extra:
        nodes.append(helper.make_node(extra, ["h"], ["y"], name="odd", domain="somewhere"))
    ends = [
        helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, [batch, *spec.shape[1:]])
        for spec in (X, Y)
    ]
    initial = [
        numpy_helper.from_array(value.astype(dtype), name) for name, value in weights.items()
    ]
    graph = helper.make_graph(nodes, "tiny", ends[:1], ends[1:], initializer=initial)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("somewhere", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def test_two_builds_give_the_same_bytes_and_types_are_kept() -> None:
    first, second = (
        build_isolated(model(np.float16), "tiny", ((X,), (Y,)), SM86) for _ in range(2)
    )
    assert first.types == {"convolution float16": 1, "product float16": 1}
    assert len(first.plan) > 1000
    assert first.plan == second.plan or not first.repeatable


def test_a_float32_graph_stays_float32_and_turing_refuses_its_products() -> None:
    assert build_isolated(model(), "tiny", ((X,), (Y,)), SM86).types == {
        "convolution float32": 1,
        "product float32": 1,
    }
    with pytest.raises(
        EngineError, match=r"tiny: no engine for SM 75 .*GEMM.*SM 75 needs --precision fp16"
    ):
        build_isolated(model(), "tiny", ((X,), (Y,)), Target("rtx", 75))
    assert build_isolated(model(np.float16), "tiny", ((X,), (Y,)), Target("rtx", 75)).plan


def test_other_targets_are_other_engines_and_an_unknown_one_is_refused() -> None:
    plans = {
        build_isolated(model(np.float16), "tiny", ((X,), (Y,)), Target("rtx", sm)).plan
        for sm in (86, 120)
    }
    assert len(plans) == 2
    with pytest.raises(
        EngineError, match=r"SM 90: TensorRT for RTX builds for 75, .*use --backend tensorrt"
    ):
        build_isolated(model(), "tiny", ((X,), (Y,)), Target("rtx", 90))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (model(batch=3), r"tiny: expected inputs .*\(-1, 4, 8, 8\).*has .*\(3, 4, 8, 8\)"),
        (model(extra="Odd"), r"tiny: tensorrt_rtx cannot read the graph \(Odd odd: .*"),
        (model()[:-100], "tiny: tensorrt_rtx cannot read the graph"),
        (b"nothing", "tiny: tensorrt_rtx cannot read the graph"),
    ],
    ids=["frozen dimension", "unknown operator", "truncated", "nonsense"],
)
def test_a_graph_that_cannot_be_built_is_refused_in_one_line(graph: bytes, message: str) -> None:
    with pytest.raises(EngineError, match=message) as info:
        build_isolated(graph, "tiny", ((X,), (Y,)), SM86)
    assert "\n" not in str(info.value)


def test_a_layer_that_changed_its_type_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from microspot.engines.tensorrt import builder

    trt = load_module("rtx")
    logger = builder.logger_of(trt, [])
    build = trt.Builder(logger)
    network = build.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model())
    assert builder.audit_types(network, "tiny", model()) == {
        "convolution float32": 1,
        "product float32": 1,
    }
    with pytest.raises(
        EngineError, match=r"expected convolutions {'float16': 1}.*has {'float32': 1}"
    ):
        builder.audit_types(network, "tiny", model(np.float16))


def test_a_builder_that_dies_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        isolated_build, "CHILD", f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    )
    with pytest.raises(
        EngineError, match=r"tiny: tensorrt_rtx died while building \(exit code -11"
    ):
        build_isolated(model(), "tiny", ((X,), (Y,)), SM86)


def test_the_builder_calls_nobody_either(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = f"[name for name in {list(EVERY)} if name not in os.environ]"
    monkeypatch.setattr(
        isolated_build, "CHILD", f"import os, sys; sys.exit('lacks ' + repr({missing}))"
    )
    with pytest.raises(EngineError, match=r"lacks \[\]"):
        build_isolated(b"", "tiny", ((X,), (Y,)), SM86)


def test_the_module_that_is_missing_names_its_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib

    def absent(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(
        EngineError, match=r"backend rtx needs tensorrt_rtx .*pip install '.\[rtx\]'"
    ):
        load_module("rtx")


def test_shapes_follow_the_limits() -> None:
    spec = dataclasses.replace(X, shape=("B", 7, "n"))
    assert open_shape(spec) == (-1, 7, -1)
    assert [sizes_of(spec, which) for which in range(3)] == [
        (FREE_SIZES["B"][which], 7, FREE_SIZES["n"][which]) for which in range(3)
    ]


def test_the_test_graph_is_sound(tmp_path: Path) -> None:
    onnx.checker.check_model(onnx.load_from_string(model(np.float16)))
