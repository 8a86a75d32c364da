"""An uploaded video: bounded, opened as every file is, deleted once analysed; its results go with the page."""

import csv
import http.client
import json
import tempfile
import xml.etree.ElementTree as ET

import pytest

from engines.runtime.select import load_engines
from realtime.pipeline import Pipeline
from realtime.records import Event
from realtime.sources import open_source
from tests.clips import write_clip, write_still
from tests.demo.serving import messages, say, serving, until, visit, wait_for

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    import itertools

    from realtime.records import Frame

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
    say(page, type="upload", name=name, size=len(data), **more)
    for message in messages(page):
        if message["type"] != "more":
            return message
        page.send(data[message["from"] : message["upto"]])
        if message["upto"] == len(data):
            return message
    raise AssertionError


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def test_the_results_are_those_of_the_file_and_go_with_the_page(clip, folders):
    with load_engines() as engines, Pipeline([open_source(str(clip))], engines) as pipeline:
        expected = [r.to_json() for r in pipeline.run() if isinstance(r, Event) and r.status == "final"]
    assert expected
    with serving(load_engines, chunk_bytes=100_000) as port:
        with visit(port, "analyse") as page:
            upload(page, clip.read_bytes())
            done, before = until(page, "done")
            seen = [m for m in before if m["type"] == "event" and m["status"] == "final"]
            assert seen == expected
            assert before[-1]["type"] in ("end", "note")
            assert [m for m in before if m["type"] == "frame"][-1]["share"] > 0.8
            (folder,) = folders()
            assert not (folder / "upload").exists()
            files = {name: get(port, url) for name, url in done["files"].items()}
            assert {status for status, _ in files.values()} == {200}
            lines = [json.loads(line) for line in files["events.jsonl"][1].splitlines()]
            assert [line for line in lines if line["type"] == "event"] == expected
            rows = list(csv.DictReader(files["events.csv"][1].decode().splitlines()))
            assert [int(row["onset"]) for row in rows] == [event["onset_frame"] for event in expected]
            tree = ET.fromstring(files["events.eaf"][1])
            assert len(tree.findall(".//ALIGNABLE_ANNOTATION")) == len(expected)
            assert b"ftyp" in files["overlay.mp4"][1][:16]
            assert "face.mp4" in files["report.html"][1].decode()
            path = done["files"]["events.csv"]
            assert get(port, path.replace("events.csv", "upload"))[0] == 404
            assert get(port, path.replace("events.csv", "..%2f..%2fetc%2fpasswd"))[0] == 404
        wait_for(lambda: not folders())
        assert get(port, path)[0] == 404


REFUSED = [
    (PLAYLIST, "holiday.mp4", "not a video that can be read"),
    (b"hello, I am a text", "film.mp4", "not a video that can be read"),
    (b"", "film.mp4", "empty"),
    (bytes(3000), "big.mp4", "at most"),
]


@pytest.mark.parametrize(("data", "name", "words"), REFUSED)
def test_what_is_no_video_is_refused_in_words(data, name, words, folders):
    with serving(upload_bytes=2000) as port:
        with visit(port, "analyse") as page:
            answer = upload(page, data, name)
            message = answer if answer["type"] == "error" else until(page, "error")[0]
            assert words in message["message"]
            assert "microspot-" not in message["message"]  # no path of the server
        with visit(port, "analyse") as page:
            assert until(page, "ready")
        wait_for(lambda: not folders())


def test_a_video_that_is_too_long_is_refused_by_its_head(tmp_path):
    data = write_still(tmp_path / "long.mp4", 90, 100).read_bytes()
    with serving(upload_seconds=2) as port, visit(port, "analyse") as page:
        upload(page, data, "../../long.mp4")
        assert until(page, "error")[0]["message"] == "long.mp4: 3 s long, expected at most 2 s; cut it"


def test_an_upload_that_is_longer_than_it_said_is_ended(folders):
    with serving() as port, visit(port, "analyse") as page:
        until(page, "ready")
        say(page, type="upload", name="x.mp4", size=10)
        until(page, "more")
        page.send(bytes(11))
        assert "went wrong" in until(page, "error")[0]["message"]


@pytest.mark.parametrize("size", [{}, {"size": "1"}, {"size": -1}])
def test_a_malformed_offer_is_refused(size):
    with serving() as port, visit(port, "analyse") as page:
        until(page, "ready")
        say(page, type="upload", **size)
        assert "size" in until(page, "error")[0]["message"]


def test_a_page_that_leaves_in_the_middle_leaves_nothing(clip, folders):
    with serving(load_engines) as port:
        with visit(port, "analyse") as page:
            upload(page, clip.read_bytes())
            until(page, "start")
        wait_for(lambda: not folders())
