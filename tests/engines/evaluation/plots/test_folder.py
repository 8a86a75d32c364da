"""The files of figures: the same bytes each time, and a page that asks for nothing else."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.plots import (
    Scored,
    check_folder,
    interval_plots,
    label_plots,
    write_plots,
)
from microspot.engines.evaluation.plots.drawing import png
from microspot.engines.evaluation.plots.theme import DARK, LIGHT
from tests.engines.evaluation.metrics.tables import row

ODD = r"<b>$\x$ 表</b>" + "x" * 40  # markup, what is no formula, letters that the font lacks
TRUTH = [row(0, 9, "a", video=ODD), row(20, 29, "b", video=ODD), row(0, 40, kind="macro")]
FOUND = [row(0, 9, "a", 0.9, ODD), row(50, 59, "b", 0.4), row(2, 40, None, 0.8, kind="macro")]
SCORED = Scored(
    TRUTH, FOUND, minutes=1.0, confusion={"a": {"a": 1, "b": 0}, "b": {"a": 0, "b": 0}},
    delays_s=[0.9, 0.5],
)  # fmt: skip
HEADER = "subject,video,onset,apex,offset,type,label"


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("plots")
    assert write_plots(interval_plots(SCORED), out) == []
    return out


def test_every_figure_is_a_picture_and_stands_in_the_page(folder):
    names = ["confusion", "decision_delay", "f1_threshold", "false_alarms", "precision_recall"]
    names += ["timeline"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.png" for name in names), "index.html"]
    )
    tags = Tags((folder / "index.html").read_text(encoding="utf-8")).found
    pictures = {attrs["id"]: None for tag, attrs in tags if tag == "figure"}
    assert sorted(pictures) == names
    shown = [attrs["src"] for tag, attrs in tags if tag == "img"]
    dark = [attrs["srcset"] for tag, attrs in tags if tag == "source"]
    for name, light_uri, dark_uri in zip(pictures, shown, dark, strict=True):
        light = base64.b64decode(light_uri.partition(",")[2])
        assert light == (folder / f"{name}.png").read_bytes()
        assert brightness(light) > 200 > 60 > brightness(base64.b64decode(dark_uri[22:]))


def brightness(picture):
    return np.median(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE))


def test_the_page_asks_for_nothing_and_runs_nothing(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    tags = Tags(text).found
    for tag, attrs in tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "b"}
        for name in {"src", "srcset", "href", "action", "data", "poster"} & attrs.keys():
            assert attrs[name].startswith("data:image/png;base64,")
    rest = re.sub(r'base64,[^"]*', "", text)
    assert not {word for word in ("//", "url(", "@import") if word in rest}


def test_alternative_texts_have_the_numbers(folder):
    tags = Tags((folder / "index.html").read_text(encoding="utf-8")).found
    alts = [attrs["alt"] for tag, attrs in tags if tag == "img"]
    assert any(f"s {ODD}: 1 of 2 found, false alarms: 0" in alt for alt in alts)
    assert all(any(letter.isdigit() for letter in alt) for alt in alts)


def test_a_second_run_gives_the_same_bytes_whatever_a_person_has_set(folder, tmp_path):
    with mpl.rc_context({"axes.linewidth": 9, "xtick.direction": "in", "font.size": 20}):
        write_plots(interval_plots(SCORED), tmp_path)
        assert mpl.rcParams["axes.linewidth"] == 9
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_pictures_hold_no_date_and_no_version(folder):
    for path in folder.glob("*.png"):
        file = io.BytesIO(path.read_bytes()[8:])
        kinds = set()
        while head := file.read(8):
            kinds.add(head[4:])
            file.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
        assert kinds == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_a_rule_that_counts_beyond_1_is_drawn():
    twice = [row(0, 9, score=0.9), row(1, 9, score=0.8)]
    plots = interval_plots(Scored([row(0, 9)], twice, "str_eval_relaxed"))
    assert all(png(plot, theme) for plot in plots[:2] for theme in (LIGHT, DARK))


def test_a_folder_that_holds_something_is_refused(tmp_path):
    check_folder(tmp_path / "new" / "er")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"is not empty; name a new"):
        check_folder(tmp_path)
    with pytest.raises(DataError, match=r"cannot write .*file"):
        check_folder(tmp_path / "file")
    with pytest.raises(DataError, match=r"cannot write .*file"):
        check_folder(tmp_path / "file" / "below")


def test_a_folder_that_vanishes_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot write"):
        write_plots(label_plots({"a": {"a": 1}}), tmp_path / "gone")


def test_missing_matplotlib_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"plots need matplotlib: pip install '\.\[plots\]'"):
        check_folder(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_matplotlib_is_imported_when_something_is_drawn():
    code = (
        "import sys, microspot.engines.evaluation.plots, microspot.engines.commands.scoring\n"
        "assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def write_tables(folder):
    (folder / "t.csv").write_text(f"{HEADER}\ns,v,0,,9,micro,a\ns,v,30,,39,micro,b\n")
    (folder / "p.csv").write_text(f"{HEADER},score\ns,v,0,,9,micro,a,0.9\n")
    (folder / "no.csv").write_text(f"{HEADER}\ns,v,0,,9,micro,a\n")
    return ["score", "--truth", str(folder / "t.csv"), "--plots", str(folder / "out"), "--pred"]


def test_score_writes_plots_after_its_report(tmp_path):
    given = [*write_tables(tmp_path), str(tmp_path / "p.csv")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.stderr
    assert "micro.recall                         0.5\n" in done.stdout
    assert done.stderr.splitlines() == [
        "microspot-engines: false alarms against recall not drawn: "
        "the length of the videos is not known: give --videos"
    ]
    assert (tmp_path / "out" / "f1_threshold.png").exists()
    assert isinstance(CliRunner().invoke(app, given).exception, DataError)


def test_tables_without_scores_are_told_in_one_line(tmp_path):
    done = CliRunner().invoke(app, [*write_tables(tmp_path), str(tmp_path / "no.csv")])
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "microspot-engines: precision-recall, F1 against threshold and false alarms not drawn: "
        "1 of 1 spotted intervals have no score: fill the column score in every row"
    ]
    assert "fill the column score" in (tmp_path / "out" / "index.html").read_text()


def test_labels_alone_have_their_confusion(tmp_path):
    (tmp_path / "l.csv").write_text("fold,true,pred\n1,a,a\n1,a,b\n2,b,b\n")
    given = ["score", "--labels", str(tmp_path / "l.csv"), "--plots", str(tmp_path / "out")]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "confusion.png",
        "index.html",
    ]
