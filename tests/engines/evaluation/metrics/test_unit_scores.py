"""Action units: cells of a table, F1 and AUC."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from microspot.engines.data.annotations import read_table
from microspot.engines.data.unit_cells import parse_units
from microspot.engines.errors import DataError
from microspot.engines.evaluation.metrics import auc, score_tables

from .tables import row


@pytest.mark.parametrize(
    ("cell", "units"),
    [
        ("", None),
        (" none ", ()),
        ("AU4+AU12", (("AU4", 1.0), ("AU12", 1.0))),
        ("AU12:0.25+4:.5", (("AU4", 0.5), ("AU12", 0.25))),
        ("L12+R12C+t4", (("AU4", 1.0), ("AU12", 1.0))),  # sides and intensities are read over
        ("R12:0.7+AU12:0.2", (("AU12", 0.7),)),
    ],
)
def test_cells(cell, units):
    assert parse_units(cell) == units


@pytest.mark.parametrize("cell", ["AU", "4,12", "AU4:1.5", "AU4:-1", "smile", "AU4+", "AU4:x"])
def test_what_is_no_unit_is_refused_with_its_line(tmp_path, cell):
    path = tmp_path / "t.csv"
    path.write_text(
        "subject,video,onset,apex,offset,type,label,units\n"
        f's,v,1,,2,micro,,none\ns,v,3,,4,micro,,"{cell}"\n'
    )
    with pytest.raises(DataError, match="line 3: units is"):
        read_table(path)


def test_units_of_hits_by_hand():
    cells = [  # truth, spotted
        ("AU4", "AU4:0.9+AU12:0.2"),
        ("AU4+AU12", "AU4:0.6+AU12:0.7"),
        ("none", "AU4:0.7"),
        ("AU4", "AU12:0.5"),
        ("AU12", ""),  # not coded: left out
    ]
    truth = [row(20 * i, 20 * i + 9, units=parse_units(t)) for i, (t, _) in enumerate(cells)]
    found = [row(20 * i, 20 * i + 9, units=parse_units(f)) for i, (_, f) in enumerate(cells)]
    report = score_tables(truth, found)["action_units"]
    assert (report["hits"], report["floor"]) == (4, 0.5)
    # AU4 scores 0.9, 0.6, 0 of the moved, 0.7 of the other: 1 of 3 pairs is in order
    assert report["units"]["AU4"] == {
        "support": 3, "tp": 2, "fp": 1, "fn": 1, "f1": pytest.approx(2 / 3), "auc": 1 / 3
    }  # fmt: skip
    # AU12 scores 0.7 of the moved; 0.2, 0 and 0.5 of the others
    assert report["units"]["AU12"] == {
        "support": 1, "tp": 1, "fp": 1, "fn": 0, "f1": pytest.approx(2 / 3), "auc": 1.0
    }  # fmt: skip
    assert report["mean_auc"] == pytest.approx(2 / 3)
    assert score_tables(truth, [row(0, 9)])["action_units"] is None


def test_of_rows_that_differ_in_units_alone_the_order_decides_nothing():
    truth = [row(0, 9, units=parse_units("AU4"))]
    found = [row(0, 9, units=parse_units(cell)) for cell in ("AU4", "AU12")]
    one, other = (score_tables(truth, rows)["action_units"] for rows in (found, found[::-1]))
    assert one == other


def test_a_unit_in_every_hit_has_no_auc():
    both = [row(0, 9, units=parse_units("AU1"))]
    report = score_tables(both, both)["action_units"]
    assert (report["units"]["AU1"]["auc"], report["mean_auc"], report["mean_f1"]) == (None, None, 1)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_auc_is_the_statistic_of_mann_and_whitney(samples):
    scores, truth = zip(*samples, strict=True)
    positive = [s for s, t in samples if t]
    negative = [s for s, t in samples if not t]
    if not positive or not negative:
        assert auc(scores, truth) is None
        return
    expected = mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
    assert auc(scores, truth) == pytest.approx(expected)
