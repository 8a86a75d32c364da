"""The roofline: costs counted on graphs small enough to count by hand."""

from __future__ import annotations

import pytest

from microspot.engines.evaluation.roofline import Cost, Peak, cost_of, measure_peak

onnx = pytest.importorskip("onnx")


def model(op: str, x: list, weight: list, out: list, **attributes: object) -> bytes:
    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT
    count = 1
    for size in weight:
        count *= size
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info("x", kind, x)],
        [helper.make_tensor_value_info("y", kind, out)],
        [helper.make_tensor("w", kind, weight, [0.0] * count)],
    )
    return helper.make_model(graph).SerializeToString()


@pytest.mark.parametrize(
    ("op", "x", "weight", "out", "attributes", "cost"),
    [
        ("MatMul", ["B", 3, 4], [4, 5], ["B", 3, 5], {}, Cost(2 * 3 * 5 * 4, 80)),
        ("Gemm", ["B", 4], [5, 4], ["B", 5], {"transB": 1}, Cost(2 * 5 * 4, 80)),
        (
            "Conv",
            ["B", 4, 8, 8],
            [6, 2, 3, 3],
            ["B", 6, 6, 6],
            {"group": 2},
            Cost(2 * 6 * 36 * 2 * 9, 432),
        ),
        ("Add", ["B", 5], [5], ["B", 5], {}, Cost(0, 20)),
    ],
)
def test_products_are_counted(
    op: str, x: list, weight: list, out: list, attributes: dict, cost: Cost
) -> None:
    assert cost_of(model(op, x, weight, out, **attributes)) == cost


def test_the_slower_of_arithmetic_and_memory_is_the_roofline() -> None:
    peak = Peak(flops_per_s=1e9, bytes_per_s=1e9)
    assert peak.roofline_ms(Cost(2_000_000, 1_000_000)) == pytest.approx(2)
    assert peak.roofline_ms(Cost(0, 3_000_000)) == pytest.approx(3)
    assert peak.roofline_ms(Cost(500_000, 1_000_000), batch=8) == pytest.approx(4), (
        "weights are read once for all"
    )


def test_the_peaks_of_a_machine_are_not_zero() -> None:
    peak = measure_peak()
    assert peak.flops_per_s > 1e7
    assert peak.bytes_per_s > 1e6
