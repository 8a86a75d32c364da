"""The driver probe on a fake driver library."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest

from microspot.engines.tensorrt.gpu import NVML, Gpu, find_gpu


class FakeDriver:
    """libcuda and NVML as far as the probe asks; `fails` names the call that gives an error."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails

    def __getattr__(self, function: str) -> Any:
        def call(*arguments: Any) -> int:
            if function == self.fails:
                return 100
            if function == "cuDeviceGetName":
                arguments[0].value = b"NVIDIA Fake 4090"
            elif function == "nvmlSystemGetDriverVersion":
                arguments[0].value = b"570.86.15"
            elif arguments and function != "cuInit":
                value = {"cuDriverGetVersion": 12080, "cuDeviceGet": 0}.get(function)
                arguments[0]._obj.value = {75: 8, 76: 9}[arguments[1]] if value is None else value
            return 0

        return call


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    find_gpu.cache_clear()
    yield
    find_gpu.cache_clear()


def test_a_gpu_is_described_with_the_drivers_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver())
    assert find_gpu() == Gpu("NVIDIA Fake 4090", 89, "CUDA 12.8, 570.86.15")


@pytest.mark.parametrize("absent", ["library", "version"])
def test_a_gpu_needs_no_nvml(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    def load(name: str) -> FakeDriver:
        if name == NVML and absent == "library":
            raise OSError(f"{name}: cannot open shared object file")
        return FakeDriver("nvmlSystemGetDriverVersion")

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert find_gpu() == Gpu("NVIDIA Fake 4090", 89, "CUDA 12.8")


@pytest.mark.parametrize("call", ["cuInit", "cuDeviceGet", "cuDeviceGetAttribute"])
def test_a_driver_without_a_gpu_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(call))
    assert find_gpu() == f"NVIDIA driver without a usable GPU ({call} gives error 100)"


def test_no_library_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert find_gpu() == "no NVIDIA driver"
