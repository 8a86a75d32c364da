"""All folds of a protocol: `microspot-engines train folds`.

A fold is kept as soon as it is done, so that a run that was killed goes on. The same recordings,
configuration, weights and versions give the same bytes on one kind of CPU. Not from the papers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ...data.aligned.recordings import (
    CROPS,
    DIGEST_DIGITS,
    RECORDING,
    REVIEWED,
    AlignedRecording,
)
from ...errors import DataError
from ...runtime.engine import EngineSet
from ..folds import Fold, Split, Subject
from ..threshold_folds import SubjectVideo, intervals_at
from .choice import Owned, choose
from .config import DEFAULT, load_config
from .given import indices_of, read_given
from .networks import PACKAGED_NAME, Say, Start, Tuner
from .protocols import CHOSEN, MEANINGS, TEST_SHARE, folds_of, subject_of
from .results import FoldResult, Found, check_writable, kept_fold, write_fold, write_run
from .scoring import lowered, scored

PACKAGES = ("microspot", "torch", "numpy", "safetensors")
DIGESTED = re.compile(rf".+-[0-9a-f]{{{DIGEST_DIGITS}}}")  # such a folder's name
ONE_PERSON = (
    f"videos of {REVIEWED} are subjects of their own: one person may be in training and test, and "
    "then the figures are too good"
)


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
    recordings, synthetic = read_given(data)
    splits, of = folds_of(options.protocol, recordings, options.share, options.seed)
    tuner = Tuner(start, config, synthetic, say)
    made_from = {
        "protocol": options.protocol,
        "weights": start.digest,
        "config": asdict(config),
        "synthetic": [_digest_of(path) for folder in synthetic for path in indices_of(folder)],
        "recordings": [_digest_of(each.folder / RECORDING) for each in of],
        "truth": _digest([[asdict(row) for row in each.truth] for each in of]),
        "crops": [_crops_of(each) for each in of],
        "versions": options.versions,
        "threads": torch.get_num_threads(),
    }
    check_writable(out)
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
            "means": "; ".join(_means(options.protocol, of)),
        },
        **made_from,
    }
    return write_run(out, about, results, of)


def _means(protocol: str, of: Sequence[AlignedRecording]) -> list[str]:
    """What the figures of a protocol say of these recordings."""
    reviewed = any(each.dataset == REVIEWED for each in of)
    return [MEANINGS[protocol], CHOSEN, *([ONE_PERSON] if reviewed else [])]


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


def _crops_of(recording: AlignedRecording) -> list[str | int]:
    """What crops a recording has: its folder's name, their size, and what decides their bytes."""
    name, path = recording.folder.name, recording.folder / CROPS
    try:
        return [
            name,
            path.stat().st_size,
            *([] if DIGESTED.fullmatch(name) else [_digest_of(path)]),
        ]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}): remove its folder") from error


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
