"""What an engine needs of CUDA, through torch: GPU tensors, pinned memory, stream, CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import EngineError, install

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def as_engine_error(what: str) -> Iterator[None]:
    """Raise what torch and TensorRT raise inside (full memory, old driver) as an EngineError."""
    try:
        yield
    # pybind11 gives a TypeError where TensorRT cannot make an object
    except (RuntimeError, TypeError) as error:
        raise EngineError(
            f"{what} fails on the GPU ({_first_line(error)}): use --backend onnx"
        ) from error


class Cuda:
    """One stream of the first GPU (CUDA_VISIBLE_DEVICES chooses).

    Raises EngineError where torch has no CUDA.
    """

    def __init__(self) -> None:
        try:
            import torch
        except (ImportError, OSError) as error:
            raise EngineError(
                f"TensorRT engines run on torch's memory: {install('rtx')} ({error})"
            ) from error
        if not torch.cuda.is_available():
            raise EngineError(
                f"torch {torch.__version__} sees no CUDA: "
                "take the CUDA build (pytorch.org/get-started)"
            )
        self._torch = torch
        with as_engine_error("torch"):
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    @property
    def handle(self) -> int:
        """The stream as TensorRT takes it."""
        return int(self._stream.cuda_stream)

    def on_gpu(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Zeros on the GPU."""
        zeros = self._torch.zeros(shape, dtype=getattr(self._torch, dtype), device="cuda")
        self._torch.cuda.synchronize()  # zeroed on the default stream, used on ours
        return zeros

    def pinned(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Zeros in host memory that the GPU can copy while the CPU goes on."""
        return self._torch.zeros(shape, dtype=getattr(self._torch, dtype)).pin_memory()

    def copy(self, to: Tensor, source: Tensor) -> None:
        """Enqueue a copy; both must live, unchanged, until `wait`."""
        with self._torch.cuda.stream(self._stream):
            to.copy_(source, non_blocking=True)

    def wait(self) -> None:
        """Wait until all that was enqueued is done."""
        self._stream.synchronize()

    def record(self, launch: Callable[[], None]) -> Callable[[], None]:
        """Record what `launch` enqueues as a CUDA graph; calling the result enqueues it again.

        Raises EngineError where CUDA cannot record it, as may be with loops inside; the stream is
        then as it was.
        """
        graph = self._torch.cuda.CUDAGraph()
        self._torch.cuda.synchronize()
        try:
            # not torch.cuda.graph: it leaves its stream the current one where recording fails
            with self._torch.cuda.stream(self._stream):
                graph.capture_begin()
                try:
                    launch()
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            raise EngineError(f"CUDA cannot record it ({_first_line(error)})") from error

        def replay() -> None:
            with self._torch.cuda.stream(self._stream):
                graph.replay()

        return replay


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
