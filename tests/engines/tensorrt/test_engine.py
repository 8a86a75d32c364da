"""The runner's bookkeeping on a fake TensorRT: shapes, filling, splitting, addresses, failures.

No GPU is involved.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from microspot.engines.errors import EngineError
from microspot.engines.specs import FREE_SIZES, TensorSpec
from microspot.engines.tensorrt import engine as engine_module
from microspot.engines.tensorrt.engine import KEPT_SHAPES, LoadError, TensorRTEngine, padded_batch
from tests.engines.tensorrt.fake_tensorrt import FakeCuda, FakeTensorRT, fake_plan

X = TensorSpec("x", "float32", ("B", 3, "n"))
FLAGS = TensorSpec("flags", "uint8", ("B", "n"))
Y = TensorSpec("y", "float32", ("B", 4))
MOST = FREE_SIZES["B"].largest


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRT:
    fake = FakeTensorRT(FakeCuda())
    monkeypatch.setattr(engine_module, "load_module", lambda backend: fake)
    return fake


def load(module: FakeTensorRT, backend: str = "tensorrt", **faults: Any) -> TensorRTEngine:
    plan = fake_plan((X, FLAGS), (Y,), **faults)
    return TensorRTEngine(plan, (X, FLAGS), (Y,), backend, "tiny", module.cuda)


def given(batch: int, n: int) -> dict[str, np.ndarray]:
    values = np.arange(batch, dtype=np.float32)[:, None, None] + np.ones((batch, 3, n), np.float32)
    return {"x": values, "flags": np.ones((batch, n), np.uint8)}


def expected(batch: int) -> np.ndarray:
    return np.repeat(2 * np.arange(1, batch + 1, dtype=np.float32)[:, None], 4, 1)


@pytest.mark.parametrize("backend", ["tensorrt", "rtx"])
@pytest.mark.parametrize("batch", [1, 2, 3, MOST, MOST + 1, 2 * MOST + 3])
def test_any_batch_is_filled_or_split(module: FakeTensorRT, backend: str, batch: int) -> None:
    engine = load(module, backend)
    for n in (1, 4):
        found = engine(**given(batch, n))["y"]
        np.testing.assert_array_equal(found, expected(batch))


def test_rows_of_an_earlier_call_do_not_linger(module: FakeTensorRT) -> None:
    engine = load(module)
    first = engine(**given(4, 2))["y"].copy()
    second = engine(**given(3, 2))["y"]
    np.testing.assert_array_equal(first, expected(4))
    np.testing.assert_array_equal(second, expected(3))


def test_a_shape_is_prepared_once(module: FakeTensorRT) -> None:
    engine = load(module)
    assert module.engines[0].contexts == 1  # warm before the first call
    for batch in (1, 2, 3, 4, 3, 4, 1):
        engine(**given(batch, 1))
    assert module.engines[0].contexts == 3  # 1, 2, 4
    assert module.cuda.recorded == 3


def test_the_shape_used_longest_ago_goes_first(module: FakeTensorRT) -> None:
    engine = load(module)
    for n in range(1, KEPT_SHAPES + 1):
        engine(**given(1, n))
    engine(**given(1, 1))
    engine(**given(1, KEPT_SHAPES + 1))  # drops n = 2
    made = module.engines[0].contexts
    engine(**given(1, 1))
    assert module.engines[0].contexts == made
    engine(**given(1, 2))
    assert module.engines[0].contexts == made + 1


def test_tensorrt_for_rtx_records_by_itself(module: FakeTensorRT) -> None:
    load(module, "rtx")
    assert module.config is not None
    assert module.config.cuda_graph_strategy == "whole"
    assert module.cuda.recorded == 0


def test_what_cuda_cannot_record_is_launched_without_and_said_once(
    module: FakeTensorRT, caplog: pytest.LogCaptureFixture
) -> None:
    module.cuda.loops = 1
    engine = load(module)
    for batch in (1, 3, 8):
        np.testing.assert_array_equal(engine(**given(batch, 1))["y"], expected(batch))
    assert (module.cuda.tried, module.cuda.recorded) == (1, 0)
    assert [record.message for record in caplog.records] == [
        "tiny is launched without a CUDA graph (CUDA cannot record it)"
    ]


def test_an_engine_that_runs_no_more_after_recording_is_an_error(module: FakeTensorRT) -> None:
    class Broken(FakeCuda):
        def record(self, launch: Any) -> Any:
            module.engines[0].content["refuses"] = "execute_async_v3"
            raise EngineError("CUDA cannot record it")

    module.cuda = Broken()
    with pytest.raises(EngineError, match="tiny: running it failed"):
        load(module)


@pytest.mark.parametrize("backend", ["tensorrt", "rtx"])
def test_what_a_shape_holds_goes_with_it(module: FakeTensorRT, backend: str) -> None:
    """At once, not when the collector comes by: it is the GPU's memory."""
    gc.disable()
    try:
        engine = load(module, backend)
        alive = module.engines[0].alive
        for n in range(1, KEPT_SHAPES + 3):
            engine(**given(2, n))
        assert len(alive) == KEPT_SHAPES
        engine.close()
        assert len(alive) == 0
    finally:
        gc.enable()


