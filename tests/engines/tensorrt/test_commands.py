"""build, verify, list, clean and doctor, where nothing has to be built."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from microspot.engines import doctor
from microspot.engines.errors import EngineError, UsageError
from microspot.engines.tensorrt import commands, engine_set
from microspot.engines.tensorrt import parity_ladder as verification
from microspot.engines.tensorrt.builder import MODULES
from microspot.engines.tensorrt.cache import MODEL, PLAN, VARIABLE, Cache
from microspot.engines.tensorrt.gpu import NO_DRIVER, Gpu
from microspot.engines.tensorrt.graphs import ToolError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return Cache(tmp_path)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "cuda"}, "'cuda': expected one of tensorrt, rtx"),
        ({"sm": "86,new"}, "--sm 86,new: expected numbers such as 86,89,120"),
        ({"precision": "bf16"}, "'bf16': expected one of fp16, fp32"),
    ],
)
def test_an_option_that_does_not_exist_is_a_usage_error(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        commands.build(**options)


def test_tensorrt_is_not_built_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_set, "find_gpu", lambda: NO_DRIVER)
    with pytest.raises(EngineError, match=r"needs an NVIDIA GPU.*pip install '.\[tensorrt\]'"):
        commands.build(backend="tensorrt")


def test_list_and_clean_see_every_entry(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    cache.entry("encoder", {"precision": "fp16"}, lambda: {MODEL: b"graph"}, "graph")
    fields = {"precision": "fp16", "module": "tensorrt_rtx", "version": "1.7", "sm": 86}
    engine = cache.entry("encoder", fields, lambda: {PLAN: b"engine"}, "engine")
    engine.record({"B": {"passed": True}, "C": {"passed": False}})
    broken = cache.entry("refiner", {"precision": "fp32"}, lambda: {MODEL: b"graph"}, "graph")
    (broken.folder / MODEL).write_bytes(b"other")
    commands.list_entries(as_json=True)
    rows = printed(capsys)["engines"]
    assert {row.get("kind", row.get("fault", "")) for row in rows} == {
        "graph",
        "tensorrt_rtx 1.7 sm86",
        f"{broken.folder / MODEL} has changed since it was built",
    }
    assert next(row["rungs"] for row in rows if row.get("kind", "").endswith("sm86")) == {
        "B": True,
        "C": False,
    }
    commands.list_entries()
    assert "sm86" in capsys.readouterr().out
    commands.clean(as_json=True)
    assert printed(capsys)["removed"] == 3
    assert list(cache.entries()) == []


REPORT = {"A": "passed", "B": "passed", "C": "failed: encoder sm86", "D": f"not run: {NO_DRIVER}"}


def test_verify_prints_every_rung_and_fails_where_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    details = {
        "A": {
            "encoder": {"passed": True, "errors": {"features": 1e-6}, "limits": {"features": 1e-5}}
        }
    }
    monkeypatch.setattr(verification, "ladder", lambda *a: REPORT | {"details": details})
    with pytest.raises(EngineError, match="rung C failed"):
        commands.verify()
    assert capsys.readouterr().out.splitlines() == [
        "A  passed (1 checks, at most 10% of the tolerance)",
        "B  passed",
        "C  failed: encoder sm86",
        "D  not run: no NVIDIA driver",
    ]
    monkeypatch.setattr(verification, "ladder", lambda *a: REPORT | {"C": "passed", "details": {}})
    commands.verify(as_json=True)
    assert printed(capsys)["C"] == "passed"


class Refusing:
    """Graphs of which `head` cannot be made, and none where tools are missing."""

    names = ("frames", "head")
    precision = "fp16"
    spotter = None
    cache = None
    error: EngineError = EngineError("head fp16: rung B of the parity ladder failed")

    def graph(self, name: str) -> Any:
        if name == "head" or isinstance(self.error, ToolError):
            raise self.error
        return SimpleNamespace(
            model=b"",
            tensors=((), ()),
            golden={},
            entry=SimpleNamespace(record=lambda result: None),
        )


def test_a_graph_that_cannot_be_made_is_a_failed_rung_and_the_others_are_judged(
    monkeypatch: pytest.MonkeyPatch, cache: Cache
) -> None:
    weights = SimpleNamespace(recognizers={"3": None})
    graphs = Refusing()
    monkeypatch.setattr(verification, "graphs_of", lambda *a: graphs)
    monkeypatch.setattr(verification, "find_gpu", lambda: NO_DRIVER)
    monkeypatch.setattr(verification.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(verification, "onnx_outputs", lambda *a: {})
    built = {"passed": True, "repeatable": True}
    monkeypatch.setattr(verification, "rung_c", lambda *a: built)
    report = verification.ladder(weights, cache, "fp16", [86])  # type: ignore[arg-type]
    assert {rung: report[rung] for rung in "ABC"} == {
        "A": "failed: head, recognizer-3",
        "B": "failed: head",
        "C": "failed: head sm86",
    }
    assert report["details"]["B"]["head"] == {"passed": False, "reason": str(graphs.error)}
    assert report["details"]["C"]["frames sm86"] == built
    graphs.error = ToolError("making graphs needs onnx")
    with pytest.raises(ToolError, match="needs onnx"):
        verification.ladder(weights, cache, "fp16", [86])  # type: ignore[arg-type]


def test_a_summary_says_where_bytes_were_not_compared() -> None:
    once = {"passed": True, "repeatable": False}
    assert verification._summary({"head sm86": once}).startswith("passed, bytes not compared")
    assert (
        verification._summary(
            {"head sm86": once | {"repeatable": True}, "frames sm86": {"passed": True}}
        )
        == "passed"
    )
    assert (
        verification._summary({"head sm86": once, "frames sm86": {"passed": False}})
        == "failed: frames sm86"
    )


def test_rung_d_says_why_it_was_not_run(monkeypatch: pytest.MonkeyPatch, cache: Cache) -> None:
    monkeypatch.setattr(verification, "find_gpu", lambda: NO_DRIVER)
    assert verification._rung_d(None, cache) == "not run: no NVIDIA driver"
    monkeypatch.setattr(verification, "find_gpu", lambda: Gpu("NVIDIA Fake 4090", 89, "12.8"))
    monkeypatch.setattr(verification, "missing", lambda backend: [f"{backend} module"])
    assert verification._rung_d(None, cache) == "not run: rtx module"


def test_rung_d_fails_alone_where_cuda_does_not_start(
    monkeypatch: pytest.MonkeyPatch, cache: Cache
) -> None:
    def full() -> None:
        raise EngineError("torch: out of memory")

    monkeypatch.setattr(verification, "find_gpu", lambda: Gpu("NVIDIA Fake 4090", 89, "12.8"))
    monkeypatch.setattr(
        verification, "missing", lambda backend: [] if backend == "rtx" else ["tensorrt"]
    )
    monkeypatch.setattr(verification, "Cuda", full)
    assert verification._rung_d(None, cache) == {
        "rtx": {"passed": False, "reason": "torch: out of memory"}
    }


def test_doctor_says_what_is_missing_and_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (doctor, engine_set, doctor.loading):
        monkeypatch.setattr(module, "find_gpu", lambda: NO_DRIVER)
    monkeypatch.setattr(doctor, "_face_model", lambda: "ready")
    report = doctor.examine()
    assert (report["gpu"], report["backend"]) == (NO_DRIVER, "onnx")
    assert report["why"] == "auto: ONNX Runtime on the CPU (no NVIDIA driver)"
    for backend in ("rtx", "tensorrt"):
        assert "needs an NVIDIA GPU" in report[f"backend {backend}"]
        absent = importlib.util.find_spec(MODULES[backend]) is None
        assert (f"pip install '.[{backend}]'" in report[f"backend {backend}"]) == absent
