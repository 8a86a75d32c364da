"""ONNX files: names, dims and numbers against spec and torch; the manifest that describes them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from microspot.engines.errors import EngineError, UsageError
from microspot.engines.export.fp16 import Fp16Step
from microspot.engines.export.onnx_export import (
    check_file,
    check_numbers,
    export,
    export_spotter,
    write_manifest,
)
from microspot.engines.manifest import FORMAT, PACKAGED
from microspot.engines.networks.mesnet import EncoderStep, MESNet, ProposerStep, RefinerStep
from microspot.engines.runtime.onnx_engine import OnnxEngine
from microspot.engines.runtime.onnxruntime_import import onnxruntime
from microspot.engines.specs import NUISANCES, RecognizerSpec, SpotterSpec, TensorSpec
from microspot.engines.training.package import package

SMALL = SpotterSpec(side=32, feature=32)
# Operators of the encoder that TensorRT and TensorRT for RTX take on every GPU.
PLAIN = {
    "Add", "Cast", "Clip", "Concat", "Conv", "Div", "Flatten", "Gather", "MatMul", "Max", "MaxPool",
    "Mul", "Neg", "Reciprocal", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Slice", "Split",
    "Sqrt", "Squeeze", "Sub", "Tanh", "TopK", "Transpose", "Unsqueeze",
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> MESNet:
    torch.manual_seed(5)
    return MESNet(SMALL).eval()


@pytest.fixture(scope="module")
def folder(network: MESNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("weights")
    assert export_spotter(network, target) == network.spec
    return target


def test_files_hold_the_spec_and_the_numbers(network: MESNet, folder: Path) -> None:
    tensors = network.spec.tensors()
    check_file(folder / "proposer.onnx", "proposer", tensors["proposer"])
    worst = check_numbers(
        folder / "proposer.onnx", "proposer", ProposerStep(network), tensors["proposer"]
    )
    assert worst < 1e-5


def test_a_network_with_all_that_a_spec_can_ask_for_is_exported(tmp_path: Path) -> None:
    torch.manual_seed(6)
    spec = dataclasses.replace(
        SMALL,
        surround_ns=SMALL.lags_ns[1:3],
        parallax=True,
        certainty=True,
        ridge=3e-5,
        grid="fine",
        nuisance=NUISANCES[:2],
    )
    full = MESNet(spec).eval()
    export_spotter(full, tmp_path)  # compares every graph with torch
    assert load_spotter(full.spec, tmp_path)
    operators = {node.op_type for node in onnx.load(tmp_path / "encoder.onnx").graph.node}
    assert operators <= PLAIN


def load_spotter(spec: SpotterSpec, folder: Path) -> list[OnnxEngine]:
    """The three engines of a folder; EngineError where a file is not what the spec says."""
    tensors = spec.tensors()
    return [OnnxEngine((folder / f"{name}.onnx").read_bytes(), *tensors[name]) for name in tensors]


def test_norm_layers_are_folded(folder: Path) -> None:
    operators = {node.op_type for node in onnx.load(folder / "encoder.onnx").graph.node}
    assert "Conv" in operators
    assert "BatchNormalization" not in operators


def test_runtime_streams_like_the_whole_sequence(network: MESNet, folder: Path) -> None:
    n = 25
    radius = SMALL.radius
    features = torch.randn(1, 32, n)
    session = onnxruntime.InferenceSession(folder / "proposer.onnx")
    pushed = np.concatenate([features.numpy(), np.zeros((1, 32, radius), np.float32)], 2)
    state = np.zeros((1, network.spec.state), np.float32)
    scores = []
    for t in range(n + radius):
        valid = np.full((1, 1), float(t < n), np.float32)
        part, state = session.run(
            None, {"features": pushed[:, :, t : t + 1], "valid": valid, "state": state}
        )
        scores.append(part)
    whole = network(features, torch.ones(1, n)).sigmoid().detach().numpy()
    np.testing.assert_allclose(np.concatenate(scores, 2)[:, :, radius:], whole, atol=1e-5)


def test_a_spec_that_does_not_match_is_refused(network: MESNet, folder: Path) -> None:
    inputs, outputs = network.spec.tensors()["refiner"]
    path = folder / "refiner.onnx"
    with pytest.raises(EngineError, match=r"expected outputs \['offsets', 'classes'\]"):
        check_file(path, "refiner", (inputs, outputs[::-1]))
    longer = (dataclasses.replace(inputs[0], shape=("P", 32, 17)),)
    with pytest.raises(
        EngineError, match=r"float32\['free', 32, 17\], the file has float32\['free', 32, 16\]"
    ):
        check_file(path, "refiner", (longer, outputs))
    frozen = (dataclasses.replace(inputs[0], shape=(3, 32, 16)),)
    with pytest.raises(EngineError, match=r"refiner\.clips"):
        check_file(path, "refiner", (frozen, outputs))


def test_other_weights_are_noticed(network: MESNet, folder: Path) -> None:
    torch.manual_seed(6)
    with pytest.raises(EngineError, match="differs from torch"):
        check_numbers(
            folder / "refiner.onnx",
            "refiner",
            RefinerStep(MESNet(SMALL)),
            SMALL.tensors()["refiner"],
        )


class Doubled(torch.nn.Module):
    """Gives two rows per row: not what its spec says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x], 1)


