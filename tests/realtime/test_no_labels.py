"""Movement only: no emotion class is computed, shown or written, and every format stays valid."""

from __future__ import annotations

import dataclasses
import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from microspot.demo.access.binding import Binding
from microspot.demo.pages import _about
from microspot.engines.data.annotations import read_table
from microspot.engines.errors import EngineError, UsageError
from microspot.engines.loading import PACKAGED, load_engines, wanted_labels
from microspot.realtime.overlay.consent import NOTICE
from microspot.realtime.session import Session
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes
from tests.forked import run_python

WORDS = ("negative", "positive", "surprise", "happiness", "disgust", "repression", "uncertain")


def test_the_recognizer_is_not_even_read(tmp_path: Path) -> None:
    for path in PACKAGED.iterdir():
        if not path.name.startswith("recognizer"):
            shutil.copy(path, tmp_path)
    with load_engines(tmp_path, "onnx", None) as engines:
        assert engines.recognizer is None
        assert engines.recognizer_spec is None
    with pytest.raises(EngineError, match="recognizer-3"):
        load_engines(tmp_path, "onnx", 3)


def test_final_events_have_apex_and_intensity_by_displacement() -> None:
    engines = dataclasses.replace(fakes.engine_set(), recognizer=None, recognizer_spec=None)
    session = Session(engines, "x")
    feats = fakes.features(np.random.default_rng(3), 400, 0.5)
    events = []
    for tick in range(feats.shape[1]):
        events += session.push(fakes.crop(feats[:, tick], tick_ns(0, tick, 30), tick))
    events += session.flush()
    finals = [event for event in events if event.status == "final"]
    assert finals
    for event in finals:
        assert event.label is None
        assert event.label_scores is None
        assert event.apex_ns is not None
        assert event.onset_ns <= event.apex_ns <= event.offset_ns
        assert event.onset_frame <= event.apex_frame <= event.offset_frame
        assert len(event.intensity) == 11
        assert max(event.intensity) in (0, 1)
    assert any(max(event.intensity) == 1 for event in finals)


def test_labels_and_no_labels_exclude_each_other() -> None:
    assert wanted_labels("3", False) == "3"
    assert wanted_labels("3", True) is None
    with pytest.raises(UsageError, match="leave --labels 5 out"):
        wanted_labels("5", True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of a run over four seconds of the sample, in every format, and its records."""
    folder = tmp_path_factory.mktemp("run")
    outputs = ("events.jsonl", "events.csv", "events.eaf", "report.html", "overlay.mp4")
    command = ["-m", "microspot.realtime", "watch", "sample:synthetic:7"]
    command += ["--no-labels", "--seconds", "4", "--json"]
    for name in outputs:
        command += ["--out", str(folder / name)]
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    return folder, [json.loads(line) for line in done.stdout.splitlines()]


def test_no_word_of_an_emotion_is_written_anywhere(
    run: tuple[Path, list[dict[str, Any]]],
) -> None:
    folder, records = run
    for path in folder.iterdir():
        if path.suffix != ".mp4":
            text = path.read_text()
            assert not [word for word in WORDS if word in text], path
    (event,) = [record for record in records if record["type"] == "event"]
    assert (event["label"], event["label_scores"]) == (None, None)
    assert event["onset_s"] < event["apex_s"] < event["offset_s"]
    assert max(event["intensity"]) == 1
    assert records[0]["labels"] is None


def test_every_format_stays_valid(run: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, _ = run
    (row,) = read_table(folder / "events.csv")
    assert row.label is None
    assert row.onset < row.apex < row.offset
    values = ET.parse(folder / "events.eaf").findall(".//ANNOTATION_VALUE")
    assert [value.text.partition(",")[0] for value in values] == ["micro-expression", "apex"]
    assert "micro-expression" in (folder / "report.html").read_text()
    with av.open(str(folder / "overlay.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 120


def test_a_recording_has_a_log_of_its_run(run: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, records = run
    log = json.loads((folder / "overlay.mp4.run.json").read_text())
    assert log["recording"] == "overlay.mp4"
    assert log["user"]
    assert log["began_utc"] <= log["ended_utc"]
    assert log["start"] == records[0]
    assert log["ends"] == [records[-1]]
    assert {"version", "engines", "digest", "backend", "thresholds"} <= records[0].keys()
    assert set(records[0]["thresholds"]) == {"t_cpn", "t_crn", "t_nms"}


def test_the_notice_is_that_of_the_page() -> None:
    done = run_python("-m", "microspot.realtime", "consent")
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.split()) == " ".join(NOTICE)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert " ".join(NOTICE) in _about(Binding())
