"""Steps and thresholds come from training people that did not train; leaks are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.data.aligned.recordings import AlignedRecording
from microspot.engines.data.annotations import Interval
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.stored_scores import SegmentScores, VideoScores
from microspot.engines.intervals import Candidate
from microspot.engines.training.fine_tuning import choice as module
from microspot.engines.training.fine_tuning.choice import Choice, choose
from microspot.engines.training.fine_tuning.config import FineTuning, load_config
from microspot.engines.training.fine_tuning.protocols import folds_of, subject_of
from microspot.engines.training.folds import Fold, LeakError, Split, Subject
from microspot.engines.training.spotter.joint_training import phase_of
from microspot.engines.training.threshold_folds import SubjectVideo
from tests import fakes

SPEC = fakes.spec(t_cpn=0.3, t_crn=0.05)
TICKS = 600
INDEX = np.arange(TICKS, dtype=np.int64)


def recording(subject: str, dataset: str = "cas-me-2", video: str = "v") -> AlignedRecording:
    truth = (Interval(subject, video, 11, None, 20, "micro", "positive"),)
    return AlignedRecording(
        Path(subject), dataset, subject, video, 30.0, 20.0, truth, INDEX, INDEX * 10**9 // 30, ()
    )


PEOPLE = [recording(name) for name in ("s1", "s2", "s3", "s4")]


@dataclass
class Tuner:
    """Makes engines that know how many steps they had and whom they saw."""

    config: FineTuning = field(default_factory=lambda: FineTuning(steps=(0, 10, 40)))
    made: list[tuple[list[str], int]] = field(default_factory=list)

    def tuned(self, recordings: Sequence[AlignedRecording], steps: int) -> Any:
        self.made.append(([each.subject for each in recordings], steps))
        return SimpleNamespace(spotter=SPEC, steps=steps)


def score(best: int, asked: list[str]) -> Any:
    """A scorer by whom engines of `best` steps see the ME better than a false alarm."""

    def scored(one: AlignedRecording, engines: Any) -> SubjectVideo:
        asked.append(one.subject)
        real, false = (0.9, 0.5) if engines.steps == best else (0.5, 0.9)
        windows = (Candidate(21, 0, 11, 21, real), Candidate(101, 0, 91, 101, false))
        frames = INDEX.astype(np.int32)
        segment = SegmentScores(0, frames, np.ones((TICKS, SPEC.scales), np.float32), windows)
        scores = VideoScores(30, INDEX, INDEX * 10**9 // 30, (segment,))
        return SubjectVideo(one.video, scores, one.truth)

    return scored


def fold_of(test: str, read: list[str]) -> Fold[list[AlignedRecording]]:
    subjects = {subject_of(each): each for each in PEOPLE}

    def reading(subject: Subject) -> list[AlignedRecording]:
        read.append(subject.name)
        return [subjects[subject]]

    split = next(each for each in folds_of("loso", PEOPLE)[0] if each.test[0].name == test)
    return Fold(split, reading)


def chosen(test: str, best: int) -> tuple[Choice, Tuner, list[str], list[str]]:
    """A choice; how it was made, who was scored and who was read."""
    tuner = Tuner()
    asked: list[str] = []
    read: list[str] = []
    fold = fold_of(test, read)
    selected = fold.select(lambda training: choose(training, tuner, score(best, asked)))  # type: ignore[arg-type]
    return selected.choice, tuner, asked, read


@pytest.mark.parametrize("best", [0, 10, 40])
def test_the_steps_are_those_that_people_set_apart_are_found_with(best: int) -> None:
    choice, tuner, asked, read = chosen("s4", best)
    apart = [one.name for one in choice.apart]
    assert len(apart) == 1
    others = sorted({"s1", "s2", "s3"} - set(apart))
    assert tuner.made == [*((others, steps) for steps in (0, 10, 40)), (["s1", "s2", "s3"], best)]
    assert set(asked) == set(apart), "who trained chooses nothing"
    assert "s4" not in read
    assert choice.steps == best
    assert 0.5 < choice.spec.t_crn <= 0.9
    assert [each["steps"] for each in choice.tried] == [0, 10, 40]
    assert [each["f1"] == 1 for each in choice.tried] == [steps == best for steps in (0, 10, 40)]


def test_of_equal_trials_the_shortest_is_taken() -> None:
    assert chosen("s4", best=99)[0].steps == 0


def test_a_leak_that_was_planted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test subject among those who choose, and among those who train."""
    test = Subject("cas-me-2", "s4")
    for place in ("test", "training"):

        def leaking(subjects: Any, share: float, seed: int, place: str = place) -> Split:
            inner = Split("inner", (Subject("cas-me-2", "s1"),), (Subject("cas-me-2", "s2"),))
            return replace(inner, **{place: (test,)})

        monkeypatch.setattr(module, "hold_out", leaking)
        with pytest.raises(LeakError, match="cas-me-2/s4 is not among the subjects"):
            chosen("s4", 0)


