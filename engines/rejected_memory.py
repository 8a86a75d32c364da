"""A memory of events that a person rejected: what resembles one of them is no event again.

An event is remembered by the highest value of each of the spotter's features over its interval,
brought to length 1: what moved, whatever its size. A new one is suppressed where the
nearest rejected event is within RADIUS and nearer than every accepted one, which are the
counterweight. Nothing is trained. Not from the papers.

A memory is a safetensors file: `rejected` (R, E) and `accepted` (A, E) float32, and the digest of
the weights, since other weights have other features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, EngineError
from .intervals import Intervals, rounded

# Farthest that a rejected event may be, as the distance of two vectors of length 1: 0 for equal
# ones, sqrt(2) for such as share nothing. The largest of 0.5 to 0.8 at which ten validation people
# lost at most two in a hundred MEs, at the weights' thresholds and a logit below.
RADIUS = 0.7
LEAST_LENGTH = 1e-9  # that a vector is divided by
FORMAT = "microspot rejected events 1"
VECTORS = ("rejected", "accepted")

Vector = NDArray[np.float32]  # (E,), of length 1
Vectors = NDArray[np.float32]  # (N, E)


def event_vector(features: NDArray[np.float32]) -> Vector:
    """What an event is remembered by, (E,); features (L, n) of the ticks of its interval."""
    highest = features.max(1)
    return np.asarray(highest / max(float(np.linalg.norm(highest)), LEAST_LENGTH), np.float32)


def ticks_of(start: float, stop: float, ticks: int) -> tuple[int, int]:
    """The ticks [first, last) of an interval, at least one, within 0 to `ticks`."""
    first = min(max(rounded(start), 0), ticks - 1)
    return first, min(max(rounded(stop), first + 1), ticks)


@dataclass(frozen=True, eq=False)
class Memory:
    """Events that a person judged: rejected (R, E), accepted (A, E); digest: of the weights."""

    rejected: Vectors
    accepted: Vectors
    digest: str

    def suppresses(self, vector: Vector, radius: float = RADIUS) -> bool:
        """Whether an event resembles a rejected one, and more than every accepted one."""
        near = _distance(self.rejected, vector)
        return near <= radius and near < _distance(self.accepted, vector)

    def without(
        self, found: Intervals, features: NDArray[np.float32], radius: float = RADIUS
    ) -> Intervals:
        """Those of `found` that are not suppressed; features (L, T) of their segment."""
        kept = []
        for start, stop in zip(found.start, found.stop, strict=True):
            first, last = ticks_of(start, stop, features.shape[1])
            kept.append(not self.suppresses(event_vector(features[:, first:last]), radius))
        return found[np.array(kept, bool)]


def _distance(vectors: Vectors, vector: Vector) -> float:
    """From a vector to the nearest of some; infinite where there are none."""
    return float(np.linalg.norm(vectors - vector, axis=1).min(initial=np.inf))


def to_bytes(memory: Memory) -> bytes:
    """The content of a memory's file."""
    return save_vectors({name: getattr(memory, name) for name in VECTORS}, memory.digest)


def read_memory(path: Path, digest: str, length: int) -> Memory:
    """The memory in a file, for weights with this digest and `length` features.

    Raises DataError where it cannot be read, EngineError where it is of other weights.
    """
    found, made_with = load_vectors(path)
    if set(found) != set(VECTORS) or any(each.ndim != 2 for each in found.values()):
        raise _no_memory(path, "its vectors are missing")
    if made_with != digest:
        raise EngineError(
            f"{path}: of events that weights {made_with[:12]} spotted, but these are "
            f"{digest[:12]}; analyse and review with these weights"
        )
    memory = Memory(found["rejected"], found["accepted"], digest)
    if memory.rejected.shape[1] != memory.accepted.shape[1]:
        raise _no_memory(path, "rejected and accepted events differ in length")
    if memory.rejected.shape[1] != length:
        raise _no_memory(
            path, f"its vectors have {memory.rejected.shape[1]} numbers, not the weights' {length}"
        )
    return memory


def save_vectors(vectors: Mapping[str, NDArray[np.float32]], digest: str) -> bytes:
    """A safetensors file of vectors by name, and of the digest of their weights."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(vector) for name, vector in vectors.items()}
    return bytes(save(arrays, {FORMAT: digest}))  # several keys would come in any order


def load_vectors(path: Path) -> tuple[dict[str, NDArray[np.float32]], str]:
    """What `save_vectors` wrote into a file. Raises DataError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            said = file.metadata() or {}
            if FORMAT not in said:
                raise _no_memory(path, "it is of another program or version")
            names = list(file.keys())
            found = {name: np.asarray(file.get_tensor(name)) for name in names}
    except (OSError, SafetensorError) as error:
        raise _no_memory(path, str(error)) from error
    if any(each.dtype != np.float32 or not np.isfinite(each).all() for each in found.values()):
        raise _no_memory(path, "a vector is not of finite float32")
    return found, said[FORMAT]


def _no_memory(path: Path, why: str) -> DataError:
    return DataError(f"{path} is no memory of events ({why}); make it: microspot review --memory")
