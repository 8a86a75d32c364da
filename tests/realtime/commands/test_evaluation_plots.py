"""`evaluate --plots`: the figures of truth and events, with the caveat of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from microspot.engines.data.annotations import Interval
from microspot.engines.evaluation.plots import interval_plots, write_plots
from microspot.realtime.commands.app import app
from microspot.realtime.commands.evaluation_plots import of_sources
from microspot.realtime.errors import DataError
from microspot.realtime.evaluate import Pooled
from microspot.realtime.overlay.draw import CAVEAT
from tests.clips import write_still

REPORT = {"rule": "one_to_one", "iou": 0.5, "engines": "mine"}


def interval(onset: int, score: float | None = None, kind: str = "micro") -> Interval:
    return Interval("", "clip", onset, None, onset + 9, kind, "surprise", score)


def test_every_figure_names_the_weights_and_what_they_do_not_prove(tmp_path: Path) -> None:
    truth = [interval(0), interval(20), interval(40, kind="macro")]
    pooled = Pooled(truth, [interval(0, 0.9), interval(60, 0.8)], [0.5, 0.75], seconds=120.0)
    report = REPORT | {"confusion": {"surprise": {"surprise": 1}}}
    assert write_plots(interval_plots(of_sources(pooled, report)), tmp_path) == []
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert text.count("<figure") == text.count(f"Weights mine. {CAVEAT}.") == 6
    assert "2 decisions: min 0.500 s" in text
    assert "micro: recall 0.500 at 0.5 false alarms a minute" in text
    assert "macro:" not in text, "the pipeline spots no macro-expressions"


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """A command on a clip of a grey wall, in which there is nothing to spot."""
    clip = write_still(tmp_path / "wall.mp4", frames=12, value=90)
    table = tmp_path / "truth.csv"
    table.write_text("subject,video,onset,apex,offset,type,label\n,wall.mp4,2,4,6,micro,\n")
    options = ["--truth", str(table), "--engines", "baseline", "--plots", str(tmp_path / "out")]
    return ["evaluate", str(clip), "--json", *options]


def test_what_cannot_be_drawn_is_told_after_the_report(given: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith('{"rule": "one_to_one"')
    assert [line.partition(" not drawn: ")[0] for line in done.stderr.splitlines()] == [
        "microspot: precision-recall, F1 against threshold and false alarms",
        "microspot: confusion of labels",
        "microspot: decision delay",
    ]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["index.html", "timeline.png"]


def test_a_folder_in_use_is_refused_before_a_video_runs(given: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").touch()
    done = CliRunner().invoke(app, given)
    assert isinstance(done.exception, DataError)
    assert done.stdout == ""
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept"]
