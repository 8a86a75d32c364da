"""Odd names of sources and outputs: every output shows them printable, and nothing breaks."""

import csv
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.aligner import FixedAligner
from microspot.engines.errors import DataError, MicrospotError, SourceError, UsageError
from microspot.engines.text.redaction import printable
from microspot.realtime.config import Settings
from microspot.realtime.overlay import draw
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Event, Frame, SourceWarning, WarningKind
from microspot.realtime.session import Session
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.video_writer import VideoSink
from microspot.realtime.sources.address import parse
from microspot.realtime.sources.open import open_source, open_sources
from microspot.realtime.sources.push import PushSource
from microspot.realtime.watch import follow
from tests import fakes
from tests.clips import write_still
from tests.forked import run_python

NOT_UTF8 = os.fsdecode(b"v\xb1\xed.mp4")
ODD = [NOT_UTF8, "a\x1bb.mp4", "new\nline.mp4", "\u202egpj.mp4", "nel\x85.mp4"]
OUTPUTS = ("e.jsonl", "e.csv", "e.eaf", "e.html", "e.mp4")
LIMIT = 255  # bytes of a file's name


class Foreign:
    """A source that someone else wrote, with a name as it came."""

    live = False
    pace = False
    epoch = 0
    started_utc = None
    rate_hz = 30.0

    def __init__(self, name, frames=60):
        self.name = name
        self.frames = frames
        self.drops = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    close = __exit__

    def __iter__(self):
        features = fakes.features(np.random.default_rng(3), self.frames, activity=0.4)
        for i in range(self.frames):
            image = np.zeros((48, 64, 3), np.uint8)
            image[0, : fakes.L, 2] = np.round(features[:, i] * 16)
            yield Frame(self.name, i, i * 10**9 // 30, image)


def pipeline(*sources):
    return Pipeline(
        sources,
        fakes.engine_set(),
        Settings(),
        aligner=lambda spec, _: FixedAligner(np.eye(2, 3), spec.side),
    )


@pytest.mark.parametrize("name", ODD[:2])
def test_every_output_has_the_clean_name_whoever_made_the_source(tmp_path, name):
    expected = printable(name)
    with pipeline(Foreign(name)) as run:
        assert follow(run, [open_sink(str(tmp_path / out)) for out in OUTPUTS]).code == 0
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert (
        {line["source"] for line in lines[1:]} == {lines[0]["sources"][0]["source"]} == {expected}
    )
    assert any(line["type"] == "event" for line in lines)
    with (tmp_path / "e.csv").open(newline="", encoding="utf-8") as file:
        assert {row["video"] for row in csv.DictReader(file)} == {expected}
    assert [each.text for each in ET.parse(tmp_path / "e.eaf").iter("PROPERTY")] == [expected]
    assert expected in (tmp_path / "e.html").read_text(encoding="utf-8")
    assert (tmp_path / "e.mp4").stat().st_size


def test_ids_hash_the_clean_name():
    def ids(name):
        with pipeline(Foreign(name)) as run:
            return [record.id for record in run.run() if isinstance(record, Event)]

    assert ids(NOT_UTF8) == ids(printable(NOT_UTF8)) != ids("other.mp4")
    assert (
        Session(fakes.engine_set(), NOT_UTF8).source
        == PushSource(NOT_UTF8).name
        == r"v\xb1\xed.mp4"
    )


CRASHES = """
import numpy as np
from microspot.realtime.overlay import draw
picture = draw.draw(np.zeros((480, 640, 3), np.uint8), [], notes=["recording to v\\udcb1.mp4"])
same = draw.draw(np.zeros((480, 640, 3), np.uint8), [], notes=["recording to v\\\\xb1.mp4"])
print(np.array_equal(picture, same))
"""


def test_half_a_character_does_not_end_the_process_that_draws_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CRASHES], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    with VideoSink(tmp_path / NOT_UTF8) as sink:
        assert sink.note == r"recording to v\xb1\xed.mp4"
        sink.draw(Frame("x", 0, 0, np.zeros((48, 64, 3), np.uint8)), [])
    assert (tmp_path / NOT_UTF8).stat().st_size


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".eaf", ".html"])
def test_outputs_may_be_called_so_too(tmp_path, ending):
    for name in ODD[:3]:
        path = tmp_path / name.replace(".mp4", ending)
        with pipeline(Foreign("x", frames=20)) as run:
            follow(run, [open_sink(str(path))])
        assert path.stat().st_size


