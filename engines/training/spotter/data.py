"""Training clips of the spotter: a set on disk, segments cut from it, batches of captured frames.

Every segment is cut, decimated, lagged and laid on the tick grid by the functions of
engines/clips.py, as in the stream.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...clips import (
    SECOND_NS,
    SNAP_PARTS,
    lag_indices,
    nearest_frames,
    resample_positions,
    thin,
    tick_weights,
    to_ticks,
)
from ...data.faces import SUFFIXES
from ...data.generator.families import USUAL
from ...data.generator.truth import DOUBTFUL, MICRO
from ...errors import DataError
from ...networks.mesnet import SpatialEncoder
from ...specs import SpotterSpec
from ..crops import Crops, Indices, read_sets
from ..half_precision import in_bfloat16
from ..targets import Truths
from .frames import Augmentation, Frames, as_light, augment
from .nuisance import Spans, reversed_spans, spans_by_kind, tick_labels

SPEECH = "speech"
# Frames encoded at a time on a CPU whose cache holds what they need; not from the paper.
ENCODED_AT_ONCE = 128
# Action units of the lower face: amid speech an ME of these alone cannot be told from a syllable.
# Not from the paper.
LOWER_FACE = ("AU10", "AU12", "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26")
LOWER_REGIONS = ("mouth corner", "lips", "chin")


@dataclass(frozen=True, eq=False)
class TrainingClip:
    """One recorded clip: its rows in crops.npy, its capture times and its movements."""

    split: str
    start: int
    times_ns: Indices
    micro_ns: Indices  # (G, 2) onset and offset
    other_ns: Indices  # (H, 2) of every other movement
    # (G,) MEs of the lower face amid speech: neither positive nor negative in training
    doubtful: NDArray[np.bool_]
    # (K, 2) movements of the kind `doubtful`, which are neither either
    doubtful_ns: Indices = field(default_factory=lambda: np.empty((0, 2), np.int64))
    reversible: bool = True  # whether it may be played backward
    families: tuple[str, ...] = ()  # of the G MEs, in their order
    face: str = ""
    moves_ns: Spans | None = None  # every movement by its kind; None where nobody wrote them down

    @property
    def sure_ns(self) -> Indices:
        """Onset and offset (G', 2) of the MEs that are not doubtful."""
        return self.micro_ns[~self.doubtful]


@dataclass(frozen=True, eq=False)
class ClipSet:
    """A set on disk, or several; crops stay there until a segment is read.

    digest: SHA-256 of what the index says of the clips, the same wherever the set lies.
    """

    crops: Crops
    clips: tuple[TrainingClip, ...]
    digest: str = ""

    @classmethod
    def open(cls, folder: Path, spec: SpotterSpec) -> ClipSet:
        """Open a set; DataError where a file is missing or does not fit the spec."""
        crops, entries = read_sets(folder, spec.side)
        try:
            clips = tuple(training_clip(entry) for entry in entries)
        except (KeyError, TypeError) as error:
            raise DataError(f"{folder}: a clip lacks {error}: make the set again") from error
        listed = json.dumps(entries, sort_keys=True)
        return cls(crops, clips, hashlib.sha256(listed.encode()).hexdigest())

    def split(self, name: str) -> list[TrainingClip]:
        """Clips of one split; DataError where there are none."""
        found = [clip for clip in self.clips if clip.split == name]
        if not found:
            raise DataError(f"the set has no {name} clips: synthesise more clips, of more faces")
        return found


def training_clip(entry: dict[str, Any]) -> TrainingClip:
    """A clip from its object in the index. Raises KeyError for what the object lacks."""
    moves = entry["movements"]
    micro_moves = [move for move in moves if move["kind"] == MICRO]
    micro = _spans(micro_moves)
    speech = _spans([move for move in moves if move["kind"] == SPEECH])
    amid = (micro[:, :1] < speech[:, 1]) & (micro[:, 1:] > speech[:, 0])  # (G, bouts and syllables)
    low = [_is_of_lower_face(move) for move in micro_moves]
    return TrainingClip(
        split=entry["split"],
        start=int(entry["start"]),
        times_ns=np.asarray(entry["times_ns"], np.int64),
        micro_ns=micro,
        other_ns=_spans([move for move in moves if move["kind"] not in (MICRO, DOUBTFUL)]),
        doubtful=np.array(low, bool) & amid.any(1),
        doubtful_ns=_spans([move for move in moves if move["kind"] == DOUBTFUL]),
        reversible=entry.get("reversible", True),
        families=tuple(move.get("family", USUAL) for move in micro_moves),
        face=entry["face"],
        moves_ns=spans_by_kind(moves) if _is_labelled(entry) else None,
    )


def _is_labelled(entry: dict[str, Any]) -> bool:
    """Whether the index has all that moves in a clip; early sets do not say it of real footage."""
    drawn = Path(entry["face"]).suffix.lower() in ("", *SUFFIXES)  # the face is an image
    return bool(entry.get("labelled", drawn))


def _spans(moves: list[dict[str, Any]]) -> Indices:
    """Onset and offset of movements, (G, 2) in ns."""
    spans = [[move["onset_ns"], move["offset_ns"]] for move in moves]
    return np.array(spans, np.int64).reshape(-1, 2)


def _is_of_lower_face(move: dict[str, Any]) -> bool:
    if not move["units"]:  # a field whose units are unknown
        return move.get("region") in LOWER_REGIONS
    return all(unit.rstrip("LR") in LOWER_FACE for unit in move["units"])


@dataclass(frozen=True, eq=False)
class Segment:
    """Consecutive frames as the stream would see them: K kept frames, T ticks, G truths in ticks.

    The first frames may lie before the first tick: the lags of later ones reach there.
    """

    rows: Indices  # (K,) in crops.npy
    lags: Indices  # (K, D) positions among the K
    weights: NDArray[np.float32]  # (T, K)
    truths: Truths
    # (names of the spec, T) labels of the nuisance heads
    nuisances: NDArray[np.int8] = field(default_factory=lambda: np.empty((0, 0), np.int8))

    @property
    def used(self) -> Indices:
        """Positions of the frames that a tick is made of."""
        return np.flatnonzero(self.weights.any(0))


def cut(
    clip: TrainingClip,
    spec: SpotterSpec,
    first: int = 0,
    ticks: int | None = None,
    pace: float = 1.0,
) -> Segment:
    """The segment of at most `ticks` ticks that begins at frame `first`.

    The frames before it that the lags reach are part of it, without ticks. `pace` > 1 slows
    everything down.
    """
    reach = clip.times_ns[first] - max(spec.lags_ns, default=0) / pace
    begin = int(np.searchsorted(clip.times_ns, reach))
    times = np.rint((clip.times_ns[begin:] - clip.times_ns[begin]) * pace).astype(np.int64)
    before = round(int(times[first - begin]) * spec.grid_hz / SECOND_NS)  # ticks
    if ticks is not None:
        last = before + ticks - 1
        times = times[SNAP_PARTS * times * spec.grid_hz <= (SNAP_PARTS * last + 1) * SECOND_NS]
    kept = thin(times, spec.grid_hz)
    times = times[kept]
    spans = np.concatenate([clip.micro_ns, clip.doubtful_ns])
    spans = np.rint((spans - clip.times_ns[begin]) * pace).astype(np.int64)
    doubtful = np.concatenate([clip.doubtful, np.ones(len(clip.doubtful_ns), bool)])
    onset, offset = (at - before for at in to_ticks(spans[:, 0], spans[:, 1], 0, spec.grid_hz))
    weights = tick_weights(times, spec.grid_hz)[before:]
    truths = Truths(onset, offset, doubtful)[(offset > 0) & (onset < len(weights))]
    lags = lag_indices(times, spec.lags_ns)
    shown = range(before, before + len(weights))
    begin_ns = int(clip.times_ns[begin])
    nuisances = tick_labels(clip.moves_ns, spec.nuisance, begin_ns, pace, shown, spec.grid_hz)
    return Segment(clip.start + begin + kept, lags, weights, truths, nuisances)


def draw(
    clip: TrainingClip,
    spec: SpotterSpec,
    ticks: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Segment:
    """A random segment of at most `ticks` ticks at a random pace, forward or backward."""
    pace = 1 + augmentation.stretch_time * rng.uniform(-1, 1)
    length = ticks * SECOND_NS / spec.grid_hz / pace
    backward = rng.random() < augmentation.backward and clip.reversible
    clip = reversed_clip(clip) if backward else clip
    late = np.flatnonzero(clip.times_ns <= clip.times_ns[-1] - length)
    first = int(rng.integers(len(late))) if len(late) else 0
    segment = cut(clip, spec, first, ticks, pace)
    if not backward:
        return segment
    return replace(segment, rows=2 * clip.start + len(clip.times_ns) - 1 - segment.rows)


def reversed_clip(clip: TrainingClip) -> TrainingClip:
    """The clip played backward, as if its last row were its first."""
    last = clip.times_ns[-1]
    # the order of the MEs stays, and with it that of `doubtful`
    return replace(
        clip,
        times_ns=last - clip.times_ns[::-1],
        micro_ns=last - clip.micro_ns[:, ::-1],
        other_ns=last - clip.other_ns[:, ::-1],
        doubtful_ns=last - clip.doubtful_ns[:, ::-1],
        moves_ns=reversed_spans(clip.moves_ns, int(last)),
    )


@dataclass(frozen=True, eq=False)
class Batch:
    """Frames of several segments one after another.

    pixels (F, 3, S, S) uint8, or grey (F, H, H) from 0 to 1, lags (F, D) into F, current (C,): the
    frames that ticks are made of.
    """

    pixels: Tensor
    lags: Tensor
    current: Tensor
    segments: tuple[Segment, ...]

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on `device`."""
        return Batch(
            self.pixels.to(device), self.lags.to(device), self.current.to(device), self.segments
        )


def collate(
    segments: list[Segment],
    source: Frames,
    augmentation: Augmentation | None,
    rng: np.random.Generator,
) -> Batch:
    """Read the frames of `segments` into a batch, each segment augmented on its own.

    augmentation: None for none.
    """
    pixels = []
    lags = []
    current = []
    base = 0
    for segment in segments:
        frames: NDArray[Any] = source[segment.rows]
        if augmentation is not None:
            frames = augment(frames, augmentation, rng)
        elif frames.dtype == np.uint16:
            frames = as_light(frames)
        pixels.append(frames)
        lags.append(segment.lags + base)
        current.append(segment.used + base)
        base += len(segment.rows)
    return Batch(
        pixels=torch.from_numpy(np.concatenate(pixels)),
        lags=torch.from_numpy(np.concatenate(lags)),
        current=torch.from_numpy(np.concatenate(current)),
        segments=tuple(segments),
    )


def encode_frames(encoder: SpatialEncoder, batch: Batch, bfloat16: bool, current: Tensor) -> Tensor:
    """Features (C, L) of the frames `current` (C,) of the batch, with their lags."""
    with torch.no_grad():
        inputs = encoder.inputs_of(batch.pixels, current, batch.lags[current])
    # norms that learn need all frames at once
    whole = encoder.training or inputs.device.type != "cpu"
    size = len(inputs) if whole else ENCODED_AT_ONCE
    with in_bfloat16(inputs.device.type, bfloat16):
        features = torch.cat([encoder.features(part) for part in torch.split(inputs, size)])
    return features.float()


def tick_features(features: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Features (C, L) of `batch.current` to tick features (B, L, N) and their validity (B, N).

    N is the length of the longest segment.
    """
    longest = max(len(segment.weights) for segment in batch.segments)
    rows = []
    valid = torch.zeros(len(batch.segments), longest, device=features.device)
    parts = torch.split(features, [len(segment.used) for segment in batch.segments])
    for i, (segment, part) in enumerate(zip(batch.segments, parts, strict=True)):
        ticks = torch.from_numpy(segment.weights[:, segment.used]).to(part.device) @ part  # (T, L)
        rows.append(torch.nn.functional.pad(ticks, (0, 0, 0, longest - len(ticks))))
        valid[i, : len(ticks)] = 1
    return torch.stack(rows).transpose(1, 2), valid


def span(
    clip: TrainingClip, spec: SpotterSpec, onset_ns: int, offset_ns: int, length: int
) -> tuple[Segment, Indices]:
    """The `length` frames nearest to even times from onset to offset [S1 M21].

    Returns a segment without ticks, which has the frames that their lags need too, and the
    positions (length,) in it.
    """
    early = onset_ns - max(spec.lags_ns, default=0)
    inside = np.flatnonzero((clip.times_ns >= early) & (clip.times_ns <= offset_ns))
    inside = inside[thin(clip.times_ns[inside], spec.grid_hz)]
    times = clip.times_ns[inside]
    nearest = nearest_frames(times, np.linspace(onset_ns, offset_ns, length))
    nothing = np.empty((0, len(inside)), np.float32)
    lags = lag_indices(times, spec.lags_ns)
    return Segment(clip.start + inside, lags, nothing, Truths.of([], [])), nearest


def resample_batch(
    features: Tensor, row: Tensor, start: Tensor, stop: Tensor, length: int
) -> Tensor:
    """`clips.resample` with gradients.

    features (B, L, N); row, start, stop (P,): segment and interval of each clip. Returns clips
    (P, L, length).
    """
    left, share = resample_positions(start.cpu().numpy(), stop.cpu().numpy(), length)
    last = features.shape[2] - 1
    mixing = features.new_zeros(*left.shape, last + 1)  # (P, length, N)
    for columns, weights in ((left, 1 - share), (left + 1, share)):
        at = torch.from_numpy(columns).to(features.device).clamp(0, last)
        mixing.scatter_add_(2, at[..., None], torch.from_numpy(weights).to(features)[..., None])
    clips = features.new_empty(len(row), features.shape[1], length)
    for i in range(len(features)):
        # one product for all clips of a segment: gradients need no gathering
        mine = torch.nonzero(row == i)[:, 0]
        mixed = mixing[mine].flatten(0, 1) @ features[i].T  # (P' length, L)
        clips[mine] = mixed.view(len(mine), length, len(features[i])).transpose(1, 2)
    return clips