def test_one_training_subject_cannot_choose() -> None:
    subjects = {Subject("cas-me-2", each.subject): [each] for each in PEOPLE[:1]}
    with pytest.raises(DataError, match="two are needed"):
        choose(subjects, Tuner(), score(0, []))  # type: ignore[arg-type]


def test_the_folds_of_each_protocol() -> None:
    sets = [
        recording("01", "smic-hs", "s1_ne_01"),
        recording("01", "casme-ii", "sub01/EP02_01f"),
        recording("01", "samm", "006_1_2"),
        recording("02", "samm", "007_1_2"),
    ]
    sets = [
        replace(each, truth=(replace(each.truth[0], label=label),))
        for each, label in zip(sets, ("negative", "repression", "fear", "others"), strict=True)
    ]
    loso, of = folds_of("loso", sets)
    assert [str(split.test[0]) for split in loso] == [
        "casme-ii/01", "samm/01", "samm/02", "smic-hs/01",
    ]  # fmt: skip
    assert len(of) == 4
    (held,), _ = folds_of("hold-out", sets, share=0.5, seed=1)
    assert (len(held.training), len(held.test)) == (2, 2)
    across, _ = folds_of("cross-database", sets)
    assert [[str(one) for one in split.test] for split in across] == [
        ["casme-ii/01"], ["samm/01", "samm/02"], ["smic-hs/01"],
    ]  # fmt: skip
    composite, of = folds_of("composite", sets)
    assert [each.video for each in of] == ["s1_ne_01", "sub01/EP02_01f", "006_1_2"]
    assert [each.truth[0].label for each in of] == ["negative"] * 3
    assert len(composite) == 3
    with pytest.raises(UsageError, match="loso, hold-out, cross-database, composite"):
        folds_of("leave-one-out", sets)
    with pytest.raises(UsageError, match="smic-hs is not there"):
        folds_of("composite", sets[1:])


def test_the_shipped_configuration_and_wrong_ones(tmp_path: Path) -> None:
    config = load_config(SPEC)
    assert config.steps[0] == 0
    assert config.training.spec == SPEC
    assert config.training.validation_clips == 0
    assert phase_of(0, config.training) == "joint"
    path = tmp_path / "mine.toml"
    for text, words in (
        ("steps = [4, 4]", "different numbers"),
        ("me_share = 1.0", "me_share"),
        ("piece_s = 0.0", "piece_s"),
        ("piece_s = nan", "piece_s = nan: expected a number"),
        ("piece_s = true", "piece_s"),
        ("me_share = 'a'", "me_share"),
        ("seed = -5", "seed = -5: expected a whole number from 0 on"),
        ("steps = 4", "expected a list"),
        ("steps = [0, 100.5]", r"100\.5"),
        ("steps = [true, 4]", "steps = True"),
        ("[training]\nthreads = 'a'", "threads = 'a'"),
        ("[training]\nthreads = 0", "threads = 0: expected a whole number from 1 on"),
        ("[training]\nbfloat16 = 1", "bfloat16 = 1: expected true or false"),
        ("[training]\njoint_lr = inf", "joint_lr"),
        ("[training.augmentation]\nshift_px = 1.5", "shift_px"),
        ("stepps = [4]", "stepps"),
        ("[training]\njoint_lrr = 1.0", "joint_lrr"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=words):
            load_config(SPEC, path)
    path.write_text("[training]\nfrozen_encoder = true\ncpn_steps = 0\ncrn_steps = 0")
    assert phase_of(5, load_config(SPEC, path).training) == "heads"


def test_share_and_seed_are_of_hold_out(tmp_path: Path) -> None:
    for given, words in (
        (("--share", "0.5"), "are of --protocol hold-out"),
        (("--protocol", "composite", "--seed", "0"), "are of --protocol hold-out"),
        (("--protocol", "hold-out", "--share", "1"), "--share 1: expected more than 0"),
        (("--protocol", "hold-out", "--share", "nan"), "--share nan"),
        (("--protocol", "hold-out", "--share", "0.5"), "no folder"),
    ):
        folders = ("--data", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
        done = CliRunner().invoke(app, ["train", "folds", *folders, *given])
        assert isinstance(done.exception, UsageError)
        assert words in str(done.exception)
