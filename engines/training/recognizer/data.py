"""What CMNet learns from: the configuration, the MEs of a synthesised set, and batches of them.

Each ME is sampled as the stream will sample it: N captured crops nearest to even positions on an
interval whose ends are as inexact as the spotter's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...clips import SECOND_NS, nearest_frames, thin
from ...errors import DataError, UsageError
from ...specs import SpotterSpec
from ...text.documents import DocumentError, read_toml
from ...units.truth import NOTHING_KNOWN, Moved, moved_in
from ..crops import Crops, read_sets
from .movement import MovedBatch, moved_batch

DEFAULTS = Path(__file__).with_name("recognizer.toml")
HEADS = ("3", "5")  # one per label set
# The three losses of [S2 C28], and that of the heads that say what moved.
PARTS = ("classes", "distillation", "tendency", "movement")
# What may be done to a positive, in this order; each has its range under its own name.
AUGMENTATIONS = ("shift", "blur", "brightness", "contrast", "gamma", "noise", "codec")
TRAIN = "train"
VALIDATION = "validation"


@dataclass(frozen=True)
class RecognizerConfig:
    """Every number of the training; `recognizer.toml` is its only home and says what each means."""

    data: str
    out: str
    frames: int
    side: int
    labels3: tuple[str, ...]
    labels5: tuple[str, ...]
    magnify: bool
    texture: str
    energy_floor: float
    units: tuple[str, ...]
    regions: tuple[str, ...]
    even_units: bool
    seed: int
    epochs: int
    batch: int
    rate: float
    warmup: int
    decay: float
    clip_gradient: float
    threads: int
    device: str
    bfloat16: bool
    validate_epochs: int
    checkpoint_minutes: float
    jitter: float
    flip: float
    coefficients: dict[str, float]
    tau: float
    strategy: str
    temperature: float
    positives: float
    eps: float
    draws: int
    delta: float
    kappa: tuple[float, float]
    scope: str
    form: str
    augmentations: tuple[str, ...]
    augmentation_probability: float
    blur: tuple[float, float]
    brightness: tuple[float, float]
    contrast: tuple[float, float]
    gamma: tuple[float, float]
    noise: tuple[float, float]
    codec: tuple[float, float]
    shift: tuple[float, float]

    @classmethod
    def read(
        cls, data: Path | str, out: Path | str, file: Path | None = None, **changes: Any
    ) -> Self:
        """The defaults, then `file` (TOML), then `changes`.

        Raises UsageError for a file that cannot be read and a key that does not exist.
        """
        values: dict[str, Any] = {"data": str(data), "out": str(out)}
        for source in (DEFAULTS, file):
            try:
                values |= read_toml(source) if source else {}
            except DocumentError as error:
                raise UsageError(
                    f"{source}: {error}; see {DEFAULTS.name} for the known keys"
                ) from error
        values |= changes
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise UsageError(
                f"recognizer configuration has no {', '.join(unknown)}: see {DEFAULTS.name}"
            )
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return cls(**values)

    def __post_init__(self) -> None:
        if (len(self.labels3), len(self.labels5)) != (3, 5):
            raise UsageError(
                "label sets: expected 3 and 5 names, "
                f"got {len(self.labels3)} and {len(self.labels5)}"
            )
        if set(self.coefficients) != set(PARTS):
            raise UsageError(
                f"coefficients: expected {', '.join(PARTS)}, got {', '.join(self.coefficients)}"
            )
        if bool(self.units) != bool(self.regions):
            raise UsageError("units and regions: expected both or neither")
        unknown = sorted(set(self.augmentations) - set(AUGMENTATIONS))
        if unknown:
            raise UsageError(
                f"augmentations: expected of {', '.join(AUGMENTATIONS)}, got {', '.join(unknown)}"
            )


# ---- data


@dataclass(frozen=True, eq=False)
class Sample:
    """One ME.

    start, times_ns: row of its clip in the crops, and capture times of the clip. label3, label5:
    its class in each label set, -1 where it has none. levels: its course as the set knows it
    (`data.generator.truth`), () where it does not. moved: what the set knows of its movement.
    """

    start: int
    times_ns: NDArray[np.int64]
    onset_ns: int
    apex_ns: int
    offset_ns: int
    label3: int
    label5: int
    levels: tuple[float, ...] = ()
    moved: Moved = NOTHING_KNOWN


def read_samples(config: RecognizerConfig) -> tuple[Crops, dict[str, list[Sample]]]:
    """The crops of the set and its micro movements by split.

    Raises DataError where the set is unfit or lacks one.
    """
    folder = Path(config.data)
    crops, clips = read_sets(folder, config.side)
    samples: dict[str, list[Sample]] = {TRAIN: [], VALIDATION: []}
    try:
        for clip in clips:
            if clip["split"] in samples:
                samples[clip["split"]] += _samples(clip, config)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder}: the index cannot be used ({error!r}); synthesize the set again"
        ) from error
    for split, found in samples.items():
        if not found:
            raise DataError(
                f"{folder} has no micro movement in split {split!r}; synthesize a larger set"
            )
    return crops, samples


def _samples(clip: dict[str, Any], config: RecognizerConfig) -> Iterator[Sample]:
    """The MEs of a clip, from its object in the index."""
    times = np.asarray(clip["times_ns"], np.int64)
    for move in clip["movements"]:
        if move["kind"] == "micro":
            yield Sample(
                start=clip["start"],
                times_ns=times,
                onset_ns=move["onset_ns"],
                apex_ns=move["apex_ns"],
                offset_ns=move["offset_ns"],
                label3=_class_of(move.get("label3"), config.labels3),
                label5=_class_of(move.get("label5"), config.labels5),
                levels=tuple(move.get("levels", ())),
                moved=moved_in(move),
            )


def _class_of(label: str | None, names: tuple[str, ...]) -> int:
    return -1 if label is None else names.index(label)


def clip_frames(
    times_ns: NDArray[np.int64], start_ns: float, stop_ns: float, frames: int
) -> NDArray[np.int64]:
    """Indices (N,) of the frames nearest to even positions on an interval.

    Only frames that the stream would use are taken: at most one per tick.
    """
    kept = thin(times_ns, SpotterSpec.grid_hz)
    return kept[nearest_frames(times_ns[kept], np.linspace(start_ns, stop_ns, frames))]


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips with their truth.

    clips (B, N, 3, S, S) uint8, indices (B, N): source frame of each position, times (B, N): when
    it was taken, in s since the true onset; apex, offset (B,): true ones in s since the true onset;
    labels (B,) by head; moved: what moved, None where the network has no heads for it.
    """

    clips: Tensor
    indices: Tensor
    times: Tensor
    apex: Tensor
    offset: Tensor
    labels: dict[str, Tensor]
    moved: MovedBatch | None = None


