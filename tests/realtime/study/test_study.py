"""`microspot study` on the stand-in: rows, what is withheld, and that nobody can be told."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from microspot.engines.evaluation.cells import Least
from microspot.engines.evaluation.realism.measures import UNITS
from microspot.engines.loading import load_engines
from microspot.realtime.study.run import CARD, STUDY, Study, StudyOptions, make_study
from tests.forked import run_python
from tests.realtime.datasets.stand_in import write_data_set

FEW = Least(2, 2)  # the command has no option for it
# Of subjects, recordings, images and tables, as they lie on the disk and in the table
NAMES = ("s15", "s16", "s19", "15_0401", "16_0101", "16_0502", "16_0102", "19_0401", "img", "code")
WITHHELD = "withheld"


class Made(NamedTuple):
    study: Study
    out: Path
    results: Path
    said: list[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in with a third face, that of s15 again, so that two people can be measured."""
    folder = write_data_set(tmp_path_factory.mktemp("cas-me-2"))
    third = folder / "rawpic" / "s19"
    (third / "19_0401.avi").unlink()
    (third / "19_0401anger1").mkdir()
    for number in range(1, 21):
        shutil.copy(
            folder / "rawpic/s15/15_0401anger1" / f"img{number}.jpg", third / "19_0401anger1"
        )
    return folder


load = partial(load_engines, None, "onnx", "3")


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("study")
    said: list[str] = []
    options = StudyOptions(folder / "results", workers=1)
    out = folder / "out"
    found = make_study("cas-me-2", data, out, load, options, least=FEW, say=said.append)
    return Made(found, out, folder / "results", said)


def again(data: Path, made: Made, out: Path, **least: Least) -> dict[str, bytes]:
    """The files of another study of the same results."""
    make_study("cas-me-2", data, out, load, StudyOptions(made.results, workers=1), **least)
    return files_of(out)


def files_of(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_three_rows_of_one_run(made: Made) -> None:
    report = made.study.report
    assert json.loads((made.out / STUDY).read_text()) == report
    assert [row["row"] for row in report["rows"]] == ["zero-shot", "loso-thresholds", "baseline"]
    first, loso, baseline = report["rows"]
    assert [first["micro"][name] for name in ("events", "tp", "fp", "fn")] == [4, 2, 0, 2]
    low, high = first["micro"]["intervals"]["recall"]
    assert low < first["micro"]["recall"] == 0.5 < high
    assert first["intervals"] == {
        "over": "subjects",
        "subjects": 3,
        "resamples": 2000,
        "level": 0.95,
    }
    assert loso["micro"]["events"] == baseline["micro"]["events"] == 4
    assert first["engines"]["digest"]
    assert not baseline["engines"]["digest"]
    assert first["engines"]["thresholds"]["t_crn"] == 0.7
    assert "chosen on the other subjects" in loso["means"]
    assert loso["engines"]["thresholds"] == "chosen on the other subjects"
    assert (report["holds"]["subjects"], report["holds"]["recordings_missing"]) == (3, 1)
    assert "synthetic movement" in report["weights"]
    assert report["versions"]["numpy"]


def test_classes_are_withheld_with_those_that_give_them_away(made: Made) -> None:
    recalls = made.study.report["rows"][0]["recall_by_class"]
    assert recalls["negative"]["events"] == 2
    assert recalls["negative"]["recall"] == 0.5
    assert [WITHHELD in recalls[name] for name in ("others", "surprise")] == [True, True]
    counts = made.study.report["holds"]["micro_by_class"]
    assert counts["negative"] == 2
    assert [WITHHELD in counts[name] for name in ("others", "surprise")] == [True, True]
    assert WITHHELD in made.study.report["holds"]["macro"], "one macro-expression"


def test_real_movements_are_measured_beside_generated_ones(made: Made) -> None:
    realism = made.study.report["realism"]
    assert realism["events"] == {"real": 3, "generated": 3}, "two MEs of s15, one of s19, no wall"
    assert list(realism["measures"]) == list(UNITS)
    peak = realism["measures"]["peak_displacement"]["real"]
    assert 0.2 < peak["p10"] < peak["p90"] < 4, "px, as the sample's recipe draws them"
    assert 0 <= realism["two_sample"]["auc"] <= 1


def test_nobody_and_no_file_is_told(made: Made) -> None:
    assert set(files_of(made.out)) == {STUDY, CARD}
    for name, content in files_of(made.out).items():
        text = content.decode().lower()
        found = [each for each in (*NAMES, str(made.out.parent)) if each.lower() in text]
        assert found == [], name
    assert any("16_0102" in line for line in made.said), "who holds the set is told what is missing"


def test_the_card_says_what_the_study_does(made: Made) -> None:
    text = (made.out / CARD).read_text(encoding="utf-8")
    assert "trained on synthetic movement" in text
    assert "| zero-shot | 4 | " in text
    assert "| zero-shot, surprise | withheld | withheld |" in text
    assert made.study.report["rows"][0]["engines"]["digest"] in text
    assert "AUC" in text


def test_the_same_bytes_again(data: Path, made: Made, tmp_path: Path) -> None:
    assert again(data, made, tmp_path / "again", least=FEW) == files_of(made.out)


def figures(value: Any) -> list[Any]:
    """All numbers in a part of the study."""
    if isinstance(value, dict):
        return [number for each in value.values() for number in figures(each)]
    return [value] if isinstance(value, int | float) else []


def test_the_command_withholds_all_that_is_small_and_keeps_nothing(
    data: Path, made: Made, tmp_path: Path
) -> None:
    arguments = ("--dataset", "cas-me-2", "--data", str(data), "--backend", "onnx", "--json")
    command = ("-m", "microspot.realtime", "study", *arguments)
    done = run_python(*command, "--out", tmp_path / "out", "--workers", 1)
    assert done.returncode == 5, done.stderr  # a row lies outside its recording
    report = json.loads(done.stdout)
    assert report["least"] == {"events": 30, "people": 4}
    for row in report["rows"]:
        cells = [row[name] for name in ("micro", "recall_by_class", "labels", "decision_delay_s")]
        assert [number for cell in cells for number in figures(cell)] == []
        assert WITHHELD in row["micro"]
    assert list(report["realism"]) == [WITHHELD]
    assert figures([report["holds"][name] for name in ("micro", "macro", "micro_by_class")]) == []
    assert files_of(tmp_path / "out") == again(data, made, tmp_path / "again")


def test_wrong_folders_are_refused_before_anything_runs(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases = (
        (("--results", str(out / "results")), 2, "is given away"),
        (("--faces", str(tmp_path)), 5, "no face images"),
    )
    for arguments, code, words in cases:
        command = ["study", "--dataset", "cas-me-2", "--data", str(data), "--out", str(out)]
        done = run_python("-m", "microspot.realtime", *command, *arguments)
        assert done.returncode == code, done.stderr
        assert words in done.stderr.splitlines()[-1]
