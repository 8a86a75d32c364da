"""Loading a set on a GPU, with fakes in place of driver, TensorRT and CUDA."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from microspot.engines import doctor, loading
from microspot.engines.errors import DataError, EngineError, MicrospotError, UsageError
from microspot.engines.loading import choose_backend, load_engines
from microspot.engines.runtime.engine import FunctionEngine
from microspot.engines.specs import RecognizerSpec, SpotterSpec, TensorSpec
from microspot.engines.tensorrt import engine as engine_module
from microspot.engines.tensorrt import engine_set, isolated_build, plans
from microspot.engines.tensorrt.builder import MODULES, Target
from microspot.engines.tensorrt.cache import GOLDEN, MODEL, PLAN, Cache, Entry
from microspot.engines.tensorrt.engine_set import (
    GpuHost,
    SplitRecognizer,
    missing,
    require,
    start,
    target_of,
)
from microspot.engines.tensorrt.gpu import NO_DRIVER, Gpu
from microspot.engines.tensorrt.graphs import Graph
from microspot.engines.tensorrt.isolated_build import Built
from tests.engines.tensorrt.fake_tensorrt import FakeCuda, FakeTensorRT, fake_plan

GPU = Gpu("NVIDIA Fake 4090", 89, "12.8")
X = TensorSpec("x", "float32", ("B", 3))
Y = TensorSpec("y", "float32", ("B", 1))


def found(monkeypatch: pytest.MonkeyPatch, gpu: Gpu | str) -> None:
    for module in (engine_set, loading):
        monkeypatch.setattr(module, "find_gpu", lambda: gpu)


# ---- what is missing


@pytest.mark.parametrize("backend", ["tensorrt", "rtx"])
def test_without_a_driver_nothing_is_imported_and_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    found(monkeypatch, NO_DRIVER)
    monkeypatch.setattr(
        engine_set, "load_module", lambda name: pytest.fail("TensorRT was imported")
    )
    with pytest.raises(
        EngineError, match=rf"backend {backend} needs an NVIDIA.*no NVIDIA driver.*pip install"
    ) as info:
        load_engines(backend=backend)
    assert f"'.[{backend}]'" in str(info.value)
    assert info.value.exit_code == 4


def test_a_gpu_outside_of_the_list_is_sent_to_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, dataclasses.replace(GPU, sm=90))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(engine_set, "load_module", lambda name: FakeTensorRT(FakeCuda()))
    assert any(
        "SM 86, 89: NVIDIA Fake 4090 is SM 90, use --backend tensorrt" in lack
        for lack in missing("rtx")
    )
    with pytest.raises(EngineError, match="use --backend tensorrt"):
        require("rtx")


@pytest.mark.parametrize("backend", ["tensorrt", "rtx"])
def test_what_is_installed_but_does_not_import_is_missing(
    monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    found(monkeypatch, GPU)
    monkeypatch.setattr(doctor, "find_gpu", lambda: GPU)
    monkeypatch.setattr(doctor, "_face_model", lambda: "ready")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    def broken(name: str) -> None:
        raise ImportError(f"lib{name}.so: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", broken)
    lacks = (
        f"{MODULES[backend]} and torch that can be imported "
        f"(lib{MODULES[backend]}.so: cannot open shared"
    )
    assert missing(backend)[0].startswith(lacks)
    assert lacks in choose_backend("auto")[2]
    assert lacks in doctor.examine()[f"backend {backend}"]
    with pytest.raises(EngineError, match=f"backend {backend} needs .*pip install"):
        load_engines(backend=backend)


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "filelock"])
def test_every_package_of_the_extra_is_needed(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    found(monkeypatch, GPU)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else name)
    assert missing("rtx") == [f"{package} (pip install '.[rtx]' in the checkout)"]


def test_auto_asks_the_driver_first_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, NO_DRIVER)
    monkeypatch.setattr(
        loading, "missing", lambda backend: pytest.fail("asked for modules without a driver")
    )
    assert choose_backend("auto") == (
        "onnx",
        "",
        "auto: ONNX Runtime on the CPU (no NVIDIA driver)",
    )
    found(monkeypatch, GPU)
    monkeypatch.setattr(
        loading, "missing", lambda backend: ["tensorrt"] if backend == "tensorrt" else []
    )
    assert choose_backend("auto") == (
        "rtx",
        "fp16",
        "auto: rtx in fp16 on NVIDIA Fake 4090 (SM 89)",
    )
    monkeypatch.setattr(loading, "missing", lambda backend: [f"{backend} module"])
    name, _, why = choose_backend("auto")
    assert name == "onnx"
    assert (
        "although there is NVIDIA Fake 4090: tensorrt needs tensorrt module; rtx needs rtx module"
        in why
    )


def test_a_backend_may_name_its_precision() -> None:
    assert choose_backend("rtx:fp32")[:2] == ("rtx", "fp32")
    assert choose_backend("tensorrt")[:2] == ("tensorrt", "fp16")
    assert choose_backend("onnx")[:2] == ("onnx", "")
    for wrong in ("rtx:", "rtx:bf16", "onnx:fp16"):
        with pytest.raises(
            UsageError, match="expected one of auto, onnx, tensorrt, rtx, torch, tensorrt:fp16"
        ):
            choose_backend(wrong)


@pytest.mark.parametrize(
    ("backend", "precision"), [("rtx", "fp16"), ("rtx:fp32", "fp32"), ("onnx", "fp32")]
)
def test_a_set_knows_its_precision(
    monkeypatch: pytest.MonkeyPatch, backend: str, precision: str
) -> None:
    def on_cpu(name: str, *arguments: Any, precision: str) -> Any:
        return loading.load_onnx(*arguments)

    monkeypatch.setattr(loading, "load_on_gpu", on_cpu)
    with load_engines(backend=backend) as engines:
        assert engines.precision == precision


@pytest.mark.parametrize(
    "error",
    [
        EngineError("encoder is not the function that was trained"),
        DataError("the cache cannot be written"),
    ],
    ids=["wrong", "no cache"],
)
def test_auto_goes_on_with_the_cpu_where_the_gpu_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, error: MicrospotError
) -> None:
    found(monkeypatch, GPU)
    monkeypatch.setattr(loading, "missing", lambda backend: [])

    def fails(*arguments: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(loading, "load_on_gpu", fails)
    with load_engines() as engines:
        assert (engines.backend, engines.precision) == ("onnx", "fp32")
        assert engines.backend_reason == (
            f"auto: ONNX Runtime on the CPU, since tensorrt cannot run: {error}"
        )
    with pytest.raises(type(error), match=str(error)):
        load_engines(backend="rtx")


def test_a_watch_without_a_gpu_exits_4_with_one_line() -> None:
    if not isinstance(engine_set.find_gpu(), str):
        pytest.skip("this machine has a GPU")
    command = [
        sys.executable,
        "-m",
        "microspot.realtime",
        "watch",
        "sample",
        "--backend",
        "tensorrt",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)
    assert "pip install '.[tensorrt]'" in done.stderr


# ---- engines on a fake GPU


class Shop:
    """Gives fake engine files, one after the other, the last one for ever; counts."""

    def __init__(self, *made: bytes, repeatable: bool = False) -> None:
        self.made = list(made)
        self.built = 0
        self.repeatable = repeatable

    def __call__(self, model: bytes, name: str, tensors: Any, target: Any) -> Built:
        self.built += 1
        return Built(self.made.pop(0) if len(self.made) > 1 else self.made[0], {}, self.repeatable)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GpuHost:
    fake = FakeTensorRT(FakeCuda())
    for module in (plans, engine_module):
        monkeypatch.setattr(module, "load_module", lambda backend: fake)
    return GpuHost(Cache(tmp_path), target_of("rtx", GPU), GPU, fake.cuda)  # type: ignore[arg-type]


@pytest.fixture
def graph(host: GpuHost) -> Graph:
    """A graph whose golden output is twice the mean of its input."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    files = {MODEL: b"graph", GOLDEN: save({"in.x": x, "out.y": 2 * x.mean(1, keepdims=True)})}
    entry = host.cache.entry("tiny", {"precision": "fp16"}, lambda: files, "graph")
    entry.record({"B": {"passed": True}})
    return Graph("tiny", "fp16", ((X,), (Y,)), entry)


