"""Recording on a fake of torch's CUDA: what is left where a recording fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from microspot.engines.errors import EngineError
from microspot.engines.tensorrt.cuda import Cuda


class FakeCapture:
    """torch.cuda.CUDAGraph; a launch that CUDA cannot record sets `spoiled`, and the end raises."""

    spoiled = False

    def capture_begin(self, **options: object) -> None:
        pass

    def capture_end(self) -> None:
        if FakeCapture.spoiled:
            raise RuntimeError(
                "CUDA error: operation failed due to a previous error during capture\nSearch for it"
            )

    def replay(self) -> None:
        pass


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The current streams, the innermost last."""
    current = ["default"]

    @contextmanager
    def stream(name: str) -> Iterator[None]:
        current.append(name)
        try:
            yield
        finally:
            current.pop()

    fakes = {
        "is_available": lambda: True,
        "Stream": lambda: "ours",
        "stream": stream,
        "synchronize": lambda: None,
    }
    for name, fake in (fakes | {"CUDAGraph": FakeCapture, "empty_cache": lambda: None}).items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(FakeCapture, "spoiled", False)
    return current


def test_a_recording_happens_on_our_stream(streams: list[str]) -> None:
    seen: list[str] = []
    replay = Cuda().record(lambda: seen.append(streams[-1]))
    replay()
    assert (seen, streams) == (["ours"], ["default"])


@pytest.mark.parametrize("says", ["launch and end", "end"])
def test_a_recording_that_fails_is_our_error_and_leaves_the_stream(
    streams: list[str], says: str
) -> None:
    def launch() -> None:
        FakeCapture.spoiled = True
        if says == "launch and end":
            raise EngineError("running it failed")

    with pytest.raises(
        EngineError, match=r"^CUDA cannot record it \(CUDA error: .* during capture\)$"
    ):
        Cuda().record(launch)
    assert streams == ["default"]


def test_a_stream_that_cannot_be_made_is_our_error(
    monkeypatch: pytest.MonkeyPatch, streams: list[str]
) -> None:
    def full() -> SimpleNamespace:
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later")

    monkeypatch.setattr(torch.cuda, "Stream", full)
    with pytest.raises(
        EngineError,
        match=r"^torch fails on the GPU \(CUDA error: out of memory\): use --backend onnx$",
    ):
        Cuda()