def make_batch(crops: Crops, samples: list[Sample], config: RecognizerConfig, seed: int) -> Batch:
    """Sample clips on jittered intervals, mirrored at random; equal seeds give equal batches."""
    random = np.random.default_rng(seed)
    clips = []
    indices = []
    times = []
    mirrored = []
    for sample in samples:
        length = sample.offset_ns - sample.onset_ns
        first, last = random.uniform(-config.jitter, config.jitter, 2) * length
        start = max(sample.onset_ns + first, float(sample.times_ns[0]))
        stop = min(sample.offset_ns + last, float(sample.times_ns[-1]))
        chosen = clip_frames(sample.times_ns, start, stop, config.frames)
        clip = crops[sample.start + chosen]  # (N, 3, S, S)
        mirrored.append(bool(random.random() < config.flip))
        clips.append(clip[..., ::-1] if mirrored[-1] else clip)
        indices.append(chosen)
        times.append((sample.times_ns[chosen] - sample.onset_ns) / SECOND_NS)
    apexes = [(sample.apex_ns - sample.onset_ns) / SECOND_NS for sample in samples]
    offsets = [(sample.offset_ns - sample.onset_ns) / SECOND_NS for sample in samples]
    truths = [sample.moved for sample in samples]
    labels = {"3": [s.label3 for s in samples], "5": [s.label5 for s in samples]}
    return Batch(
        clips=torch.from_numpy(np.stack(clips)).to(config.device),
        indices=torch.from_numpy(np.stack(indices)).to(config.device),
        times=torch.tensor(np.stack(times), dtype=torch.float32, device=config.device),
        apex=torch.tensor(apexes, dtype=torch.float32, device=config.device),
        offset=torch.tensor(offsets, dtype=torch.float32, device=config.device),
        labels={name: torch.tensor(v, device=config.device) for name, v in labels.items()},
        moved=moved_batch(truths, mirrored, config.units, config.regions, config.device)
        if config.units
        else None,
    )
