"""Engines, the manifest and the choice of a backend, on tiny models made here."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save

from microspot.engines.errors import EngineError, UsageError
from microspot.engines.loading import BACKENDS, load_engines
from microspot.engines.networks.cmnet import CMNet, RecognizerStep
from microspot.engines.networks.mesnet import EncoderStep, MESNet
from microspot.engines.runtime.engine import EngineSet, FunctionEngine, check_arrays
from microspot.engines.runtime.onnx_engine import OnnxEngine
from microspot.engines.runtime.torch_engine import TorchEngine, load_torch
from microspot.engines.specs import RecognizerSpec, SpotterSpec, TensorSpec

SIDE = 48
FRAMES = 4
NETWORK = MESNet(SpotterSpec(side=SIDE, feature=8))
SPOTTER = NETWORK.spec
RECOGNIZERS = {
    "3": RecognizerSpec(frames=FRAMES, side=SIDE),
    "5": RecognizerSpec(
        frames=FRAMES,
        side=SIDE,
        labels=("happiness", "disgust", "repression", "surprise", "others"),
    ),
}
X = TensorSpec("x", "float32", ("B", 3, "n"))
FLAGS = TensorSpec("flags", "float32", ("B", "n"))
Y = TensorSpec("y", "float32", ("B", 3, "n"))


def model(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], constant: float = 0.5
) -> bytes:
    """An ONNX model whose outputs hold `constant`; free sizes are those of the first input."""
    nodes = [helper.make_node("Shape", [inputs[0].name], ["whole"])]
    values = []
    codes = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}
    last = len(inputs[0].shape) - 1

    def number(name: str, value: int) -> str:
        values.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
        return name

    for spec in outputs:
        parts = []
        for axis, size in enumerate(spec.shape):
            name = f"{spec.name}_{axis}"
            parts.append(name)
            if isinstance(size, int):
                number(name, size)
                continue
            index = number(f"{name}_index", last if size == "n" else 0)
            nodes.append(helper.make_node("Gather", ["whole", index], [name], axis=0))
        nodes.append(helper.make_node("Concat", parts, [f"{spec.name}_shape"], axis=0))
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [constant])
        nodes.append(
            helper.make_node("ConstantOfShape", [f"{spec.name}_shape"], [spec.name], value=value)
        )

    def infos(specs: Sequence[TensorSpec]) -> list[Any]:
        return [helper.make_tensor_value_info(s.name, codes[s.dtype], s.shape) for s in specs]

    graph = helper.make_graph(nodes, "tiny", infos(inputs), infos(outputs), initializer=values)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def write_weights(
    folder: Path, recognizers: dict[str, RecognizerSpec] = RECOGNIZERS
) -> dict[str, Any]:
    """A folder of tiny weights; returns its manifest."""
    contents = {f"{name}.onnx": model(*tensors) for name, tensors in SPOTTER.tensors().items()}
    for key, spec in recognizers.items():
        contents[f"recognizer-{key}.onnx"] = model(*spec.tensors()["recognizer"], constant=int(key))
    contents["recognizer.safetensors"] = save(CMNet(SIDE).state_dict())
    contents["spotter.safetensors"] = save(NETWORK.state_dict())
    files = {}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest = {
        "format": 1,
        "spotter": SPOTTER.to_json(),
        "recognizers": {key: spec.to_json() for key, spec in recognizers.items()},
        "files": files,
        "training": {},
        "metrics": {},
        "code_version": "0",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return manifest


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    write_weights(tmp_path)
    return tmp_path


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


# ---- the contract


def twice(x: np.ndarray, flags: np.ndarray) -> dict[str, np.ndarray]:
    return {"y": 2 * x * flags[:, None]}


def test_function_engine_computes_and_checks_both_ends() -> None:
    engine = FunctionEngine(twice, (X, FLAGS), (Y,))
    found = engine(x=np.full((2, 3, 5), 4, np.float32), flags=np.ones((2, 5), np.float32))
    np.testing.assert_array_equal(found["y"], np.full((2, 3, 5), 8))
    wrong = FunctionEngine(lambda x, flags: {"y": x.astype(np.float64)}, (X, FLAGS), (Y,))
    with pytest.raises(EngineError, match=r"tensor y: expected float32.*got float64"):
        wrong(x=np.zeros((2, 3, 5), np.float32), flags=np.ones((2, 5), np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": np.zeros((2, 4, 5), np.float32)},
            r"expected float32\['B', 3, 'n'\], got float32\[2, 4, 5\]",
        ),
        ({"x": np.zeros((2, 3), np.float32)}, r"got float32\[2, 3\]"),
        ({"x": np.zeros((2, 3, 5), np.float16)}, "got float16"),
        ({"flags": np.zeros((3, 5), np.float32)}, "tensor flags: expected B = 2, got 3"),
        ({"flags": np.zeros((2, 6), np.float32)}, "tensor flags: expected n = 5, got 6"),
        ({"extra": np.zeros(1)}, r"expected \['x', 'flags'\], got \['extra', 'flags', 'x'\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    arrays = {"x": np.zeros((2, 3, 5), np.float32), "flags": np.zeros((2, 5), np.float32)}
    check_arrays((X, FLAGS), arrays)
    with pytest.raises(EngineError, match=message):
        check_arrays((X, FLAGS), arrays | change)


def fake(tensors: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]) -> FunctionEngine:
    return FunctionEngine(lambda **arrays: {}, *tensors)


def test_engine_set_holds_its_engines_to_the_spec() -> None:
    parts = {name: fake(tensors) for name, tensors in SPOTTER.tensors().items()}
    engines = EngineSet("fake", "function", SPOTTER, **parts)
    assert engines.engine("proposer") is parts["proposer"]
    with pytest.raises(EngineError, match="has no recognizer"):
        engines.engine("recognizer")
    with pytest.raises(EngineError, match="expected one of encoder"):
        engines.engine("digest")
    other = dataclasses.replace(SPOTTER, refine_length=8)
    with pytest.raises(EngineError, match=r"refiner of fake: expected clips.*16\], got clips.*8\]"):
        EngineSet(
            "fake", "function", SPOTTER, **parts | {"refiner": fake(other.tensors()["refiner"])}
        )
    with pytest.raises(EngineError, match="or neither"):
        EngineSet("fake", "function", SPOTTER, **parts, recognizer_spec=RECOGNIZERS["3"])


# ---- ONNX Runtime


def test_onnx_engine_runs_any_free_size_and_closes() -> None:
    engine = OnnxEngine(model((X, FLAGS), (Y,), 0.25), (X, FLAGS), (Y,))
    for b, n in ((1, 1), (3, 7)):
        arrays = {"x": np.zeros((b, 3, n), np.float32), "flags": np.zeros((b, n), np.float32)}
        np.testing.assert_array_equal(engine(**arrays)["y"], np.full((b, 3, n), 0.25, np.float32))
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine(**arrays)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (((X,), (Y,)), r"inputs: expected x .*, flags .*, got x "),
        (((FLAGS, X), (Y,)), "inputs: expected x .* got flags"),
        (((X, TensorSpec("flags", "uint8", ("B", "n"))), (Y,)), r"got .*flags uint8"),
        (
            ((TensorSpec("x", "float32", ("B", 3, 16)), FLAGS), (Y,)),
            r"\['B', 3, 'n'\].*got x float32\['B', 3, 16\]",
        ),
        (
            ((X, FLAGS), (TensorSpec("y", "float32", ("B", 4, "n")),)),
            r"outputs: .*'B', 3.*got y float32\['B', 4",
        ),
        (((X, FLAGS), (TensorSpec("z", "float32", ("B", 3, "n")),)), "expected y .* got z"),
    ],
    ids=["missing", "order", "dtype", "frozen dimension", "size", "name"],
)
def test_onnx_model_of_another_spec_is_refused(made: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        OnnxEngine(model(*made), (X, FLAGS), (Y,), name="tiny.onnx")


def test_broken_onnx_is_an_engine_error() -> None:
    with pytest.raises(
        EngineError, match=r"tiny.onnx: ONNX Runtime cannot load it .*export it again"
    ):
        OnnxEngine(b"not a model", (X, FLAGS), (Y,), name="tiny.onnx")


# ---- weights


@pytest.mark.parametrize("labels", [3, 5])
def test_load_engines_from_a_folder(weights: Path, labels: int) -> None:
    with load_engines(weights, labels=labels) as engines:
        assert (engines.backend, engines.name) == ("onnx", weights.name)
        assert "ONNX Runtime" in engines.backend_reason
        assert engines.spotter == SPOTTER
        assert engines.recognizer_spec == RECOGNIZERS[str(labels)]
        pixels = np.zeros((2, SPOTTER.channels, SIDE, SIDE), np.uint8)
        assert engines.encoder(pixels=pixels)["features"].shape == (2, 8)
        clip = np.zeros((1, FRAMES, 3, SIDE, SIDE), np.uint8)
        found = engines.engine("recognizer")(clip=clip)
        np.testing.assert_array_equal(found["classes"], np.full((1, labels), labels, np.float32))
    with pytest.raises(EngineError, match="closed"):
        engines.engine("recognizer")(clip=clip)


def test_digest_names_the_weights(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = load_engines(weights).digest
    assert len(first) == 64
    assert load_engines(weights, "onnx", labels=5).digest == first
    rewrite(weights, lambda m: m["files"].pop("recognizer-5.onnx"))
    assert load_engines(weights).digest != first


def test_weights_without_recognizer(tmp_path: Path) -> None:
    write_weights(tmp_path, {})
    engines = load_engines(str(tmp_path))
    assert engines.recognizer is None
    assert engines.recognizer_spec is None


def test_action_units_are_asked_for_in_place_of_labels(weights: Path) -> None:
    with pytest.raises(EngineError, match="no recognizer says action units: ask for 3 or 5"):
        load_engines(weights, labels="units")
    moved = {"units": ("AU1", "AU12"), "regions": ("brow",), "texture": "direction"}
    specs = {key: dataclasses.replace(spec, **moved) for key, spec in RECOGNIZERS.items()}
    manifest = write_weights(weights, specs)
    rewrite(weights, lambda m: m.update(format=2))
    assert manifest["recognizers"]["3"]["units"] == ("AU1", "AU12")
    for labels, emotions in ((3, True), ("5", True), ("units", False)):
        with load_engines(weights, labels=labels) as engines:
            assert engines.emotions == emotions
            clip = np.zeros((2, FRAMES, 3, SIDE, SIDE), np.uint8)
            found = engines.engine("recognizer")(clip=clip)
            shapes = {name: array.shape for name, array in found.items()}
            assert shapes["unit_sides"] == (2, 2, 3)
            assert shapes["px"] == (2,)


def test_what_earlier_manifests_lack_is_what_those_weights_are(weights: Path) -> None:
    added = RecognizerSpec.ADDED

    def earlier(manifest: dict[str, Any]) -> None:
        for spec in manifest["recognizers"].values():
            for key in added:
                del spec[key]

    rewrite(weights, earlier)
    assert load_engines(weights).recognizer_spec == RECOGNIZERS["3"]
    assert (RECOGNIZERS["3"].texture, RECOGNIZERS["3"].units) == ("strength", ())


def test_a_changed_file_is_refused_with_both_digests(weights: Path) -> None:
    before = hashlib.sha256((weights / "refiner.onnx").read_bytes()).hexdigest()[:12]
    (weights / "refiner.onnx").write_bytes(b"changed")
    after = hashlib.sha256(b"changed").hexdigest()[:12]
    with pytest.raises(
        EngineError, match=f"refiner.onnx has changed: expected SHA-256 {before}…, got {after}…"
    ):
        load_engines(weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=3), "expected format 1 or 2, got 3"),
        (lambda m: m.pop("files"), "files: expected an object"),
        (lambda m: m["files"].pop("encoder.onnx"), "lists no encoder.onnx"),
        (lambda m: m["spotter"].update(colour=1), "disagree on .'colour'."),
        (
            lambda m: m["spotter"].update(feature=12),
            r"encoder.onnx outputs: .*'B', 12.*got .*'B', 8",
        ),
        (lambda m: m["recognizers"].pop("3"), "no recognizer for 3 labels: the weights have 5"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(weights: Path, change: Any, message: str) -> None:
    rewrite(weights, change)
    with pytest.raises(EngineError, match=message):
        load_engines(weights)


def test_missing_weights_and_files_say_what_to_do(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match=r"expected a manifest\.json there, or use --engines baseline"
    ):
        load_engines(tmp_path / "nowhere")
    (weights / "proposer.onnx").unlink()
    with pytest.raises(EngineError, match=r"proposer\.onnx cannot be read"):
        load_engines(weights)
    (weights / "manifest.json").write_text("{")
    with pytest.raises(EngineError, match=r"manifest\.json: Expecting property name"):
        load_engines(weights)


# ---- backends


def test_an_unknown_backend_is_a_usage_error(weights: Path) -> None:
    with pytest.raises(UsageError, match="'cuda': expected one of auto, " + ", ".join(BACKENDS)):
        load_engines(weights, "cuda")


@pytest.mark.parametrize("folder", ["baseline", None])
def test_what_does_not_exist_is_a_usage_error_for_the_baseline_too(
    weights: Path, folder: str | None
) -> None:
    wrong = ((("cuda", 3), "'cuda'"), (("auto", 4), "labels 4: expected 3, 5 or units"))
    for arguments, message in wrong:
        with pytest.raises(UsageError, match=message):
            load_engines(folder or weights, *arguments)


def test_torch_missing_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def blocked(name: str, *rest: Any, **more: Any) -> Any:
        if name == "torch" or name.startswith("torch."):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", blocked)
    with pytest.raises(EngineError, match=r"pip install '.\[train\]'"):
        load_torch(SPOTTER, None, 3, lambda name: b"")


def test_runtime_imports_neither_torch_nor_onnxruntime() -> None:
    code = (
        "import sys, microspot.engines.loading; "
        "print([m for m in ('torch', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_torch_engine_runs_a_module_under_the_same_contract() -> None:
    torch.manual_seed(0)
    step = RecognizerStep(CMNet(SIDE), 5)
    spec = RECOGNIZERS["5"]
    engine = TorchEngine(step, *spec.tensors()["recognizer"])
    clip = np.random.default_rng(0).integers(0, 256, (2, FRAMES, 3, SIDE, SIDE), np.uint8)
    clip.setflags(write=False)
    found = engine(clip=clip)
    np.testing.assert_allclose(found["classes"].sum(1), 1, rtol=1e-5)
    assert found["intensity"].shape == (2, FRAMES)
    with pytest.raises(EngineError, match="expected uint8"):
        engine(clip=clip.astype(np.float32))
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine(clip=clip)


def test_torch_backend_runs_the_networks_as_trained(weights: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, SPOTTER.channels, SIDE, SIDE), np.uint8)
    with load_engines(weights, "torch", labels=5) as engines:
        assert (engines.backend, engines.digest) == ("torch", load_engines(weights).digest)
        features = engines.encoder(pixels=pixels)["features"]
        with torch.inference_mode():
            expected = EncoderStep(NETWORK).eval()(torch.from_numpy(pixels))
        np.testing.assert_allclose(features, expected.numpy(), atol=1e-6)
        segment = np.repeat(features[:, :, None], 5, 2)
        state = np.zeros((2, SPOTTER.state), np.float32)
        found = engines.proposer(features=segment, valid=np.ones((2, 5), np.float32), state=state)
        assert found["scores"].shape == (2, SPOTTER.scales, 5)
        clip = np.zeros((1, FRAMES, 3, SIDE, SIDE), np.uint8)
        assert engines.engine("recognizer")(clip=clip)["classes"].shape == (1, 5)


def test_torch_loader_refuses_parameters_of_another_network() -> None:
    from microspot.engines.runtime.torch_engine import _fill

    with pytest.raises(
        EngineError, match=r"x.safetensors does not fit CMNet .*export the weights again"
    ):
        _fill(CMNet(SIDE), save(CMNet(SIDE, classes=(7,)).state_dict()), "x.safetensors")
    with pytest.raises(EngineError, match="does not fit"):
        _fill(CMNet(SIDE), b"nothing", "x.safetensors")
