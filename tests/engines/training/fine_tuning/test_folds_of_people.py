"""From a data set on a disk to a table of folds: cache, training, selection, test, the same again.

Two people set the pace of the suite; six are `python -m tests.realtime.datasets.six_people`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from microspot.engines.data.aligned.recordings import AlignedRecording, read_recordings
from microspot.engines.data.annotations import read_table
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.stored_scores import VideoScores
from microspot.engines.loading import load_engines
from microspot.engines.training.fine_tuning import run as module
from microspot.engines.training.fine_tuning.config import FineTuning, load_config
from microspot.engines.training.fine_tuning.finished import PREDICTIONS, REPORT, TABLE, TRUTH
from microspot.engines.training.fine_tuning.networks import Start, Tuner
from microspot.engines.training.fine_tuning.run import FoldOptions, run_folds
from microspot.engines.training.fine_tuning.scoring import scored
from microspot.engines.training.fine_tuning.sets import training_set
from microspot.engines.training.spotter.data import ClipSet
from microspot.realtime.config import Settings
from microspot.realtime.datasets.run import DatasetOptions, Evaluation, evaluate_dataset
from microspot.realtime.study.fine_tuned import check_same, fine_tuned, read_run
from tests.realtime.datasets.stand_in import write_people

SMALL = Path(__file__).with_name("small.toml")
SECONDS = 4.0
SET = "cas-me-2"


class Made(NamedTuple):
    cache: Path
    results: Path
    evaluation: Evaluation
    recordings: list[AlignedRecording]
    run: Path
    report: dict[str, Any]


def files_of(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def evaluated(data: Path, out: Path, cache: Path) -> Evaluation:
    options = DatasetOptions(Settings(), workers=1, cache=cache)
    load = partial(load_engines, None, "onnx", None)
    return evaluate_dataset(SET, data, out, load, options)


def folds(made: Made | Path, out: Path, **changes: Any) -> dict[str, Any]:
    cache = made if isinstance(made, Path) else made.cache
    options = FoldOptions("loso", config=SMALL, threads=1)
    return run_folds([cache], out, replace(options, **changes), say=str)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("people")
    data = folder / "data"
    data.mkdir()
    write_people(data, 3, SECONDS, scale=0.5)
    cache = folder / "cache"
    evaluation = evaluated(data, folder / "results", cache)
    before = torch.get_num_threads()
    report = folds(cache, folder / "run")
    torch.set_num_threads(before)
    return Made(
        cache, folder / "results", evaluation, read_recordings([cache]), folder / "run", report
    )


@pytest.mark.timeout(600)
def test_the_cache_gives_the_same_results(made: Made, tmp_path: Path) -> None:
    data = made.results.parent / "data"
    evaluated(data, tmp_path, made.cache)
    assert files_of(tmp_path) == files_of(made.results)


def test_offline_scores_are_those_of_the_stream(made: Made) -> None:
    start = Start.open("packaged")
    engines = Tuner(start, load_config(start.spec)).as_given()
    own = made.recordings[0]
    ours: VideoScores = scored(own, engines).scores
    theirs = next(
        each.scores() for each in made.evaluation.compared.stored
        if each.recording.video == own.video
    )  # fmt: skip
    assert len(ours.segments) == len(theirs.segments) == 1
    for one, other in zip(ours.segments, theirs.segments, strict=True):
        assert one.origin_ns == other.origin_ns
        assert (one.frames == other.frames).all()
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        places = [[(each.end, each.scale) for each in every.windows] for every in (one, other)]
        assert places[0] == places[1]
        assert len(places[0]) > 3
        for kind in ("start", "stop", "score"):
            values = [[getattr(each, kind) for each in every.windows] for every in (one, other)]
            np.testing.assert_allclose(*values, atol=1e-4)


def test_it_is_a_set_that_training_reads(made: Made) -> None:
    start = Start.open("packaged")
    opened = ClipSet.open(made.cache, start.spec)
    micros = sum(len(clip.micro_ns) for clip in opened.clips)
    assert micros == len(made.evaluation.compared.truth) > 4
    assert {clip.split for clip in opened.clips} == {"train", "validation"}
    clip = opened.clips[0]
    onset = made.recordings[0].truth[0].onset
    assert clip.micro_ns[0, 0] == pytest.approx(onset / 30 * 1e9, abs=1e6)


def test_pieces_with_and_without_movement_are_in_balance(made: Made) -> None:
    config = load_config(Start.open("packaged").spec, SMALL)
    short = replace(config, piece_s=0.8)
    clips = training_set(made.recordings, (), short).clips
    has = [bool(len(clip.micro_ns)) and _whole(clip) for clip in clips]
    assert 0.35 < np.mean(has) < 0.65
    assert max(clip.times_ns[-1] - clip.times_ns[0] for clip in clips) <= 0.8e9
    mixed = training_set(made.recordings[:1], [made.cache], replace(config, recorded_share=0.7))
    drawn = [clip for clip in mixed.clips if clip.start >= len(np.load(_crops(made)))]
    assert 0.5 < 1 - len(drawn) / len(mixed.clips) < 0.9


def _whole(clip: Any) -> bool:
    spans = clip.micro_ns
    return bool(((spans[:, 0] >= clip.times_ns[0]) & (spans[:, 1] <= clip.times_ns[-1])).any())


def _crops(made: Made) -> Path:
    return made.recordings[0].folder / "crops.npy"


def test_each_subject_is_tested_with_what_the_others_chose(made: Made) -> None:
    told = made.report["folds"]
    assert [fold["test"] for fold in told] == [[f"{SET}/s2{number}"] for number in (1, 2, 3)]
    for fold in told:
        assert len(fold["training"]) == 2
        assert set(fold["chosen_by"]) < set(fold["training"])
        assert not set(fold["test"]) & set(fold["training"])
        assert [each["steps"] for each in fold["tried"]] == [0, 4]
    lines = (made.run / TABLE).read_text().splitlines()
    assert len(lines) == 5
    assert lines[-1].startswith("all,")
    truth = read_table(made.run / SET / TRUTH)
    assert len(truth) == made.report["micro"]["tp"] + made.report["micro"]["fn"]
    found = read_table(made.run / SET / PREDICTIONS)
    assert len(found) == made.report["micro"]["tp"] + made.report["micro"]["fp"]


def test_the_steps_change_the_heads_and_nothing_else(made: Made) -> None:
    start = Start.open("packaged")
    tuner = Tuner(start, load_config(start.spec, SMALL))
    torch.set_num_threads(1)
    crops = np.zeros((1, start.spec.channels, start.spec.side, start.spec.side), np.uint8)
    crops[:, :, 30:60] = 90
    given, tuned = tuner.as_given(), tuner.tuned(made.recordings[:1], 2)
    scores = [scored(made.recordings[0], each).scores.segments[0].scores for each in (given, tuned)]
    assert np.nanmax(np.abs(scores[0] - scores[1])) > 1e-4
    assert isinstance(tuner.config, FineTuning)


def test_the_same_bytes_again_and_what_is_kept(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds(made, tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(made.run)
    monkeypatch.delattr(module, "choose")  # every fold is kept
    (tmp_path / "again" / REPORT).unlink()
    folds(made, tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(made.run)
    with pytest.raises(NameError):
        folds(made, tmp_path / "again", threads=2)  # other threads, other bits
    everyone = partial(module.folds_of, "loso")
    monkeypatch.setattr(module, "folds_of", lambda protocol, *others: everyone(*others))
    with pytest.raises(NameError):
        folds(made, tmp_path / "again", protocol="composite")  # the same people
    other = [replace(each, truth=each.truth[1:]) for each in made.recordings]
    monkeypatch.setattr(module, "read_given", lambda data: (other, ()))
    with pytest.raises(NameError):
        folds(made, tmp_path / "again")


def test_the_study_takes_its_row(made: Made, tmp_path: Path) -> None:
    run = read_run(made.run, SET)
    compared = made.evaluation.compared
    check_same(run, compared)
    found, weights = fine_tuned(run)
    assert len(found.intervals) == len(run.predictions) > 0
    assert len(found.everything) >= len(found.intervals)
    assert weights["digest"] == Start.open("packaged").digest
    with pytest.raises(DataError, match="of another truth"):
        check_same(run, replace(compared, truth=compared.truth[1:]))
    with pytest.raises(DataError, match="has no folds of samm"):
        read_run(made.run, "samm")
    with pytest.raises(DataError, match="finish train folds first"):
        read_run(tmp_path, SET)
    report = json.loads((made.run / REPORT).read_text())
    (tmp_path / SET).mkdir()
    for name in (TRUTH, PREDICTIONS, "candidates.csv"):
        (tmp_path / SET / name).write_bytes((made.run / SET / name).read_bytes())
    (tmp_path / REPORT).write_text(
        json.dumps(report | {"evaluation": {"name": "hold-out", "means": ""}})
    )
    with pytest.raises(DataError, match="takes one of loso"):
        read_run(tmp_path, SET)


def test_wrong_use_is_told(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        folds(tmp_path / "none", tmp_path)
    with pytest.raises(DataError, match="microspot evaluate --data"):
        folds(tmp_path, tmp_path)
    with pytest.raises(UsageError, match="choose one of loso"):
        folds(made, tmp_path, protocol="losso")
    with pytest.raises(DataError, match="0 training and 3 test"):
        folds(made, tmp_path, protocol="cross-database")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        folds(made, tmp_path / "file")  # before the first fold trains
    (tmp_path / "spotter.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="beside it says what it is"):
        folds(made, tmp_path, weights=str(tmp_path))
