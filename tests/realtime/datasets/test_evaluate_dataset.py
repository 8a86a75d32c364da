"""`microspot evaluate --data`: a data set as it lies on a disk, through the path of `analyze`."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.datasets import READERS
from microspot.engines.data.annotations.result import FILE_NUMBERS, FROM_0
from microspot.engines.data.layouts import Recording
from microspot.engines.evaluation.stored_scores import KEPT_T_CRN, read_scores
from microspot.engines.loading import load_engines
from microspot.realtime.analyze.one_video import KEPT, SUMMARY, Analysis
from microspot.realtime.config import Settings
from microspot.realtime.datasets.protocols import LOSO_THRESHOLDS, ZERO_SHOT
from microspot.realtime.datasets.report import PREDICTIONS, REPORT, TRUTH
from microspot.realtime.datasets.run import DatasetOptions, evaluate_dataset
from microspot.realtime.datasets.stored import Stored
from microspot.realtime.datasets.truth import truth_of
from tests.forked import run_python

from .stand_in import FACE_S, WALL, write_data_set, write_table, write_wall

TABLE = PREDICTIONS.format(ZERO_SHOT)
RESULT = REPORT.format(ZERO_SHOT)
OURS = {TRUTH, TABLE, RESULT, "index.html"}
VIDEOS = ("15_0401", "16_0101", "16_0502")


def microspot(*arguments: object, module: str = "realtime") -> subprocess.CompletedProcess[str]:
    return run_python("-m", f"microspot.{module}", *arguments)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("cas-me-2"))


@pytest.fixture(scope="module")
def evaluated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, str]:
    """The folder of the results, the report and what was said."""
    out = tmp_path_factory.mktemp("out") / "results"
    options = ("--data", data, "--dataset", "cas-me-2", "--out", out, "--workers", 1, "--json")
    done = microspot("evaluate", *options, "--plots", out.parent / "plots")
    assert done.returncode == 5, done.stderr  # a row lies outside its recording
    return out, json.loads(done.stdout), done.stderr


def files_of(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_what_was_run_is_scored_and_what_was_not_is_told(
    evaluated: tuple[Path, Any, str],
) -> None:
    _, report, said = evaluated
    assert [report["micro"][name] for name in ("tp", "fp", "fn")] == [2, 0, 1]
    assert report["micro"]["f1"] == pytest.approx(0.8)
    assert report["macro"] is None, "it spots no macro-expressions"
    assert report["average_precision"]["macro"] is None
    assert report["labels_left_out"] == {"others": 1}
    assert report["decision_delay"]["count"] == 2
    assert report["evaluation"]["name"] == "zero-shot"
    assert report["engines"]["thresholds"]["t_crn"] == 0.7
    assert report["protocol"]["minutes"] == pytest.approx((FACE_S + 2 * WALL / 30) / 60, rel=0.03)
    videos = report["videos"]
    counts = ("in_table", "run", "without_rows", "subjects", "rows_of_these")
    assert [videos[name] for name in counts] == [4, 3, 1, 2, 2]
    assert [one["video"] for one in videos["missing"]] == ["16_0102"]
    assert [one["video"] for one in videos["unreadable"]] == ["19_0401"]
    assert [(row["video"], row["onset"]) for row in videos["rows_left_out"]] == [
        ("16_0101", WALL - 3)
    ]
    assert "16_0102: no recording of it is there" in said
    assert f"16_0101 {WALL - 3}-{WALL + 2} is not scored" in said
    assert said.count("19_0401.avi: not a video") == 1


def test_its_figures_are_drawn(evaluated: tuple[Path, Any, str]) -> None:
    out, report, _ = evaluated
    page = (out.parent / "plots" / "index.html").read_text(encoding="utf-8")
    assert f"Weights {report['engines']['name']}." in page
    assert "2 decisions" in page
    assert (out.parent / "plots" / "timeline.png").is_file()


def test_results_are_of_analyze_with_the_tables_that_score_reads(
    data: Path, evaluated: tuple[Path, Any, str]
) -> None:
    out, report, _ = evaluated
    assert {path.name for path in out.iterdir()} == OURS | set(VIDEOS)
    assert json.loads((out / RESULT).read_text()) == report
    watched = microspot("watch", data / "rawpic/s15/15_0401anger1", "--json").stdout
    lines = (out / "15_0401" / "events.jsonl").read_text()
    assert [line for line in lines.splitlines() if '"event"' in line] == [
        line for line in watched.splitlines() if '"event"' in line
    ]
    tables = ("--truth", out / TRUTH, "--pred", out / TABLE)
    scored = json.loads(microspot("score", *tables, "--json", module="engines").stdout)
    assert {name: scored["micro"][name] for name in ("tp", "fp", "fn")} == {
        name: report["micro"][name] for name in ("tp", "fp", "fn")
    }


def test_shipped_thresholds_on_the_stored_scores_give_the_events(
    evaluated: tuple[Path, Any, str],
) -> None:
    out, report, _ = evaluated
    thresholds = report["engines"]["thresholds"]
    with load_engines() as engines:
        spec = replace(engines.spotter, **thresholds)
    stored = read_scores(out / "15_0401" / KEPT)
    lines = (out / TABLE).read_text().splitlines()[1:]
    onsets = [int(line.split(",")[2]) for line in lines]
    offsets = [int(line.split(",")[4]) for line in lines]
    found = stored.found_at(spec)
    assert [(onset, offset) for onset, offset, _ in found] == list(
        zip(onsets, offsets, strict=True)
    )
    refined = [window.score for segment in stored.segments for window in segment.windows]
    assert KEPT_T_CRN <= min(refined) < thresholds["t_crn"], "windows below the thresholds too"
    assert report["average_precision"]["micro"]["0.5"] == pytest.approx(2 / 3)
    assert "T_CRN 0.05" in report["protocol"]["average_precision"]


def test_thresholds_chosen_in_folds_need_no_other_run(
    data: Path, evaluated: tuple[Path, Any, str], tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(evaluated[0], out)
    said: list[str] = []
    options = DatasetOptions(Settings(), protocol=LOSO_THRESHOLDS)
    found = evaluate_dataset("cas-me-2", data, out, load_engines, options, say=said.append)
    assert any("3 of 4 are analysed already" in line for line in said)
    report = found.report
    folds = report["evaluation"]["folds"]
    assert [fold["test"] for fold in folds] == [["cas-me-2/s15"], ["cas-me-2/s16"]]
    assert [fold["truths"] for fold in folds] == [1, 2], "of the other subject"
    assert folds[1]["f1"] == 1.0
    assert report["micro"]["fn"] + report["micro"]["tp"] == 3
    assert report["average_precision"] == evaluated[1]["average_precision"]
    assert (report["uf1"], report["decision_delay"]) == (None, None)
    assert {path.name for path in out.iterdir()} == {
        *OURS,
        *VIDEOS,
        REPORT.format(LOSO_THRESHOLDS),
        PREDICTIONS.format(LOSO_THRESHOLDS),
    }


class KilledError(Exception):
    pass


def test_a_run_that_ended_early_goes_on_to_the_same_bytes(
    data: Path, evaluated: tuple[Path, Any, str], tmp_path: Path
) -> None:
    first = tmp_path / VIDEOS[0] / SUMMARY

    def end_after_the_first(done: float, total: float) -> None:
        if first.exists():
            raise KilledError

    said: list[str] = []
    run = partial(
        evaluate_dataset, "cas-me-2", data, tmp_path, load_engines, DatasetOptions(Settings())
    )
    with pytest.raises(KilledError):
        run(progress=end_after_the_first)
    assert not (tmp_path / RESULT).exists()
    kept = first.stat().st_ino
    run(say=said.append)
    assert any("are analysed already" in line for line in said)
    assert first.stat().st_ino == kept
    assert files_of(tmp_path) == files_of(evaluated[0])


def test_frames_that_are_numbers_of_files_and_another_rate(tmp_path: Path) -> None:
    """CASME II: 200 Hz, images that keep their numbers."""
    from tests.engines.data.annotations.books import write_book

    names = ["Subject", "Filename", "", "OnsetFrame", "ApexFrame", "OffsetFrame", ""]
    rows = [
        [*names, "Action Units", "Estimated Emotion"],
        ["1", "EP02_01f", "", 46, 50, 60, "", "4", "disgust"],
        ["1", "EP03_02", "", 46, 50, 60, "", "4", "disgust"],
    ]
    write_book(tmp_path / "CASME2-coding-20140508.xlsx", {"Sheet1": rows})
    subject = tmp_path / "CASME2_RAW_selected" / "sub01"
    write_wall(subject / "EP02_01f", first=46)
    (subject / "EP03_02.avi").write_bytes(b"no video")
    load = partial(load_engines, "baseline")
    found = evaluate_dataset(
        "casme-ii", tmp_path, tmp_path / "out", load, DatasetOptions(Settings())
    )
    assert [error.exit_code for error in found.errors] == [3]
    assert found.report["micro"]["fn"] == 1
    assert found.report["protocol"]["minutes"] * 60 == pytest.approx((WALL - 1) / 200)
    assert "01,sub01/EP02_01f,0,4,14,micro,disgust" in (tmp_path / "out" / TRUTH).read_text()


def test_rows_that_a_recording_lacks_are_left_out_one_by_one(tmp_path: Path) -> None:
    folder = write_wall(tmp_path / "clip", frames=6, first=10)
    analysis = Analysis("clip", "clip", "s1", 0, 6, 0.2, 0.0, 0.0)
    stored = Stored(Recording("s1", "clip", folder), analysis, tmp_path, (), (), 6)

    def rows(*frames: tuple[int, int, int]) -> list[Interval]:
        return [Interval("s1", "clip", on, apex, off, "micro") for on, apex, off in frames]

    counted, outside = truth_of(stored, rows((10, 12, 15), (11, 99, 16)), FILE_NUMBERS, 30.0)
    assert [(row.onset, row.apex, row.offset) for row in counted] == [(0, 2, 5)]
    assert [(row.onset, row.offset) for row in outside] == [(11, 16)]
    assert outside[0].reason == "clip has no such frames: its images go from 10 to 15"
    counted, outside = truth_of(stored, rows((0, 2, 5), (3, 4, 6)), FROM_0, 30.0)
    assert [row.offset for row in counted] == [5]
    assert [row.offset for row in outside] == [6]


def test_wrong_use_is_one_line_with_its_code(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    tables = tmp_path / "tables"
    write_table(tables)
    of_set = ("--data", tables, "--dataset", "cas-me-2")
    remembers = tmp_path / "memory.toml"
    remembers.write_text('memory = "rejected.memory"')
    cases = (
        (("--data", tables), 2, "--dataset go together"),
        (("--dataset", "cas-me-2"), 2, "--dataset go together"),
        (("sample", *of_set), 2, "leave sources"),
        (("sample", "--out", tmp_path / "out"), 2, "--out is of a data set"),
        ((), 2, "nothing to evaluate"),
        (("--data", tables, "--dataset", "casme-9"), 2, ", ".join(READERS)),
        ((*of_set, "--rule", "best"), 2, "best"),
        ((*of_set, "--fps", "0"), 2, "--fps 0"),
        ((*of_set, "--protocol", "loso"), 2, "zero-shot, loso-thresholds"),
        ((*of_set, "--protocol", LOSO_THRESHOLDS, "--threshold", "0.5"), 2, "leave --threshold"),
        ((*of_set, "--config", remembers), 2, "leave the setting memory out"),
        (("--data", empty, "--dataset", "cas-me-2"), 5, "code_final"),
        (of_set, 5, "holds no recording of cas-me-2"),
        ((*of_set, "--videos", tmp_path / "none"), 5, "--videos"),
    )
    for arguments, code, words in cases:
        done = microspot("evaluate", *arguments)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "out").exists()
