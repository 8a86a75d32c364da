"""Rung D: engines on a real NVIDIA GPU against the networks as trained. `pytest -m gpu`; never run so far."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.runtime.builder import MODULES, PRECISIONS
from engines.runtime.cache import VARIABLE
from engines.runtime.nvidia import find_gpu
from engines.runtime.select import load_engines
from engines.runtime.tensorrt_set import missing

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(isinstance(find_gpu(), str), reason=f"rung D: {find_gpu()}"),
    pytest.mark.timeout(1200),
]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", MODULES)
def test_a_gpu_gives_what_the_cpu_gives(
    backend: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacks := missing(backend):
        pytest.skip("; ".join(lacks))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with load_engines(backend=f"{backend}:{precision}") as gpu, load_engines(backend="onnx") as cpu:  # self-tests
        random = np.random.default_rng(1)
        spec, tolerance = gpu.spotter, {"fp16": 2e-2, "fp32": 1e-3}[precision]
        for batch in (1, 3, 16, 17):
            pixels = random.integers(0, 256, (batch, spec.channels, spec.side, spec.side), np.uint8)
            features = cpu.encoder(pixels=pixels)["features"]
            np.testing.assert_allclose(
                gpu.encoder(pixels=pixels)["features"], features, atol=tolerance * features.max()
            )
        states = [np.zeros((1, spec.state), np.float32) for _ in range(2)]
        valid = np.ones((1, 1), np.float32)
        for row in features:
            both = []
            for which, engines in enumerate((gpu, cpu)):
                out = engines.proposer(features=row[None, :, None], valid=valid, state=states[which])
                states[which] = out["state_out"].copy()
                both.append(out["scores"].copy())
            np.testing.assert_allclose(*both, atol=tolerance)
