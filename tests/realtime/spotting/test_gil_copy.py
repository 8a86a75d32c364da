"""Copies that keep the interpreter's lock equal numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.realtime.spotting.gil_copy import concatenate


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_parts_are_joined_as_numpy_joins_them(dtype: type) -> None:
    whole = np.arange(2 * 7 * 4 * 3).reshape(14, 4, 3).astype(dtype)
    for parts in (
        [whole[:3], whole[3:4], whole[4:]],
        [whole[::2], whole[1::2]],
        [whole[:0], whole],
        [whole[:0]],
    ):
        found = concatenate(parts)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, np.concatenate(parts))
        assert not np.shares_memory(found, whole)


def test_parts_are_joined_in_place() -> None:
    out = np.zeros((3, 4, 2), np.uint8)
    parts = [np.full((1, 2), 5, np.uint8), np.full((3, 2), 6, np.uint8)]
    assert concatenate(parts, out=out[1]).base is out
    assert out[1, :, 0].tolist() == [5, 6, 6, 6]
    assert not out[[0, 2]].any()


@pytest.mark.parametrize(
    "odd", [np.ones((2, 3)), np.ones((2, 4), np.float32), np.ones((1, 3), np.float32)]
)
def test_parts_that_do_not_fit_are_refused(odd: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cannot join"):
        concatenate([np.ones((2, 3), np.float32), odd], out=np.empty((4, 3), np.float32))
