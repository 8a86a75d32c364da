"""`microspot-engines score`: JSON in full precision, lines for people, each with its protocol."""

from __future__ import annotations

import gc
import json

import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.data.annotations import read_table
from microspot.engines.errors import DataError, MicrospotError
from microspot.engines.evaluation.metrics import RULES

HEADER = "subject,video,onset,apex,offset,type,label,score\n"


@pytest.fixture
def tables(tmp_path):
    truth = "s,v,0,,9,micro,a,\ns,v,30,,39,micro,b,\nt,w,5,,14,micro,a,\nt,x,5,,14,micro,a,\n"
    found = "s,v,0,,9,micro,a,0.9\ns,v,60,,69,micro,b,0.5\nt,quiet,5,,14,micro,a,0.4\n"
    (tmp_path / "t.csv").write_text(HEADER + truth)
    (tmp_path / "p.csv").write_text(HEADER + found)
    (tmp_path / "v.csv").write_text(
        "video,fps,frames\nv,30,900\nw,30,900\nx,30,900\nquiet,30,900\n"
    )
    return tmp_path


def score(folder, *options):
    given = ["score", "--truth", str(folder / "t.csv"), "--pred", str(folder / "p.csv"), *options]
    return CliRunner().invoke(app, given)


def test_json_has_full_precision_and_people_four_digits(tables):
    report = json.loads(score(tables, "--json").stdout)
    assert report["micro"]["f1"] == 2 * (1 / 3) * (1 / 4) / (1 / 3 + 1 / 4)
    assert (report["micro"]["precision"], report["micro"]["recall"]) == (1 / 3, 1 / 4)
    lines = score(tables).stdout
    assert "micro.precision                      0.3333\n" in lines
    assert "0.33333" not in lines


@pytest.mark.parametrize("rule", RULES)
def test_every_figure_prints_with_its_protocol(tables, rule):
    options = ("--rule", rule, "--iou", "0.4", "--videos", str(tables / "v.csv"))
    protocol = json.loads(score(tables, *options, "--json").stdout)["protocol"]
    assert (protocol["rule"], protocol["iou"], protocol["minutes"]) == (rule, 0.4, 2.0)
    assert protocol["counts"] == RULES[rule]
    assert protocol["videos"] == {
        "with_truth": 3, "with_spotted": 2, "truth_alone": 2, "spotted_alone": 1
    }  # fmt: skip
    assert f"protocol.counts                      {RULES[rule]}\n" in score(tables, *options).stdout


def test_a_video_that_is_not_listed_would_make_the_rate_wrong(tables):
    (tables / "v.csv").write_text("video,fps,frames\nv,30,900\nw,30,900\nx,30,900\n")
    result = score(tables, "--videos", str(tables / "v.csv"))
    assert isinstance(result.exception, DataError)
    assert "'quiet' is missing" in str(result.exception)


def test_labels_of_folds_and_of_given_classes(tmp_path):
    (tmp_path / "l.csv").write_text("fold,true,pred\n1,a,a\n1,a,b\n2,b,b\n2,b,b\n")
    given = ["score", "--labels", str(tmp_path / "l.csv"), "--json"]
    report = json.loads(CliRunner().invoke(app, given).stdout)
    assert report["accuracy"] == 0.75
    assert report["fold_mean"]["folds"] == 2
    assert "another number" in report["protocol"]["fold_mean"]
    wider = json.loads(CliRunner().invoke(app, [*given, "--classes", "a, b,c"]).stdout)
    assert wider["uf1"] == pytest.approx(report["uf1"] * 2 / 3)
    assert "given classes" in wider["protocol"]["classes"]


def test_empty_tables_are_scored(tmp_path):
    for name in ("t.csv", "p.csv"):
        (tmp_path / name).write_text(HEADER)
    report = json.loads(score(tmp_path, "--json").stdout)
    assert (report["overall"]["tp"], report["overall"]["f1"], report["strs"]) == (0, 0.0, None)
    assert score(tmp_path).exit_code == 0


def test_options_that_do_not_fit_are_refused(tables):
    for options in (("--classes", "a"), ("--rule", "best"), ("--iou", "0")):
        result = score(tables, *options)
        assert isinstance(result.exception, MicrospotError)
        assert result.exception.exit_code == 2
    assert gc.isenabled()


@pytest.mark.parametrize(
    "rows",
    [
        "s,v,0,,9,micro,a,\n",
        "s,v, 0 ,4,9,micro,,1e-3\ns,w,+1,,9,macro,b,0.5\n",
        "s,v,3.,,9,micro,a,\n",  # a spreadsheet's whole number
        "s,v,0,,9,marker,a,\ns,v,0,,9,micro,a,0.5\n",
        "'=s,v,0,,9,micro,a,\n",
        ",,,,,,,\ns,v,0,,9,micro,a,\n",
        '"s,1","a""b",0,,9,micro,a,"0,5"\n',
        's,"v",0,,9,micro,"a",0.5\n',
        "s,v,0,,9,micro,a,\n,,,,,,,\n",
    ],
)
def test_plain_tables_and_others_are_read_alike(tmp_path, monkeypatch, rows):
    from microspot.engines.data.annotations import table

    path = tmp_path / "t.csv"
    path.write_text(HEADER + rows)
    quick = read_table(path)
    monkeypatch.setattr(table, "read_columns", lambda *_: None)
    assert quick == read_table(path)


@pytest.mark.parametrize("cell", ["0_1", "x", "", "1e3", "١_٠"])
def test_what_is_no_frame_is_refused_by_its_line(tmp_path, cell):
    path = tmp_path / "t.csv"
    path.write_text(HEADER + f"s,v,0,,9,micro,a,\ns,v,{cell},,9,micro,a,\n")
    with pytest.raises(DataError, match="line 3"):
        read_table(path)