def test_forgetting_keeps_the_usual_shape(module: FakeTensorRT) -> None:
    engine = load(module)
    engine(**given(8, 3))
    engine.forget()
    assert len(module.engines[0].alive) == 1
    for batch, made in ((1, 2), (8, 3)):
        np.testing.assert_array_equal(engine(**given(batch, 1))["y"], expected(batch))
        assert module.engines[0].contexts == made


def test_a_size_outside_of_the_engine_is_refused(module: FakeTensorRT) -> None:
    most = FREE_SIZES["n"].largest
    with pytest.raises(EngineError, match=f"n is {most + 1}, expected 1 to {most}"):
        load(module)(**given(1, most + 1))
    with pytest.raises(EngineError, match="B is 0, expected 1"):
        load(module)(**given(0, 1))


def test_inputs_of_another_kind_are_refused(module: FakeTensorRT) -> None:
    engine = load(module)
    with pytest.raises(EngineError, match="got float64"):
        engine(**given(1, 1) | {"x": np.zeros((1, 3, 1))})


@pytest.mark.parametrize(
    "call",
    [
        "set_input_shape",
        "infer_shapes",
        "get_tensor_shape",
        "set_tensor_address",
        "execute_async_v3",
    ],
)
def test_every_refusal_of_the_module_is_an_error(module: FakeTensorRT, call: str) -> None:
    with pytest.raises(EngineError, match=r"tiny: .* failed \(.*use --backend onnx"):
        load(module, refuses=call)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("infer_shapes", "infer_shapes: internal error"),
        ("deserialize", r"pybind11.* returned nullptr"),
    ],
)
def test_an_exception_of_the_module_is_an_error_of_ours(
    module: FakeTensorRT, call: str, reason: str
) -> None:
    with pytest.raises(
        EngineError, match=rf"tiny fails on the GPU \({reason}\): use --backend onnx"
    ):
        load(module, raises=call)


def test_memory_that_runs_out_is_an_error_of_one_line_and_leaves_no_shape(
    module: FakeTensorRT,
) -> None:
    engine = load(module)
    module.cuda.full = True
    with pytest.raises(
        EngineError, match=r"^tiny fails on the GPU \(CUDA out of memory\.\): use --backend onnx$"
    ):
        engine(**given(8, 1))
    module.cuda.full = False
    np.testing.assert_array_equal(engine(**given(8, 1))["y"], expected(8))


def test_a_file_that_does_not_load_says_why(module: FakeTensorRT) -> None:
    with pytest.raises(
        LoadError, match=r"tiny: tensorrt does not load it \(magic tag does not match\)"
    ):
        load(module, broken=True)


@pytest.mark.parametrize(
    "other",
    [
        ((TensorSpec("x", "float32", (1, 3, "n")), FLAGS), (Y,)),
        ((X, TensorSpec("flags", "float32", ("B", "n"))), (Y,)),
        ((X, FLAGS, Y), ()),
        ((X, FLAGS), (TensorSpec("z", "float32", ("B", 4)),)),
    ],
    ids=["frozen", "type", "direction", "name"],
)
def test_an_engine_with_other_tensors_is_refused(module: FakeTensorRT, other: Any) -> None:
    with pytest.raises(EngineError, match=r"tiny: expected tensors .*build it again"):
        TensorRTEngine(fake_plan(*other), (X, FLAGS), (Y,), "tensorrt", "tiny", module.cuda)


def test_a_closed_engine_says_so(module: FakeTensorRT) -> None:
    engine = load(module)
    engine.close()
    with pytest.raises(EngineError, match="tiny is closed"):
        engine(**given(1, 1))


def test_filled_is_the_next_power_of_two() -> None:
    assert [padded_batch(count) for count in (1, 2, 3, 4, 5, 16)] == [1, 2, 4, 4, 8, 16]
