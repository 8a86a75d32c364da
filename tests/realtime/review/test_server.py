"""What the page asks of the server, and who may ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install '.[demo]'")

from starlette.testclient import TestClient

from microspot.engines.alignment.aligner import FixedAligner
from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.review import server
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.frames import Frames
from microspot.realtime.review.page import build_page
from microspot.realtime.review.replay import Replays
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.session import Review
from microspot.realtime.review.store import Store
from tests.realtime.review.made import FRAMES, HZ, add_video, number_of, read

PORT = 8765
OWN = f"http://127.0.0.1:{PORT}"
TOKEN = "a token of this run"
ALLOWED = {"Authorization": f"Bearer {TOKEN}", "Origin": OWN}
KEY = EventKey("clip.mp4", "e000")  # onset 20, apex 24, offset 29


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    add_video(folder, "clip.mp4")
    return folder


@contextmanager
def reviewing(results: Path, database: Path, coder: str = "Anna") -> Iterator[TestClient]:
    """A client that may do everything."""
    videos, addresses = read(results)
    with Store(database, coder) as store, Frames(videos, addresses) as frames:
        application = server.build(Review(videos, store, frames), PORT, TOKEN)
        yield TestClient(application, base_url=OWN, headers=ALLOWED)


@pytest.fixture
def client(results: Path, tmp_path: Path) -> Iterator[TestClient]:
    with reviewing(results, tmp_path / "review.db") as client:
        yield client


def change(client: TestClient, field: str, value: object, key: EventKey = KEY) -> Any:
    body = {"video": key.video, "event": key.event, "field": field, "value": value}
    return client.post("/changes", json=body)


def test_the_page_has_what_it_needs(client: TestClient) -> None:
    state = client.get("/review").json()
    assert state["coder"] == "Anna"
    assert state["labels"] == ["negative", "positive", "surprise"]
    assert state["videos"] == [
        {"folder": "clip.mp4", "name": "clip.mp4", "frames": FRAMES, "rate_hz": HZ}
    ]
    first = state["events"][0]
    assert (first["event"], first["verdict"], first["label"]) == ("e000", "undecided", "negative")
    assert first["points"]["apex"] == {"frame": 24, "spotted": 24, "at_s": 0.8}
    assert first["said"] == ["score 0.90", "negative 80%", "with blink 70%"]


def test_frames_come_by_their_index(client: TestClient) -> None:
    answer = client.get("/frames", params={"video": "clip.mp4", "first": 30, "stop": 34})
    found = {}
    at = 0
    while at < len(answer.content):
        index, size = server.PICTURE_HEAD.unpack_from(answer.content, at)
        at += server.PICTURE_HEAD.size
        jpeg = np.frombuffer(answer.content[at : at + size], np.uint8)
        found[index] = number_of(cv2.imdecode(jpeg, 1))
        at += size
    assert found == {index: index for index in range(30, 34)}
    params: dict[str, str | int] = {"video": "clip.mp4", "first": 88, "stop": 10**9}
    assert client.get("/frames", params=params).status_code == 200
    params["video"] = "../clip.mp4"
    assert client.get("/frames", params=params).status_code == 404


def test_a_change_is_answered_when_it_is_on_the_disk(
    client: TestClient, results: Path, tmp_path: Path
) -> None:
    assert change(client, "verdict", "accepted").json()["verdict"] == "accepted"
    moved = change(client, "onset", 18).json()
    assert moved["points"]["onset"] == {"frame": 18, "spotted": 20, "at_s": 0.6}
    assert change(client, "action_units", "4 L12").json()["units"] == ["AU4", "AUL12"]
    with Store(tmp_path / "review.db", "Anna") as store:
        assert store.decision(KEY) == Decision(
            "accepted", Point(18, 0.6), action_units=("AU4", "AUL12")
        )
    assert client.post("/undo").json()["units"] is None
    undone = client.post("/undo").json()
    assert undone["points"]["onset"]["frame"] == 20
    assert undone["verdict"] == "accepted"
    assert client.post("/undo").json()["verdict"] == "undecided"
    assert client.post("/undo").json() is None


@pytest.mark.parametrize(
    ("field", "value", "status", "words"),
    [
        ("onset", 26, 422, "move that one first"),
        ("onset", -1, 422, "frame from 0 to 89"),
        ("offset", FRAMES, 422, "frame from 0 to 89"),
        ("apex", "24", 422, "frame from 0 to 89"),
        ("verdict", "perhaps", 422, "perhaps"),
        ("action_units", "brow", 422, "such as 4 L12"),
        ("colour", "red", 422, "colour"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    client: TestClient, field: str, value: object, status: int, words: str
) -> None:
    before = client.get("/review").json()
    answer = change(client, field, value)
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert client.get("/review").json() == before
    assert client.post("/undo").json() is None


def test_an_event_that_is_not_there_is_told(client: TestClient) -> None:
    answer = change(client, "verdict", "accepted", EventKey("clip.mp4", "gone"))
    assert answer.status_code == 404
    assert answer.json()["detail"] == "gone is not there: load the page anew"
    answer = change(client, "verdict", "accepted", EventKey("gone.mp4", KEY.event))
    assert answer.status_code == 404
    assert answer.json()["detail"] == "gone.mp4 is not there: load the page anew"


def test_a_fault_of_the_program_is_not_called_a_missing_event(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "change", lambda *_: {}["fault"])
    with pytest.raises(KeyError, match="fault"):
        change(client, "verdict", "accepted")


def test_a_coder_learns_nothing_of_another(results: Path, tmp_path: Path) -> None:
    database = tmp_path / "review.db"
    with reviewing(results, database) as anna:
        change(anna, "note", "left brow")
        change(anna, "verdict", "accepted")
        change(anna, "offset", 33)
    fresh = tmp_path / "fresh.db"
    with reviewing(results, database, "Ben") as ben, reviewing(results, fresh, "Ben") as alone:
        assert ben.get("/review").text == alone.get("/review").text
        assert ben.post("/undo").json() is None


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/", {"Host": f"attacker.example:{PORT}"}, 421),
        ("GET", "/review", {}, 401),
        ("GET", "/review", {"Authorization": "Bearer wrong"}, 401),
        ("GET", "/review", ALLOWED, 200),
        ("GET", "/review", ALLOWED | {"Host": f"localhost:{PORT}", "Origin": OWN}, 200),
        ("GET", "/review", ALLOWED | {"Host": "127.0.0.1:80"}, 421),
        ("GET", "/review", ALLOWED | {"Origin": "http://attacker.example"}, 403),
        ("GET", "/frames?video=clip.mp4&first=0&stop=1", {}, 401),
        ("POST", "/undo", {"Authorization": f"Bearer {TOKEN}"}, 403),
        ("POST", "/undo", ALLOWED | {"Origin": "null"}, 403),
        ("POST", "/undo", {"Origin": OWN}, 401),
        ("GET", "/docs", ALLOWED, 404),
        ("GET", "/openapi.json", ALLOWED, 404),
    ],
)
def test_only_the_page_itself_comes_in(
    client: TestClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    visitor = TestClient(client.app, base_url=OWN)
    answer = visitor.request(method, path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_needs_nobody_else(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy == build_page().policy
    assert "frame-ancestors 'none'" in policy
    assert "You may close this page" in answer.text
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]", answer.text)
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=(?!.data:)", answer.text)
    assert TOKEN not in answer.text


def test_closer_looks_are_asked_for_by_event(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos, addresses = read(results)
    with Store(tmp_path / "review.db", "Anna") as store, Frames(videos, addresses) as frames:
        review = Review(videos, store, frames, new=lambda _: FixedAligner())
        client = TestClient(server.build(review, PORT, TOKEN), base_url=OWN, headers=ALLOWED)
        event: dict[str, str | float] = {"video": KEY.video, "event": KEY.event}
        assert client.get("/face", params=event).json() == [0.0, 0.0, 1.0, 1.0]
        limits = client.get("/review").json()["replay"]
        assert limits == {"least": 2.0, "most": 8.0, "gain": 6.0, "slowed": 3}
        loop = client.get("/replay", params=event | {"gain": 2})
        assert loop.headers["content-type"] == "image/webp"
        assert loop.content.startswith(b"RIFF")
        change(client, "offset", 31)
        assert client.get("/replay", params=event | {"gain": 2}).content != loop.content
        for gain in (9, 1, 2.5):
            assert client.get("/replay", params=event | {"gain": gain}).status_code == 422
        assert client.post("/replay/stop").status_code == 200
        with monkeypatch.context() as given_up:
            given_up.setattr(Replays, "loop", lambda *_: None)
            assert client.get("/replay", params=event | {"gain": 2}).status_code == 204
        for path in ("/face", "/replay"):
            assert client.get(path, params=event | {"gain": 2, "event": "gone"}).status_code == 404
        refused = TestClient(client.app, base_url=OWN)
        for path in ("/face", "/replay"):
            assert refused.get(path, params=event | {"gain": 2}).status_code == 401
        assert refused.post("/replay/stop", headers={"Origin": OWN}).status_code == 401
        review.close()


def test_a_change_that_cannot_be_written_says_so(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DataError("cannot use review.db: the disk is full")

    with reviewing(results, tmp_path / "review.db") as client:
        monkeypatch.setattr(Store, "change", refuse)
        answer = change(client, "verdict", "accepted")
        assert answer.status_code == server.FAILED
        assert answer.json()["detail"] == "cannot use review.db: the disk is full"


def test_labels_of_ones_own_have_keys_too(results: Path, tmp_path: Path) -> None:
    videos, addresses = read(results)
    with Store(tmp_path / "review.db", "Anna") as store, Frames(videos, addresses) as frames:
        review = Review(videos, store, frames, ["happiness", "disgust", "happiness"])
        assert review.state()["labels"] == ["happiness", "disgust"]
        with pytest.raises(UsageError, match="keys 1 to 9"):
            Review(videos, store, frames, [str(number) for number in range(10)])
