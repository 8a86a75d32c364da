"""The ELAN file and the report page of a run's records."""

import datetime
import errno
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from microspot.realtime.errors import DataError
from microspot.realtime.sinks import atomic_file
from microspot.realtime.sinks.coding.coded_run import CodingSink
from microspot.realtime.sinks.coding.elan import document
from microspot.realtime.sinks.html_report import ReportSink, page
from microspot.realtime.sinks.open import open_sink

START = {
    "type": "start",
    "sources": [{"source": "a<b>.mp4", "started_utc": None, "fps": 30.0}],
    "engines": "packaged",
    "backend": "onnx",
    "why": "",
    "grid_hz": 30,
    "latency_ticks": {},
}


def ElanSink(path):  # noqa: N802 (a kind of sink, as the others)
    return CodingSink(path, document)


def event(status="final", onset=1.0, **changes):
    record = {
        "type": "event",
        "id": "1",
        "source": "a<b>.mp4",
        "face": 0,
        "status": status,
        "onset_s": onset,
        "apex_s": onset + 0.1,
        "offset_s": onset + 0.3,
        "onset_frame": 30,
        "apex_frame": 33,
        "offset_frame": 39,
        "score": 0.8,
        "label": "negative",
        "label_scores": {"negative": 0.9, "positive": 0.1},
        "intensity": [0.1, 0.5, 0.2],
        "emitted_s": onset + 1,
    }
    return record | changes


def test_elan_has_every_final_event_in_order_of_time(tmp_path):
    sink = ElanSink(tmp_path / "events.eaf")
    finals = (
        event(onset=2.0),
        event("provisional"),
        event(onset=1.0),
        event(onset=1.2),
        event(onset=1.3, face=1),
    )
    for record in (START, *finals):
        sink.take(record)
    # Read without closing the sink: each event is saved at once.
    root = ET.fromstring((tmp_path / "events.eaf").read_bytes())
    times = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")}
    assert list(times.values()) == sorted(times.values())
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    spans = [
        (times[annotation.get("TIME_SLOT_REF1")], times[annotation.get("TIME_SLOT_REF2")])
        for annotation in annotations
    ]
    assert spans == [
        *((1000, 1300), (2000, 2300), (1100, 1140), (2100, 2140)),
        *((1200, 1500), (1300, 1340)),
        *((1300, 1600), (1400, 1440)),
    ]
    values = {annotation.findtext("ANNOTATION_VALUE") for annotation in annotations}
    assert values == {"negative 0.90, spotted 0.80", "apex"}
    tiers = {tier.get("TIER_ID"): len(tier) for tier in root.iter("TIER")}
    assert tiers == {
        "face 1 micro-expression": 2,
        "face 1 micro-expression apex": 2,
        "face 1 micro-expression 2": 1,  # it overlaps
        "face 1 micro-expression 2 apex": 1,
        "face 2 micro-expression": 1,
        "face 2 micro-expression apex": 1,
    }
    # No time is shared, so that moving one annotation moves no other.
    assert len(times) == 2 * len(annotations)
    assert datetime.datetime.fromisoformat(root.get("DATE"))
    assert [path.name for path in tmp_path.iterdir()] == ["events.eaf"]


@pytest.mark.parametrize(("name", "kind"), [("e.eaf", CodingSink), ("e.HTML", ReportSink)])
def test_both_open_by_the_ending_of_their_file(tmp_path, name, kind):
    assert isinstance(open_sink(str(tmp_path / name)), kind)


def test_elan_of_nothing_is_a_file_that_opens(tmp_path):
    ElanSink(tmp_path / "events.eaf").write(START)
    root = ET.fromstring((tmp_path / "events.eaf").read_bytes())
    assert root.get("FORMAT") == "3.0"
    assert len(root.findall("TIER")) == 1


def test_the_report_names_everything_and_loads_nothing_from_outside():
    gap = {
        "type": "gap",
        "source": "x",
        "face": 0,
        "reason": "no <face>",
        "start_s": 2.0,
        "stop_s": 3.0,
    }
    end = {"type": "end", "source": "x", "frames": 120, "events": 1, "drops": {}}
    rest = gap | {"start_s": 3.0, "stop_s": 4.5}  # of the same outage
    text = page([START, event(), gap, rest, end])
    for words in (
        "2.00 to 4.50 s",
        "a&lt;b&gt;.mp4",
        "1 micro-expression in 120 frames",
        "negative 90%",
        "1.00 s",
        "30 to 39",
        "no &lt;face&gt;",
    ):
        assert words in text
    assert "http" not in text
    assert "<script" not in text
    assert "No micro-expressions" in page([START, end])


def test_an_event_without_a_recognizer_is_reported_too():
    plain = event(label=None, label_scores=None, intensity=None, apex_s=None, apex_frame=None)
    assert "micro-expression" in page([START, plain])


def test_what_moved_stands_beside_the_name_where_the_event_says_it():
    unit = {"au": "AU12", "side": "L", "px": 1.2, "size": "c", "score": 0.88}
    region = {"name": "mouth corner", "side": "L", "px": 1.2, "size": "c", "score": 0.9}
    row = page([START, event(action_units=[unit], region=region)])
    said = "mouth corner, left; AU12 left, 1.2 px (c) 88%"
    assert f"<td>negative 90%; {said}</td>" in row
    assert "<td>negative 90%</td>" in page([START, event()])
    nameless = page([START, event(label=None, label_scores=None, action_units=[], region=region)])
    assert "<td>micro-expression; mouth corner, left</td>" in nameless


def test_a_run_that_never_began_has_no_report(tmp_path):
    with ReportSink(tmp_path / "report.html"):
        pass
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("kind", [ElanSink, ReportSink])
def test_a_path_that_cannot_be_written_is_refused_before_the_run(tmp_path, kind):
    with pytest.raises(DataError, match="directory does not exist"):
        kind(tmp_path / "no" / "file")
    with pytest.raises(DataError, match="Is a directory"):
        kind(tmp_path)


def write(kind, path):
    sink = kind(path)
    sink.write(START)
    write_and_close(sink)


@pytest.mark.parametrize("kind", [ElanSink, ReportSink])
def test_a_page_that_fails_keeps_the_old_one_and_leaves_nothing_beside_it(
    tmp_path, kind, monkeypatch
):
    path = tmp_path / "page"
    write(kind, path)
    old = path.read_bytes()
    sink = kind(path)
    sink.write(START)
    before = path.read_bytes()
    monkeypatch.setattr(atomic_file.os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot write .*page: No space left"):
        write_and_close(sink)  # ELAN fails at the event, the report at the end
    assert path.read_bytes() == before
    assert kind is ElanSink or before == old, "the report of an earlier run"
    assert [file.name for file in tmp_path.iterdir()] == ["page"]


def write_and_close(sink):
    sink.write(event())
    sink.close()


def full(descriptor):
    """Fail once something is written, as a disk that fills up."""
    assert os.fstat(descriptor).st_size > 0
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("kind", [ElanSink, ReportSink])
@pytest.mark.parametrize("name", ["page", "n" * 255])
def test_the_part_left_by_a_killed_run_is_removed_by_the_next(tmp_path, kind, name):
    (tmp_path / (name[:250] + ".part")).write_text("half of a page")
    write(kind, tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("kind", [ElanSink, ReportSink])
def test_a_link_stays_a_link_and_a_device_a_device(tmp_path, kind):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(kind, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert b"negative" in (tmp_path / "file").read_bytes()
    (tmp_path / "null").symlink_to("/dev/null")
    write(kind, tmp_path / "null")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(DataError, match="No space left"):
        write(kind, tmp_path / "full")