def test_names_are_read_from_paths(tmp_path):
    for name in ODD:
        write_still(tmp_path / "wall.mp4", 3, 90).rename(tmp_path / name)
        with open_source(str(tmp_path / name)) as source:
            assert {record.source for record in source} == {source.name} == {printable(name)}
    (tmp_path / NOT_UTF8.removesuffix(".mp4")).mkdir()
    paths = [tmp_path / "x.mp4", tmp_path / NOT_UTF8.removesuffix(".mp4") / "x.mp4"]
    for path in paths:
        write_still(path, 3, 90)
    assert [source.name for source in open_sources(list(map(str, paths)))] == [
        "x.mp4",
        r"v\xb1\xed/x.mp4",
    ]
    assert parse("/").name == "/"


@pytest.mark.parametrize("uri", ["a\0b.mp4", "half \ud800.mp4", "env:\ud800"])
def test_what_no_file_can_be_called_is_a_usage_error(uri):
    with pytest.raises(UsageError, match="called so"):
        open_source(uri)


@pytest.mark.parametrize(
    "uri", ["x" * (LIMIT + 1) + ".mp4", "x" * (LIMIT + 1), "folder/" * 700 + "x.mp4"]
)
def test_a_name_too_long_is_a_source_or_an_output_that_cannot_be_opened(uri):
    with pytest.raises(SourceError, match="too long"):
        open_source(uri)
    with pytest.raises(DataError, match="too long"):
        open_sink(uri.removesuffix(".mp4") + ".jsonl")


def test_a_name_of_just_the_allowed_length_is_read(tmp_path):
    path = write_still(tmp_path / "wall.mp4", 3, 90).rename(
        tmp_path / ("\x1b" * (LIMIT - 4) + ".mp4")
    )
    with open_source(str(path)) as source:
        assert len([record for record in source if isinstance(record, Frame)]) == 3
        assert len(source.name) == 4 * (LIMIT - 4) + 4


def test_a_number_is_the_folder_or_file_of_that_name_and_else_a_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [parse(uri).kind for uri in ("006", "0", "/dev/video6", "٣")] == [
        "camera",
        "camera",
        "camera",
        "file",
    ]
    (tmp_path / "006").mkdir()
    write_still(tmp_path / "wall.mp4", 3, 90).rename(tmp_path / "0")
    assert [parse(uri).kind for uri in ("006", "0", "/dev/video6", "6")] == [
        "folder",
        "file",
        "camera",
        "camera",
    ]
    with pytest.raises(SourceError, match="/dev/video6"):  # it holds no image
        open_source("006")
    cv2.imwrite(str(tmp_path / "006" / "1.png"), np.zeros((8, 8, 3), np.uint8))
    assert [record.source for record in open_source("006") if isinstance(record, Frame)] == ["006"]


def microspot(*arguments, timeout=120):
    """Runs the command on arguments of any bytes."""
    return run_python("-m", "microspot.realtime", *arguments, timeout=timeout)


