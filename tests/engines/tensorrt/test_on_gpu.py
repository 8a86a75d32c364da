"""Rung D: engines on a real NVIDIA GPU against the networks as trained. `pytest -m gpu`.

The runner has run on a GPU with a fake of TensorRT alone: TensorRT for RTX refused the one at hand
(an H100), and TensorRT itself could not be installed there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.export.fp16 import Fp16Step
from microspot.engines.export.parity import judge, outputs_of, outputs_one_by_one
from microspot.engines.loading import load_engines
from microspot.engines.manifest import PACKAGED, Weights
from microspot.engines.runtime.engine import Array, EngineSet
from microspot.engines.tensorrt import engine as engine_module
from microspot.engines.tensorrt.builder import MODULES, PRECISIONS
from microspot.engines.tensorrt.cache import VARIABLE, Cache
from microspot.engines.tensorrt.cuda import Cuda
from microspot.engines.tensorrt.engine import TensorRTEngine
from microspot.engines.tensorrt.engine_set import missing
from microspot.engines.tensorrt.gpu import find_gpu
from microspot.engines.tensorrt.parity_ladder import graphs_of

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(isinstance(find_gpu(), str), reason=f"rung D: {find_gpu()}"),
    pytest.mark.timeout(1200),
]
# of the largest value; beyond rung D's, since these inputs are noise
TOLERANCE = {"fp16": 2e-2, "fp32": 1e-3}
BATCHES = (1, 3, 16, 17)

Pair = tuple[EngineSet, EngineSet, float]


@pytest.fixture(
    scope="module", params=[(backend, precision) for backend in MODULES for precision in PRECISIONS]
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """The GPU's engines, self-tested, the CPU's, and the tolerance."""
    backend, precision = request.param
    if lacks := missing(backend):
        pytest.skip("; ".join(lacks))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        with (
            load_engines(backend=f"{backend}:{precision}") as gpu,
            load_engines(backend="onnx") as cpu,
        ):
            yield gpu, cpu, TOLERANCE[precision]


def agree(pair: Pair, name: str, **arrays: Array) -> dict[str, Array]:
    """The CPU's outputs, which those of the GPU are near."""
    gpu, cpu, tolerance = pair
    wanted = cpu.engine(name)(**arrays)
    found = gpu.engine(name)(**arrays)
    for output, value in wanted.items():
        np.testing.assert_allclose(
            found[output], value, atol=tolerance * np.abs(value).max(), err_msg=output
        )
    return wanted


def crops(*shape: int) -> Array:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("batch", BATCHES)
def test_encoder_and_refiner(pair: Pair, batch: int) -> None:
    spec = pair[0].spotter
    features = agree(pair, "encoder", pixels=crops(batch, spec.channels, spec.side, spec.side))[
        "features"
    ]
    agree(pair, "refiner", clips=np.repeat(features[:, :, None], spec.refine_length, 2))


@pytest.mark.parametrize("batch", BATCHES)
def test_recognizer(pair: Pair, batch: int) -> None:
    spec = pair[0].recognizer_spec
    assert spec is not None
    agree(pair, "recognizer", clip=crops(batch, spec.frames, 3, spec.side, spec.side))


@pytest.mark.parametrize("cameras", BATCHES)
def test_the_proposer_on_a_state_of_its_own(pair: Pair, cameras: int) -> None:
    gpu, cpu, tolerance = pair
    spec = gpu.spotter
    features = cpu.encoder(pixels=crops(cameras, spec.channels, spec.side, spec.side))["features"][
        :, :, None
    ]
    states = [np.zeros((cameras, spec.state), np.float32) for _ in range(2)]
    for tick in range(2 * max(spec.windows)):
        arrays = {
            "features": features * np.float32(1 + tick % 3),
            "valid": np.ones((cameras, 1), np.float32),
        }
        found = [
            engines.proposer(**arrays, state=states[which])
            for which, engines in enumerate((gpu, cpu))
        ]
        np.testing.assert_allclose(found[0]["scores"], found[1]["scores"], atol=tolerance)
        states = [out["state_out"].copy() for out in found]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_runner_around_a_fake_of_tensorrt(
    precision: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Streams, copies, CUDA graphs and the tolerances of rung D, with torch's kernels as engine."""
    torch = pytest.importorskip("torch")
    from tests.engines.tensorrt.fake_on_gpu import FakeOnGpu

    for backend in (torch.backends.cudnn, torch.backends.cuda.matmul):
        monkeypatch.setattr(backend, "allow_tf32", False)
    cuda = Cuda()
    graphs = graphs_of(Weights.open(PACKAGED), Cache(tmp_path), precision)
    for name in graphs.names:
        network = copy.deepcopy(graphs._forms[name])
        golden = graphs._golden[name]
        tensors = graphs._tensors[name]
        fake = FakeOnGpu(Fp16Step(network) if precision == "fp16" else network, *tensors)
        monkeypatch.setattr(engine_module, "load_module", lambda _, fake=fake: fake)
        engine = TensorRTEngine(b"", *tensors, "tensorrt", name, cuda)
        for ask in (outputs_of, outputs_one_by_one):
            result = judge(f"D {precision}", name, ask(engine, golden), golden, graphs.spotter)
            with capsys.disabled():
                print(f"\n{name} {precision} {ask.__name__} {result}", end="")
            assert result["passed"], f"{name}: {result}"
        assert engine._records, f"{name} was not recorded as a CUDA graph"
        engine.close()
