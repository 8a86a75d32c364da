"""Channels, blinks, trials and their figures, on records that tests write for themselves."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from microspot.realtime.analyze.session_report.blinks import blink_starts
from microspot.realtime.analyze.session_report.channels import COLUMNS, Channels
from microspot.realtime.analyze.session_report.section import section
from microspot.realtime.analyze.session_report.sink import CHANNELS, SESSION, SessionSink
from microspot.realtime.analyze.session_report.statistics import (
    LEAST_LATENCIES,
    Rate,
    latency_of,
    permutation_test,
)
from microspot.realtime.analyze.session_report.trials import Trial, by_condition, trials
from microspot.realtime.errors import DataError

HZ = 30
START = {"type": "start", "grid_hz": HZ, "sources": [{"source": "clip"}]}


def tick(at: int, face: int = 0, blink: float | None = 0.1) -> dict[str, Any]:
    confounders = None if blink is None else {"blink": blink, "speech": 0.9}
    return {"type": "scores", "at_s": at / HZ, "face": face, "confounders": confounders}


def measured(frame: int, face: int = 0, **changes: Any) -> dict[str, Any]:
    record = {"type": "face", "at_s": frame / HZ, "frame": frame, "face": face}
    record |= {"quality": 0.9, "width_px": 100.0, "yaw": 1.5, "pitch": -3.0, "roll": 0.5}
    return record | {"eyes_open": None, "eyes_at_s": None} | changes


def event(name: str, onset_s: float) -> dict[str, Any]:
    return {"type": "event", "id": name, "status": "final", "onset_s": onset_s}


def marker(at_s: float, value: str) -> dict[str, Any]:
    return {"type": "marker", "at_s": at_s, "value": value}


def written(folder: Path, records: list[dict[str, Any]], **options: Any) -> SessionSink:
    with SessionSink(folder, **options) as sink:
        for record in [START, *records]:
            sink.take(record)
    return sink


def test_ticks_in_a_row_are_one_blink_unless_they_are_too_few() -> None:
    share = np.array([0.5, 0.9, 0.9, 0.6, 0.4, 0.6, 0.6, 0.7, 0.1, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8])
    at = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 21, 22, 23])  # away from 10 to 20
    assert (blink_starts(at / HZ, share, 1 / HZ) * HZ).tolist() == [0, 20]
    assert not len(blink_starts(np.empty(0), np.empty(0), 1 / HZ))


def test_a_row_has_what_is_known_of_a_face_and_the_blink_at_its_nearest_tick(
    tmp_path: Path,
) -> None:
    records = [measured(0), measured(0, face=1), measured(1)]
    records += [measured(9, eyes_open=[0.3, 0.25], eyes_at_s=0.0)]  # of the first frame
    records += [tick(0, blink=0.25), tick(0, face=1, blink=0.75), tick(1, blink=0.5)]
    written(tmp_path, [*records, measured(11, face=2, yaw=None, pitch=None, roll=None)])
    with (tmp_path / CHANNELS).open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS
    assert rows[0] == ["0", "0", "0", "0.9", "100", "1.5", "-3", "0.5", "0.3", "0.25", "0.25"]
    assert [row[1:3] for row in rows] == [
        ["0", "0"],
        ["0", "1"],
        ["1", "0"],
        ["9", "0"],
        ["11", "2"],
    ]
    assert [row[8:] for row in rows[1:]] == [
        ["", "", "0.75"],
        ["", "", "0.5"],
        ["", "", ""],  # no tick near it
        ["", "", ""],
    ]
    assert rows[-1][5:8] == ["", "", ""]


def test_without_a_face_there_are_no_blinks() -> None:
    assert Channels().blinks() == 0


def test_blinks_are_counted_for_each_face_and_not_where_the_weights_do_not_say(
    tmp_path: Path,
) -> None:
    closed = [tick(at, face, blink=0.8) for at in range(4) for face in (0, 1)]
    again = [tick(at, blink=0.9) for at in range(5, 9)]
    summary = written(tmp_path, [*closed, tick(4), *again]).summary
    assert summary["blinks"]["count"] == 3
    assert summary["blinks"]["seen_s"] == pytest.approx(13 / HZ, abs=1e-3)
    silent = written(tmp_path, [tick(0, blink=None)])
    assert silent.summary["blinks"] is None
    assert "do not tell blinks" in silent.section()


def test_a_window_ends_with_the_next_marker_and_counts_what_was_seen() -> None:
    seen_s = np.arange(0, 20, 0.1)
    seen_s = seen_s[(seen_s < 6) | (seen_s >= 8)]
    given = [(12.0, "b"), (0.0, "a"), (3.0, "b"), (12.0, "a")]
    onsets_s = {"1": 0.0, "2": 2.9, "3": 3.0, "4": 7.9, "5": 8.0, "6": 16.0}
    found = trials(given, onsets_s, seen_s, 0.1, window_s=5.0)
    assert [(t.condition, t.start_s, t.stop_s) for t in found] == [
        ("a", 0, 3),
        ("b", 3, 8),
        ("a; b", 12, 17),
    ]
    assert [t.seen_s for t in found] == pytest.approx([3, 3, 5])
    assert [list(t.latencies) for t in found] == [["1", "2"], ["3", "4"], ["6"]]
    assert found[1].latencies["4"] == pytest.approx(4.9)
    assert list(by_condition(found)) == ["a", "a; b", "b"]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_rate_has_the_exact_interval_of_chi_squared(count: int) -> None:
    told = Rate(count, 90.0).to_json()
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0
    high = chi2.ppf(0.975, 2 * count + 2) / 2
    assert told["per_min"] == pytest.approx(count / 1.5, abs=1e-4)
    assert told["interval_per_min"] == pytest.approx([low / 1.5, high / 1.5], abs=1e-4)
    assert Rate(count, 0.0).to_json()["per_min"] is None


def of_counts(condition: str, counts: list[int], seen_s: float = 3.0) -> list[Trial]:
    latencies = [{str(i): 0.5 + 0.1 * i for i in range(count)} for count in counts]
    return [Trial(condition, 0, 5, seen_s, each) for each in latencies]


def test_the_median_latency_has_an_interval_where_there_are_enough() -> None:
    few = latency_of(of_counts("a", [LEAST_LATENCIES - 1]))
    assert few == {"median": 0.65, "interval": None}
    enough = latency_of(of_counts("a", [LEAST_LATENCIES, 0, 2]))
    low, high = enough["interval"]
    assert 0.5 <= low < enough["median"] < high <= 0.9
    assert enough == latency_of(of_counts("a", [LEAST_LATENCIES, 0, 2])), "the same draws"
    assert latency_of(of_counts("a", [0]))["median"] is None


def test_the_permutation_test_counts_the_orders_that_differ_as_much() -> None:
    """Of the 70 ways to halve eight trials, two differ as much as three against none."""
    extreme = {"a": of_counts("a", [3, 3, 3, 3]), "b": of_counts("b", [0, 0, 0, 0])}
    assert permutation_test(extreme) == {
        "conditions": ["a", "b"],
        "p": pytest.approx(2 / 70, abs=1e-4),
    }
    alike = {"a": of_counts("a", [3, 0, 3, 0]), "b": of_counts("b", [0, 3, 0, 3])}
    assert permutation_test(alike)["p"] == 1
    halved = {"a": of_counts("a", [1] * 4, 6.0), "b": of_counts("b", [2] * 4, 12.0)}
    assert permutation_test(halved) is None, "the same rate"
    third = extreme | {"c": of_counts("c", [1])}
    assert permutation_test(third)["conditions"] == ["a", "b"], "one trial is not compared"
    unseen = {"a": of_counts("a", [3, 3]), "b": of_counts("b", [0, 0], seen_s=0)}
    assert permutation_test(unseen) is None


RECORDS = [
    *(tick(at) for at in range(20 * HZ)),
    *(measured(frame, yaw=frame / HZ) for frame in range(20 * HZ)),
    *(marker(at_s, value) for at_s, value in ((-1, "early"), (1, "<s>"), (8, "b"), (15, "<s>"))),
    event("x", 2.5),
    event("y", 9.0),
    event("z", 7.0),
]


def test_the_figures_of_a_session_stand_in_its_file_and_its_section(tmp_path: Path) -> None:
    sink = written(tmp_path, RECORDS, window_s=4.0)
    told = json.loads((tmp_path / SESSION).read_text())
    assert told == sink.summary
    assert told["channels"]["yaw"] == pytest.approx([1, 10, 19], abs=0.1)
    responses = told["responses"]
    assert [(c["condition"], c["markers"], c["count"]) for c in responses["conditions"]] == [
        ("<s>", 2, 1),
        ("b", 1, 1),
    ]
    assert responses["conditions"][0]["seen_s"] == pytest.approx(8, abs=0.1)
    outside = responses["outside"]
    assert (outside["count"], outside["seen_s"]) == (1, pytest.approx(8, abs=0.1))
    assert responses["latencies_s"] == [
        {"id": "x", "condition": "<s>", "latency_s": 1.5},
        {"id": "y", "condition": "b", "latency_s": 1.0},
    ]
    text = section(told)
    assert "<td>&lt;s&gt;</td><td>2</td><td>8.0 s</td><td>1</td>" in text
    assert "<th>median</th>" in text
    assert "<td>width</td><td>100 px</td><td>100 px</td><td>100 px</td>" in text
    assert "early" not in text
    assert all(re.sub(r"\s+", " ", words) in text for words in told["cannot_show"])
    assert text.count("<table>") == text.count("</table>") == 2


def test_without_markers_or_a_face_the_files_are_whole(tmp_path: Path) -> None:
    sink = written(tmp_path, [])
    assert json.loads((tmp_path / SESSION).read_text())["responses"] is None
    assert (tmp_path / CHANNELS).read_text() == ",".join(COLUMNS) + "\n"
    assert "<table>" not in sink.section()
    with pytest.raises(DataError, match="cannot write"):
        written(tmp_path / "missing", [])