def test_an_engine_is_built_tested_once_and_remembered(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    shop = Shop(fake_plan((X,), (Y,)))
    monkeypatch.setattr(plans, "build_isolated", shop)
    tests: list[str] = []
    real = engine_set.outputs_of
    monkeypatch.setattr(engine_set, "outputs_of", lambda *a: tests.append("D") or real(*a))
    for _ in range(2):
        engine = start(graph, host, SpotterSpec())
        np.testing.assert_array_equal(engine(x=np.ones((1, 3), np.float32))["y"], [[2]])
    assert (shop.built, tests) == (1, ["D"])
    parity = plans.plan_entry(host.cache, graph, host.target).parity()
    assert parity["B"] == {"passed": True}
    assert parity["D"]["passed"] is True
    assert parity["D"]["where"]["gpu"] == GPU.name
    other = dataclasses.replace(host, gpu=dataclasses.replace(GPU, driver="13.0"))
    start(graph, other, SpotterSpec())
    assert tests == ["D", "D"]


def test_rung_d_repeats_the_self_test_and_gives_its_numbers(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    monkeypatch.setattr(plans, "build_isolated", Shop(fake_plan((X,), (Y,))))
    for _ in range(2):
        found = engine_set.rung_d(graph, host, SpotterSpec())
        assert (found["passed"], found["errors"]) == (True, {"whole y": 0.0, "apart y": 0.0})
        assert found["limits"].keys() == found["errors"].keys()
        assert not engine_module.load_module("rtx").engines[-1].alive


def test_an_engine_that_computes_something_else_is_refused_every_time(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    monkeypatch.setattr(plans, "build_isolated", Shop(fake_plan((X,), (Y,), scale=2.1)))
    for _ in range(2):
        with pytest.raises(
            EngineError, match=r"tiny fp16 on NVIDIA Fake 4090 is not the function.*refused"
        ):
            start(graph, host, SpotterSpec())
    assert plans.plan_entry(host.cache, graph, host.target).parity()["D"]["passed"] is False


def test_an_engine_that_is_wrong_for_one_camera_alone_is_refused(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    """The golden batch has kernels of its own."""
    monkeypatch.setattr(plans, "build_isolated", Shop(fake_plan((X,), (Y,), spoils=1)))
    with pytest.raises(
        EngineError, match=r"not the function that was trained \(asked apart: errors .*refused"
    ):
        start(graph, host, SpotterSpec())
    parity = plans.plan_entry(host.cache, graph, host.target).parity()["D"]
    assert (parity["passed"], parity["whole"]["passed"], parity["apart"]["passed"]) == (
        False,
        True,
        False,
    )


def test_the_self_test_leaves_only_the_usual_shape(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    monkeypatch.setattr(plans, "build_isolated", Shop(fake_plan((X,), (Y,))))
    engine = start(graph, host, SpotterSpec())
    made = engine_module.load_module("rtx").engines[0]
    assert (made.contexts, len(made.alive)) == (2, 1)
    engine.close()


def test_an_engine_that_does_not_load_is_built_once_more(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    shop = Shop(fake_plan((X,), (Y,), broken=True), fake_plan((X,), (Y,)))
    monkeypatch.setattr(plans, "build_isolated", shop)
    start(graph, host, SpotterSpec())
    assert shop.built == 2
    always = Shop(fake_plan((X,), (Y,), broken=True))
    monkeypatch.setattr(plans, "build_isolated", always)
    plans.plan_entry(host.cache, graph, host.target, again=True)
    with pytest.raises(EngineError, match="does not load it"):
        start(graph, host, SpotterSpec())
    assert always.built == 2


def test_a_refused_engine_that_another_process_built_again_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    broken = fake_plan((X,), (Y,), broken=True)
    good = fake_plan((X,), (Y,))
    monkeypatch.setattr(plans, "build_isolated", Shop(broken))
    plans.plan_entry(host.cache, graph, host.target)
    others = Shop(good)
    ours = Shop(good + b" ")
    real = engine_set.plan_entry

    def slow(*arguments: Any, **more: Any) -> Any:
        """The plan as found; then the other process finds and mends it too."""
        entry = real(*arguments, **more)
        if not others.built:
            monkeypatch.setattr(plans, "build_isolated", others)
            real(*arguments, refused=entry.sha256(PLAN))
            monkeypatch.setattr(plans, "build_isolated", ours)
        return entry

    monkeypatch.setattr(engine_set, "plan_entry", slow)
    start(graph, host, SpotterSpec())
    assert (others.built, ours.built) == (1, 0)


def test_other_code_or_another_wheel_is_another_engine(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph, tmp_path: Path
) -> None:
    before = plans._fields(graph, host.target)
    monkeypatch.setattr(
        plans, "version_of", lambda package: "9" if package == "tensorrt-rtx-cu13" else ""
    )
    assert plans._fields(graph, host.target)["wheels"] == {"cu12": "", "cu13": "9"}
    (tmp_path / "builder.py").write_text("")
    monkeypatch.setattr(plans.builder, "__file__", str(tmp_path / "builder.py"))
    assert plans._fields(graph, host.target)["code"] != before["code"]


def test_engines_are_kept_apart_by_what_they_are_for(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    monkeypatch.setattr(plans, "build_isolated", Shop(fake_plan((X,), (Y,))))
    gpus = (GPU, dataclasses.replace(GPU, name="NVIDIA Fake 4080"))
    rtx = {plans.plan_entry(host.cache, graph, target_of("rtx", gpu)).folder for gpu in gpus}
    full = {plans.plan_entry(host.cache, graph, target_of("tensorrt", gpu)).folder for gpu in gpus}
    assert (len(rtx), len(full), len(rtx | full)) == (1, 2, 3)
    assert plans.plan_entry(host.cache, graph, host.target).read(PLAN) == fake_plan((X,), (Y,))


@pytest.mark.parametrize(
    ("made", "built", "passed", "kept"),
    [
        ((b"a",), 2, True, b"a"),
        ((b"a", b"b", b"a"), 3, True, b"a"),
        ((b"a", b"b", b"b"), 3, True, b"b"),
        ((b"a", b"b", b"c", b"d"), 4, False, b"d"),
    ],
    ids=["always", "one differs", "the first differs", "never"],
)
def test_an_engine_counts_when_two_builds_agree(
    monkeypatch: pytest.MonkeyPatch,
    host: GpuHost,
    graph: Graph,
    made: Any,
    built: int,
    passed: bool,
    kept: bytes,
) -> None:
    shop = Shop(*made, repeatable=True)
    monkeypatch.setattr(plans, "build_isolated", shop)
    result = plans.rung_c(host.cache, graph, host.target)
    assert (shop.built, result["passed"], result["identical"]) == (built, passed, passed)
    entry = plans.plan_entry(host.cache, graph, host.target)
    assert entry.read(PLAN) == kept
    assert entry.parity().keys() == {"B", "C"}


def test_builds_that_never_agree_are_told(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    said: list[str] = []
    monkeypatch.setattr(plans, "build_isolated", Shop(b"a", b"b", b"c", b"d", repeatable=True))
    plans.plan_entry(dataclasses.replace(host.cache, say=said.append), graph, host.target)
    assert (
        said[-1] == "engine tiny fp16 for SM 89: 4 builds gave 4 different files; "
        "rung C failed, the last one is kept"
    )


def test_a_build_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated_build, "LIMIT_S", 0.01)
    with pytest.raises(EngineError, match=r"tiny: not built after 0\.01 s"):
        isolated_build.build_isolated(b"", "tiny", ((X,), (Y,)), Target("rtx", 89))


def test_rung_c_is_climbed_again_where_its_result_was_lost(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    shop = Shop(b"a", repeatable=True)
    monkeypatch.setattr(plans, "build_isolated", shop)
    monkeypatch.setattr(Entry, "parity", lambda entry: {})
    assert plans.rung_c(host.cache, graph, host.target)["passed"] is True
    assert shop.built == 3


def test_rung_c_of_an_engine_from_the_cache_builds_it_again(
    monkeypatch: pytest.MonkeyPatch, host: GpuHost, graph: Graph
) -> None:
    monkeypatch.setattr(plans, "build_isolated", Shop(b"a", repeatable=True))
    plans.rung_c(host.cache, graph, host.target)
    for made, built, passed in (
        ((b"a",), 1, True),
        ((b"b", b"a"), 2, True),
        ((b"b", b"c", b"d", b"e"), 4, False),
    ):
        shop = Shop(*made, repeatable=True)
        monkeypatch.setattr(plans, "build_isolated", shop)
        assert plans.rung_c(host.cache, graph, host.target)["passed"] is passed
        assert shop.built == built
    monkeypatch.setattr(plans, "build_isolated", Shop(b"f", repeatable=False))
    result = plans.rung_c(host.cache, graph, host.target)
    assert (result["passed"], result["identical"], result["repeatable"]) == (True, False, False)


def test_the_recognizer_is_frames_and_head() -> None:
    spec = RecognizerSpec(frames=4, side=8)
    (clip,), outputs = spec.tensors()["recognizer"]
    product = TensorSpec("product", "float32", ("B", 4, 2))
    frames = FunctionEngine(
        lambda clip: {
            "product": np.full((1, 4, 2), 3, np.float32),
            "intensity": np.ones((1, 4), np.float32),
        },
        (clip,),
        (product, outputs[1]),
    )
    scores = TensorSpec("classes_3", "float32", ("B", 3))
    head = FunctionEngine(
        lambda product: {"classes_3": product[:, 0, :1] * np.ones((1, 3), np.float32)},
        (product,),
        (scores,),
    )
    whole = SplitRecognizer(frames, head, (clip,), outputs, labels=3)
    answer = whole(clip=np.zeros((1, 4, 3, 8, 8), np.uint8))
    assert answer.keys() == {"classes", "intensity"}
    np.testing.assert_array_equal(answer["classes"], [[3, 3, 3]])


def test_a_recognizer_that_says_what_moved_hands_the_clues_to_its_head() -> None:
    spec = RecognizerSpec(frames=4, side=8, units=("AU1", "AU2"), regions=("brow",))
    (clip,), outputs = spec.tensors()["recognizer"]
    made = {tensor.name: np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in outputs}
    product, clues = (TensorSpec(name, "float32", ("B", 4, 2)) for name in ("product", "clues"))
    frames = FunctionEngine(
        lambda clip: {
            "product": np.full((1, 4, 2), 3, np.float32),
            "clues": np.full((1, 4, 2), 5, np.float32),
            "intensity": made["intensity"],
        },
        (clip,),
        (product, outputs[1], clues),
    )

    def head(product: Any, clues: Any) -> dict[str, Any]:
        rest = {name: made[name] for name in ("unit_sides", "unit_px", "regions", "side", "px")}
        return rest | {"classes_3": product[:, 0, :1] * np.ones((1, 3)), "units": clues[:, 0]}

    scores = TensorSpec("classes_3", "float64", ("B", 3))
    heads = FunctionEngine(head, (product, clues), (scores, *spec.movement_tensors()))
    whole = SplitRecognizer(frames, heads, (clip,), outputs, labels=3)
    answer = whole(clip=np.zeros((1, 4, 3, 8, 8), np.uint8))
    assert list(answer) == [tensor.name for tensor in outputs]
    np.testing.assert_array_equal(answer["units"], [[5, 5]])
    np.testing.assert_array_equal(answer["classes"], [[3, 3, 3]])
