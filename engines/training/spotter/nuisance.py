"""What the nuisance heads learn: at which ticks a blink, speech, gaze, a turn or a macro lasts.

Labels come from the movements of a clip. Where nobody wrote them down, as in real footage, and
while something moves that is no clear case, nothing is learnt. Not from the papers.

Shape letters: K names, T ticks, N ticks of a batch, B segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...clips import to_ticks

Spans = Mapping[str, NDArray[np.int64]]  # onsets and offsets (G, 2) in ns by kind of movement

# Kinds that leave open whether a name is true while they last.
UNSURE = {"speech": ("tongue", "swallow"), "macro": ("slow", "doubtful", "tremor")}
UNKNOWN = -1  # label of a tick that teaches nothing


def spans_by_kind(moves: Sequence[Mapping[str, Any]]) -> Spans:
    """Onsets and offsets (G, 2) in ns of the movements of an index, by their kind."""
    spans: dict[str, list[list[int]]] = {}
    for move in moves:
        spans.setdefault(move["kind"], []).append([move["onset_ns"], move["offset_ns"]])
    return {kind: np.array(found, np.int64) for kind, found in spans.items()}


def reversed_spans(spans: Spans | None, last_ns: int) -> Spans | None:
    """The spans of a clip that ends at `last_ns`, as it is played backward."""
    if spans is None:
        return None
    return {kind: last_ns - found[:, ::-1] for kind, found in spans.items()}


def tick_labels(
    spans: Spans | None, names: Sequence[str], begin_ns: int, pace: float, ticks: range, hz: int
) -> NDArray[np.int8]:
    """(K, T) 1 where a movement of that name covers the tick, 0 where none does, else `UNKNOWN`.

    spans: None where nobody knows what moves. begin_ns: the clip's time of tick 0. pace: how often
    slower the clip is played. ticks: the T ticks that are asked for. hz: ticks in a second.
    """
    if spans is None:
        return np.full((len(names), len(ticks)), UNKNOWN, np.int8)
    labels = np.zeros((len(names), len(ticks)), np.int8)
    for row, name in zip(labels, names, strict=True):
        for kind in UNSURE.get(name, ()):
            row[_covered(spans.get(kind), begin_ns, pace, ticks, hz)] = UNKNOWN
        row[_covered(spans.get(name), begin_ns, pace, ticks, hz)] = 1
    return labels


def _covered(
    spans: NDArray[np.int64] | None, begin_ns: int, pace: float, ticks: range, hz: int
) -> NDArray[np.bool_]:
    """(T,) whether a span covers a tick."""
    at = np.asarray(ticks)
    if spans is None:
        return np.zeros(len(at), bool)
    played = np.rint((spans - begin_ns) * pace).astype(np.int64)
    start, stop = to_ticks(played[:, 0], played[:, 1], 0, hz)
    inside = (at >= start[:, None]) & (at < stop[:, None])
    return np.asarray(inside.any(0), np.bool_)


def nuisance_loss(logits: Tensor, labels: Sequence[NDArray[np.int8]]) -> Tensor:
    """Binary cross-entropy of logits (B, K, N) over the ticks whose label is known; 0 without any.

    labels: (K, T) of each segment, T at most N.
    """
    wanted = np.full(logits.shape, UNKNOWN, np.int8)
    for i, rows in enumerate(labels):
        wanted[i, :, : rows.shape[1]] = rows
    truth = torch.from_numpy(wanted).to(logits.device)
    used = truth != UNKNOWN
    if not bool(used.any()):
        return logits.sum() * 0
    return F.binary_cross_entropy_with_logits(logits[used], truth[used].to(logits.dtype))