def test_a_file_that_fails_is_removed(tmp_path: Path) -> None:
    spec = TensorSpec("x", "float32", ("B", 4))
    path = tmp_path / "doubled.onnx"
    with pytest.raises(EngineError, match=r"doubled\.y"):
        export(Doubled(), "doubled", ((spec,), (dataclasses.replace(spec, name="y"),)), None, path)
    assert not path.exists()


def test_what_the_exporter_refuses_is_one_line(
    network: MESNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("Failed to decompose\nand forty lines more")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(
        EngineError, match=r"^encoder: torch .* cannot export it \(Failed to decompose\)"
    ):
        export(
            EncoderStep(network),
            "encoder",
            network.spec.tensors()["encoder"],
            None,
            tmp_path / "encoder.onnx",
        )


def test_half_precision_keeps_float_ends(network: MESNet, tmp_path: Path) -> None:
    path = tmp_path / "refiner.fp16.onnx"
    tensors = network.spec.tensors()["refiner"]
    export(Fp16Step(RefinerStep(network)), "refiner", tensors, None, path)
    stored = {
        tensor.data_type for tensor in onnx.load(path).graph.initializer if len(tensor.dims) > 1
    }
    assert stored == {onnx.TensorProto.FLOAT16}
    clips = np.random.default_rng(0).random((4, 32, 16), np.float32)
    classes, _ = onnxruntime.InferenceSession(path).run(None, {"clips": clips})
    with torch.no_grad():
        wanted = RefinerStep(network)(torch.from_numpy(clips))[0].numpy()
    np.testing.assert_allclose(classes, wanted, atol=5e-3)


def test_a_recognizer_without_ice_is_not_packaged(tmp_path: Path) -> None:
    (tmp_path / "spotter.json").write_text("{}")
    (tmp_path / "recognizer.json").write_text(json.dumps({"config": {"magnify": False}}))
    with pytest.raises(UsageError, match="magnify = false"):
        package(tmp_path, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_manifest_names_every_weight_file(network: MESNet, folder: Path) -> None:
    recognizers = {"3": RecognizerSpec(), "5": RecognizerSpec(labels=("a", "b", "c", "d", "e"))}
    path = write_manifest(folder, network.spec, recognizers, {"seed": 1}, {"f1": 0.5})
    manifest = json.loads(path.read_text())
    assert manifest["format"] == FORMAT
    assert SpotterSpec.from_json(manifest["spotter"]) == network.spec
    assert RecognizerSpec.from_json(manifest["recognizers"]["5"]) == recognizers["5"]
    assert set(manifest["files"]) == {
        "encoder.onnx",
        "proposer.onnx",
        "refiner.onnx",
        "spotter.safetensors",
    }
    content = (folder / "encoder.onnx").read_bytes()
    entry = manifest["files"]["encoder.onnx"]
    assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_shipped_graphs_carry_no_trace_of_the_machine_that_made_them() -> None:
    paths = sorted(PACKAGED.glob("*.onnx"))
    assert len(paths) == 5
    for path in paths:
        assert b".py" not in path.read_bytes(), path
