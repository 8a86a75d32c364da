"""Copies of arrays that keep the interpreter's lock (GIL).

numpy releases the lock for every copy of more than a few hundred values. With a thread per camera,
getting it back takes longer than the copy itself: the loop that serves all cameras would wait most
of its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def concatenate(parts: Sequence[NDArray[Any]], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """`np.concatenate(parts, out=out)` along axis 0, with `out` contiguous.

    Raises ValueError where the parts do not fit together or into `out`.
    """
    total = sum(len(part) for part in parts)
    if out is None:
        out = np.empty((total, *parts[0].shape[1:]), parts[0].dtype)
    fit = all(part.dtype == out.dtype and part.shape[1:] == out.shape[1:] for part in parts)
    if not fit or len(out) != total:
        given = [f"{part.dtype}{list(part.shape)}" for part in parts]
        raise ValueError(f"cannot join {given} as {out.dtype}{list(out.shape)}")
    if not out.size:
        return out
    target = out.data.cast("B")
    at = 0
    for part in parts:
        if part.size:
            data = np.ascontiguousarray(part).data.cast("B")
            target[at : at + len(data)] = data
            at += len(data)
    return out
