"""Pre-training samples of the 2+1D network: short clips of N_pre frames, ME or not [S1 M18-M21]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...networks.mesnet import ClipClassifier
from ..losses import pretrain_loss
from .config import SpotterTraining
from .data import Batch, TrainingClip, collate, encode_frames, span
from .frames import Frames

TRIES = 20  # placements of a negative in one clip before another clip is drawn
MOST_CLIPS = 10_000  # clips tried for one negative
JITTER = 0.1  # of a positive's boundaries, as a share of its length; not from the paper

Losses = dict[str, Tensor]


def pretrain_batch(
    clips: list[TrainingClip], source: Frames, config: SpotterTraining, step: int
) -> tuple[Batch, Tensor, Tensor]:
    """Half MEs that are not doubtful, half windows that touch none [S1 M18].

    Returns the batch, the positions (B N_pre,) of the frames, and labels (B,).
    """
    rng = np.random.default_rng([config.seed, 0, step])
    with_me = [clip for clip in clips if len(clip.sure_ns)]
    segments = []
    current = []
    base = 0
    labels = torch.arange(config.pretrain_clips) % 2
    for label in labels.tolist():
        clip = with_me[rng.integers(len(with_me))]
        onset, offset = clip.sure_ns[rng.integers(len(clip.sure_ns))]
        if label:
            moves = JITTER * (offset - onset) * rng.uniform(-1, 1, 2)
            onset, offset = np.array([onset, offset]) + moves
        else:
            clip, onset, offset = quiet_span(clips, int(offset - onset), config.pretrain_hard, rng)
        segment, nearest = span(clip, config.spec, int(onset), int(offset), config.pretrain_length)
        segments.append(segment)
        current.append(nearest + base)
        base += len(segment.rows)
    batch = collate(segments, source, config.augmentation, rng)
    return batch, torch.from_numpy(np.concatenate(current)), labels


def quiet_span(
    clips: list[TrainingClip], length_ns: int, hard: float, rng: np.random.Generator
) -> tuple[TrainingClip, int, int]:
    """A random clip and a span (onset, offset) in it that touches no ME, sure or not [S1 M7].

    hard: share of spans that lie on another movement. Raises DataError where no clip seems to have
    room.
    """
    for _ in range(MOST_CLIPS):
        clip = clips[rng.integers(len(clips))]
        for _ in range(TRIES):
            low = int(clip.times_ns[0])
            high = int(clip.times_ns[-1]) - length_ns
            if len(clip.other_ns) and rng.random() < hard:
                onset, offset = clip.other_ns[rng.integers(len(clip.other_ns))]
                low = max(low, int(onset) - length_ns // 2)
                high = min(high, int(offset) - length_ns // 2)
            start = low + int(rng.random() * max(high - low, 0))
            stop = start + length_ns
            spans = np.concatenate([clip.micro_ns, clip.doubtful_ns])
            touched = (spans[:, 0] <= stop) & (spans[:, 1] >= start)
            if not touched.any():
                return clip, start, stop
    raise DataError(
        f"{MOST_CLIPS} clips without {length_ns / 1e9:.2f} s beside their MEs: "
        "synthesise longer clips"
    )


def pretrain_losses(
    network: ClipClassifier, batch: Batch, current: Tensor, labels: Tensor, bfloat16: bool
) -> Losses:
    """Cross-entropy of clips of N_pre frames [S1 M19]."""
    features = encode_frames(network.encoder, batch, bfloat16, current)  # (B N_pre, L)
    clips = features.unflatten(0, (len(labels), -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
    return {"clip": pretrain_loss(network(clips), labels)}