def test_what_is_no_file_ends_in_one_line(tmp_path):
    os.mkfifo(tmp_path / "fifo.mp4")
    for uri in (tmp_path / "fifo.mp4", "/dev/zero", "/dev/fd/0"):
        with pytest.raises(SourceError, match="not a file"):
            open_source(str(uri))
    done = microspot("watch", os.fsdecode(b"no\xb1\x1b[31m.mp4"))
    assert done.returncode == 3
    assert done.stderr == "microspot: no\\xb1\\x1b[31m.mp4: no such file; give a video to read\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["watch", "rtsp://u:my secret@127.0.0.1:9/live/secret01/x?jwt=secret"], 3),
        (["watch", "sample", "--out", "rtsp://u:secret@h/x?key=my secret"], 2),
        (["bench", "sample", "rtsp://u:secret@h/x"], 2),
        (["watch", "sample", "--out", "x" * 300 + ".jsonl"], 5),
    ],
)
def test_no_output_or_error_tells_a_secret(arguments, code):
    done = microspot(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "call",
    [
        lambda: open_source("ftp://u:secret@h/x"),
        lambda: open_source("u:secret@10.0.0.5/x"),
        lambda: open_source("rtsp//u:secret@10.0.0.5"),
        lambda: open_source("env:rtsp://u:secret@h/x"),
        lambda: open_sink("rtsp://u:my secret@h/x"),
        lambda: open_sink("u:secret@h/x.jsonl"),
        lambda: Settings.load(Path("rtsp://u:secret@h/x")),
    ],
)
def test_no_mistyped_option_tells_a_secret(call):
    with pytest.raises(MicrospotError) as caught:
        call()
    assert "secret" not in str(caught.value)


def test_streams_that_differ_in_what_is_hidden_are_told_apart():
    uris = [f"rtsp://h/live/secret{i}/x" for i in range(3)]
    names = [source.name for source in open_sources(uris)]
    assert names == ["rtsp://h/live/***/x", "rtsp://h/live/***/x#2", "rtsp://h/live/***/x#3"]


def test_evaluate_names_its_sources_without_secrets(monkeypatch):
    from microspot.realtime import evaluate

    monkeypatch.setattr(evaluate, "open_sources", lambda uris, **_: [])
    report = evaluate.evaluate(["rtsp://u:secret@h/x", "sample"], fakes.engine_set(), Settings())
    assert report["sources"] == ["rtsp://***@h/x", "sample"]


def test_a_table_shows_names_with_brackets_as_they_are(capsys):
    from microspot.realtime.commands.reports import print_report

    print_report({"sources": ["clip[/b][bold].mp4"]}, as_json=False)
    assert "clip[/b][bold].mp4" in capsys.readouterr().out


def test_sinks_that_are_given_records_by_others_stay_well_formed(tmp_path):
    start = {
        "type": "start",
        "sources": [{"source": NOT_UTF8, "started_utc": None}],
        "engines": "x",
        "backend": "x",
    }
    event = {
        "type": "event",
        "id": "1",
        "source": ODD[1],
        "face": 0,
        "status": "final",
        "onset_s": 1.0,
        "apex_s": 1.1,
        "offset_s": 1.2,
        "onset_frame": 1,
        "apex_frame": 2,
        "offset_frame": 3,
        "score": 0.9,
        "label": None,
        "label_scores": None,
        "intensity": None,
        "emitted_s": 2.0,
    }
    for name in ("e.eaf", "e.html"):
        with open_sink(str(tmp_path / name)) as sink:
            for record in (start | {"grid_hz": 30}, event):
                sink.write(record)
    assert any(
        r"a\x1bb.mp4" in tier.get("TIER_ID") for tier in ET.parse(tmp_path / "e.eaf").iter("TIER")
    )
    assert r"v\xb1\xed.mp4" in (tmp_path / "e.html").read_text(encoding="utf-8")


def test_the_words_of_a_source_are_one_line_of_warning():
    class Talking(Foreign):
        def __iter__(self):
            yield SourceWarning(self.name, WarningKind.FILES, "one\ntwo\x1b[2J rtsp://u:secret@h/x")
            yield from super().__iter__()

    with pipeline(Talking("x", frames=3)) as run:
        assert r"x: one two\x1b[2J rtsp://***@h/x" in follow(run, []).warnings


def test_a_picture_of_any_name_is_drawn():
    assert draw.draw(np.zeros((48, 64, 3), np.uint8), [], notes=ODD).any()
    assert Path(NOT_UTF8).name == NOT_UTF8
