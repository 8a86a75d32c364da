"""All folds of a protocol: `microspot-engines train folds`.

A fold is kept as soon as it is done, so that a run that was killed goes on. The same recordings,
configuration, weights and versions give the same bytes on one kind of CPU. Not from the papers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...data.aligned.recordings import (
    INDEX,
    RECORDING,
    AlignedRecording,
    read_recordings,
)
from ...errors import UsageError
from ...runtime.engine import EngineSet
from ..folds import Fold, Split, Subject
from ..threshold_folds import SubjectVideo, intervals_at
from .choice import Owned, choose
from .config import DEFAULT, load_config
from .networks import PACKAGED_NAME, Say, Start, Tuner
from .protocols import CHOSEN, MEANINGS, TEST_SHARE, folds_of, subject_of
from .results import FoldResult, Found, kept_fold, write_fold, write_run
from .scoring import lowered, scored

PACKAGES = ("microspot", "torch", "numpy", "safetensors")


@dataclass(frozen=True)
class FoldOptions:
    """How folds are run. weights: `packaged`, a folder or a file; config: a TOML file.

    share, seed: of the draw of `hold-out`; threads: of torch, None for the configuration's;
    versions: of PACKAGES, which the report tells and a kept fold depends on.
    """

    protocol: str
    weights: str = PACKAGED_NAME
    config: Path = DEFAULT
    share: float = TEST_SHARE
    seed: int = 0
    threads: int | None = None
    versions: dict[str, str] = field(default_factory=dict)


def run_folds(
    data: Sequence[Path], out: Path, options: FoldOptions, say: Say = print
) -> dict[str, Any]:
    """Run a protocol over aligned recordings, and write `out`; its report.

    data: folders of `evaluate --cache`, and synthetic sets that every fold trains on too. Sets
    torch's thread count. Raises UsageError for a wrong protocol or configuration, DataError for
    recordings that cannot be read, folds without people, and where `out` cannot be written.
    """
    start = Start.open(options.weights)
    config = load_config(start.spec, options.config)
    torch.set_num_threads(options.threads or config.training.threads)
    synthetic = tuple(folder for folder in data if not _is_recorded(folder))
    recordings = read_recordings([folder for folder in data if folder not in synthetic])
    splits, of = folds_of(options.protocol, recordings, options.share, options.seed)
    tuner = Tuner(start, config, synthetic, say)
    made_from = {
        "weights": start.digest,
        "config": asdict(config),
        "synthetic": [
            _digest_of(path)
            for folder in synthetic
            for path in (*folder.glob(INDEX), *sorted(folder.glob(f"*/{INDEX}")))
        ],
        "recordings": [_digest_of(each.folder / RECORDING) for each in of],
        "crops": [each.folder.name for each in of],
        "versions": options.versions,
        "threads": torch.get_num_threads(),
    }
    results = []
    score = _remembering(scored)
    for number, split in enumerate(splits, 1):
        key = {"split": asdict(split), **made_from}
        result = kept_fold(out, number, split, key)
        say(f"fold {number} of {len(splits)}, {split.name}" + (": kept" if result else ""))
        if result is None:
            result = _fold(split, of, tuner, score)
            write_fold(out, number, result, key)
        results.append(result)
    about = {
        "evaluation": {
            "name": options.protocol,
            "means": f"{MEANINGS[options.protocol]}; {CHOSEN}",
        },
        **made_from,
    }
    return write_run(out, about, results, of)


def _is_recorded(folder: Path) -> bool:
    """Whether a folder holds recordings of people, and no synthetic sets.

    Raises UsageError where it is no folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no folder; give one of evaluate --cache, or a synthetic set")
    has_sets = any(next(folder.glob(name), None) for name in (INDEX, f"*/{INDEX}"))
    return not has_sets or next(folder.glob(f"*/{RECORDING}"), None) is not None


def _fold(
    split: Split,
    recordings: Sequence[AlignedRecording],
    tuner: Tuner,
    score: Callable[[AlignedRecording, EngineSet], SubjectVideo],
) -> FoldResult:
    """Choose by the training subjects, then spot the test subjects."""

    def read(subject: Subject) -> Owned:
        return [each for each in recordings if subject_of(each) == subject]

    fold: Fold[Owned] = Fold(split, read)
    selected = fold.select(lambda training: choose(training, tuner, score))
    choice = selected.choice
    found = []
    for subject, owned in selected.test.items():
        for recording in owned:
            video = score(recording, choice.engines)
            rows = intervals_at(subject, video, choice.spec, recording.fps)
            everything = intervals_at(subject, video, lowered(choice.spec), recording.fps)
            found.append(Found(recording, tuple(rows), tuple(everything)))
    return FoldResult.of(split, choice, found)


def _remembering(
    score: Callable[[AlignedRecording, EngineSet], SubjectVideo],
) -> Callable[[AlignedRecording, EngineSet], SubjectVideo]:
    """`score`, which remembers what the weights as given say: every fold asks for it again."""
    known: dict[Path, SubjectVideo] = {}

    def remembered(recording: AlignedRecording, engines: EngineSet) -> SubjectVideo:
        if engines.name != "given":
            return score(recording, engines)
        if recording.folder not in known:
            known[recording.folder] = score(recording, engines)
        return known[recording.folder]

    return remembered


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
