"""An uploaded video: bounded, opened as every file is, deleted once analysed.

Its results go with the page.
"""

import csv
import itertools
import json
import tempfile
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from microspot.demo.views import analyse as analyse_module
from microspot.engines.loading import load_engines
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Event, Frame
from microspot.realtime.sources.open import open_source
from tests.clips import write_clip, write_still
from tests.demo.serving import (
    ask,
    connect_page,
    messages,
    send_json,
    serving,
    until,
    wait_for,
    worded,
)

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    with open_source("sample:synthetic:7") as source:
        images = [r.image for r in itertools.islice(source, 110) if isinstance(r, Frame)]
    return write_clip(tmp_path_factory.mktemp("clip") / "face.mp4", images)


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """Where the demo's temporary folders come to lie."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: list(tmp_path.glob("microspot-*"))


def upload(page, data, name="face.mp4", **more):
    """Send `data` as the page does, piece by piece as asked."""
    until(page, "ready")
    send_json(page, type="upload", name=name, size=len(data), **more)
    for message in messages(page):
        if message["type"] != "more":
            return message
        page.send(data[message["from"] : message["upto"]])
        if message["upto"] == len(data):
            return message
    raise AssertionError


def test_the_results_are_those_of_the_file_and_go_with_the_page(clip, folders):
    with load_engines() as engines, Pipeline([open_source(str(clip))], engines) as pipeline:
        expected = [
            r.to_json() for r in pipeline.run() if isinstance(r, Event) and r.status == "final"
        ]
    assert expected
    with serving(load_engines, chunk_bytes=100_000) as port:
        with connect_page(port, "analyse") as page:
            upload(page, clip.read_bytes())
            done, before = until(page, "done")
            seen = [m for m in before if m["type"] == "event" and m["status"] == "final"]
            assert seen == [worded(event) for event in expected]
            assert before[-1]["type"] in ("end", "note")
            assert [m for m in before if m["type"] == "frame"][-1]["share"] > 0.8
            (folder,) = folders()
            assert list(folder.rglob("events.csv"))
            assert not list(folder.rglob("upload"))
            files = {name: ask(port, f"/demo/{url}")[::2] for name, url in done["files"].items()}
            assert {status for status, _ in files.values()} == {200}
            lines = [json.loads(line) for line in files["events.jsonl"][1].splitlines()]
            assert [line for line in lines if line["type"] == "event"] == expected
            rows = list(csv.DictReader(files["events.csv"][1].decode().splitlines()))
            assert [int(row["onset"]) for row in rows] == [
                event["onset_frame"] for event in expected
            ]
            tree = ET.fromstring(files["events.eaf"][1])
            tiers = tree.findall("TIER[@LINGUISTIC_TYPE_REF='micro-expression']")
            assert sum(len(tier) for tier in tiers) == len(expected)
            assert b"ftyp" in files["overlay.mp4"][1][:16]
            assert "face.mp4" in files["report.html"][1].decode()
            path = f"/demo/{done['files']['events.csv']}"
            assert ask(port, path.replace("events.csv", "upload"))[0] == 404
            assert ask(port, path.replace("events.csv", "..%2f..%2fetc%2fpasswd"))[0] == 404
        wait_for(lambda: not folders())
        assert ask(port, path)[0] == 404


def test_the_sample_needs_no_upload_and_has_results(folders):
    with serving(load_engines) as port:
        with connect_page(port, "analyse") as page:
            until(page, "ready")
            send_json(page, type="sample", threshold=0.95)
            done, before = until(page, "done")
            start = next(m for m in before if m["type"] == "start")
            assert start["t_crn"] == 0.95
            assert any(m["type"] == "event" and m["status"] == "final" for m in before)
            assert [m for m in before if m["type"] == "frame"][-1]["share"] > 0.9
            assert ask(port, f"/demo/{done['files']['overlay.mp4']}")[0] == 200
            send_json(page, type="sample")
            assert "one video at a time" in until(page, "error")[0]["message"]
        wait_for(lambda: not folders())


REFUSED = [
    (PLAYLIST, "holiday.mp4", "not a video that can be read"),
    (b"hello, I am a text", "film.mp4", "not a video that can be read"),
    (b"", "film.mp4", "empty"),
    (bytes(3000), "big.mp4", "at most"),
]


@pytest.mark.parametrize(("data", "name", "words"), REFUSED)
def test_what_is_no_video_is_refused_in_words(data, name, words, folders):
    with serving(upload_bytes=2000) as port:
        with connect_page(port, "analyse") as page:
            answer = upload(page, data, name)
            message = answer if answer["type"] == "error" else until(page, "error")[0]
            assert words in message["message"]
            assert "microspot-" not in message["message"]  # no path of the server
        with connect_page(port, "analyse") as page:
            assert until(page, "ready")
        wait_for(lambda: not folders())


def two_hours(path, **options):
    """A video of three seconds, and a last frame two hours later."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "0"})
        stream.width = 320
        stream.height = 240
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        for index in (*range(90), 2 * 60 * 60 * 30):
            picture = av.VideoFrame.from_ndarray(
                np.full((240, 320, 3), 90, np.uint8), format="bgr24"
            )
            picture.pts = index
            picture.time_base = Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path.read_bytes()


