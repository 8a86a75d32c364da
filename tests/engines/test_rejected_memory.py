"""Which events a memory suppresses, and what its file refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microspot.engines.errors import DataError, EngineError
from microspot.engines.intervals import Intervals
from microspot.engines.rejected_memory import (
    RADIUS,
    Memory,
    event_vector,
    load_vectors,
    read_memory,
    save_vectors,
    to_bytes,
)

NOTHING = np.empty((0, 2), np.float32)


def at(degrees: float) -> np.ndarray:
    """A vector of length 1."""
    angle = np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


@pytest.mark.parametrize(
    ("rejected", "accepted", "event", "suppressed", "why"),
    [
        ([0], [], 20, True, "near a rejected one"),
        ([0, 90], [], 70, True, "near one of several"),
        ([0], [], 60, False, "farther than RADIUS"),
        ([0], [40], 15, True, "nearer to the rejected one"),
        ([0], [40], 25, False, "nearer to the accepted one"),
        ([0], [0], 0, False, "like both"),
        ([], [0], 0, False, "nothing is rejected"),
    ],
)
def test_the_nearest_one_decides(
    rejected: list[float], accepted: list[float], event: float, suppressed: bool, why: str
) -> None:
    memory = Memory(
        np.array([at(each) for each in rejected]).reshape(-1, 2).astype(np.float32),
        np.array([at(each) for each in accepted]).reshape(-1, 2).astype(np.float32),
        "x",
    )
    assert 2 * np.sin(np.radians(20 / 2)) < RADIUS < 2 * np.sin(np.radians(60 / 2))
    assert memory.suppresses(at(event)) is suppressed, why


def test_a_vector_says_what_moved_and_not_how_far() -> None:
    features = np.array([[0, 3, 1], [4, 0, 0]], np.float32)
    np.testing.assert_allclose(event_vector(features), [0.6, 0.8])
    np.testing.assert_allclose(event_vector(7 * features), [0.6, 0.8], rtol=1e-6)
    assert np.isfinite(event_vector(0 * features)).all()


def test_intervals_are_judged_by_their_own_ticks() -> None:
    features = np.zeros((2, 30), np.float32)
    features[0, 5:9] = 1  # what was rejected
    features[1, 15:20] = 1
    features[0, 26:] = 1
    memory = Memory(at(0)[None], NOTHING, "x")
    found = Intervals.of([4.6, 15.2, 25.8], [9.4, 19.7, 31.0], [0.9, 0.8, 0.7])
    assert memory.without(found, features).start.tolist() == [15.2]


def test_a_file_is_read_back_and_others_are_refused(tmp_path: Path) -> None:
    memory = Memory(np.array([at(10), at(20)]), NOTHING, "digest of weights")
    file = tmp_path / "memory.safetensors"
    file.write_bytes(to_bytes(memory))
    again = read_memory(file, "digest of weights", 2)
    np.testing.assert_array_equal(again.rejected, memory.rejected)
    assert again.accepted.shape == (0, 2)
    with pytest.raises(DataError, match="its vectors have 2 numbers, not the weights' 512"):
        read_memory(file, "digest of weights", 512)
    assert {to_bytes(memory) for _ in range(20)} == {file.read_bytes()}
    with pytest.raises(EngineError, match="weights digest of we spotted, but these are other"):
        read_memory(file, "other", 2)
    file.write_bytes(save_vectors({"e1": at(0)}, "d"))
    assert list(load_vectors(file)[0]) == ["e1"]
    with pytest.raises(DataError, match="its vectors are missing"):
        read_memory(file, "d", 2)
    file.write_bytes(save_vectors({"rejected": at(0)[None], "accepted": np.empty((0, 3))}, "d"))
    with pytest.raises(DataError, match="not of finite float32"):
        read_memory(file, "d", 2)
    wide = np.empty((0, 3), np.float32)
    file.write_bytes(save_vectors({"rejected": at(0)[None], "accepted": wide}, "d"))
    with pytest.raises(DataError, match="differ in length"):
        read_memory(file, "d", 2)
    file.write_bytes(save_vectors({"e1": at(0) * np.nan}, "d"))
    with pytest.raises(DataError, match="finite"):
        load_vectors(file)
    file.write_bytes(b"{}")
    with pytest.raises(DataError, match="is no memory of events"):
        read_memory(file, "d", 2)
    with pytest.raises(DataError, match="No such file"):
        read_memory(tmp_path / "none", "d", 2)