def test_a_video_of_two_hours_is_refused_by_its_head(tmp_path):
    with serving() as port, connect_page(port, "analyse") as page:
        upload(page, two_hours(tmp_path / "long.mp4"), "../../long.mp4")
        assert (
            until(page, "error")[0]["message"]
            == "long.mp4: 7200 s long, expected at most 600 s; cut it"
        )


def test_a_video_of_two_hours_that_does_not_say_so_is_analysed_as_far_as_allowed(tmp_path):
    data = two_hours(tmp_path / "live.mkv", live="1")  # as browsers record
    with serving() as port, connect_page(port, "analyse") as page:
        upload(page, data, "live.mkv")
        done, before = until(page, "done")
        assert "live.mkv: only the first 600 s were analysed" in before[-1]["message"]
        assert next(m for m in before if m["type"] == "end")["frames"] == 90
        assert b"only the first 600 s" in ask(port, "/demo/" + done["files"]["events.jsonl"])[2]


def test_the_newest_results_take_the_place_of_the_oldest(tmp_path, folders):
    data = write_still(tmp_path / "wall.mp4", 10, 120).read_bytes()
    with (
        serving(results=1) as port,
        connect_page(port, "analyse") as first,
        connect_page(port, "analyse") as second,
    ):
        urls = []
        for page in (first, second):
            upload(page, data)
            urls.append(until(page, "done")[0]["files"]["report.html"])
        assert "newer results" in until(first, "error")[0]["message"]
        assert [ask(port, f"/demo/{url}")[0] for url in urls] == [404, 200]
        wait_for(lambda: len(folders()) == 1)


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="no /dev/full: a full disk cannot be played"
)
def test_a_full_disk_is_told(monkeypatch, tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setattr(analyse_module, "UPLOAD", str(tmp_path / "full"))
    with serving() as port, connect_page(port, "analyse") as page:
        upload(page, b"film")
        assert "No space left" in until(page, "error")[0]["message"]


def test_results_that_cannot_be_written_are_told_without_their_path(monkeypatch, tmp_path, folders):
    monkeypatch.setattr(analyse_module, "FILES", ("no/events.csv",))
    with serving() as port, connect_page(port, "analyse") as page:
        upload(page, write_still(tmp_path / "wall.mp4", 10, 120).read_bytes())
        assert until(page, "error")[0]["message"].startswith(
            "cannot write no/events.csv: its directory"
        )


def test_what_nobody_expected_is_told_too_and_logged(monkeypatch, caplog):
    monkeypatch.setattr(analyse_module, "_append", lambda path, data: 1 / 0)
    with serving() as port, connect_page(port, "analyse") as page:
        upload(page, b"film")
        assert "went wrong here" in until(page, "error")[0]["message"]
    assert "ZeroDivisionError" in caplog.text


def test_an_upload_that_is_longer_than_it_said_is_ended(folders):
    with serving() as port, connect_page(port, "analyse") as page:
        until(page, "ready")
        send_json(page, type="upload", name="x.mp4", size=10)
        until(page, "more")
        page.send(bytes(11))
        assert "went wrong" in until(page, "error")[0]["message"]


OFFERS = [
    ({}, "size"),
    ({"size": "1"}, "size"),
    ({"size": -1}, "size"),
    ({"size": 10**400}, "size"),
    ({"size": 0.5}, "empty"),
]


@pytest.mark.parametrize(("offer", "words"), OFFERS)
def test_a_malformed_offer_is_refused(offer, words):
    with serving() as port, connect_page(port, "analyse") as page:
        until(page, "ready")
        send_json(page, type="upload", **offer)
        assert words in until(page, "error")[0]["message"]


def test_a_page_that_leaves_in_the_middle_leaves_nothing(clip, folders):
    with serving(load_engines) as port:
        with connect_page(port, "analyse") as page:
            upload(page, clip.read_bytes())
            until(page, "start")
        wait_for(lambda: not folders())
