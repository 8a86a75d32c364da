"""The review of a page's results: whose it is, what it may do, and that it goes with the page."""

import asyncio
import csv
import json
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from microspot.demo.limits import Limits
from microspot.demo.views.results import Results
from microspot.demo.views.review import CODER, PageReview, in_pieces
from microspot.realtime.config import Settings
from microspot.realtime.review.page import build_page
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.server import FAILED, PICTURE_HEAD
from microspot.realtime.review.store import FILE, Store
from tests.clips import write_still
from tests.demo.serving import ask, connect_page, serving, until, wait_for
from tests.demo.views.test_analyse import folders, upload
from tests.realtime.review.made import add_video, number_of

__all__ = ["folders"]  # a fixture
VIDEO = "face.mp4"
EVENT = "added-0123456789abcdef"  # an id as the page makes it of an event that was missed
FRAMES = 30
GREY = 120


def change(port, path, field, value, **headers):
    """The status of a change to the event, as the page sends it."""
    body = json.dumps({"video": VIDEO, "event": EVENT, "field": field, "value": value})
    own = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
    return ask(port, f"{path}changes", "POST", body, **(own | headers))[0]


def test_a_page_reviews_its_own_results_and_decisions_go_with_it(tmp_path, folders):
    data = write_still(tmp_path / "wall.mp4", FRAMES, GREY).read_bytes()
    with serving() as port:
        with connect_page(port, "analyse") as page:
            upload(page, data, VIDEO, review=True)
            path = f"/demo/{until(page, 'done')[0]['review']}"
            status, headers, text = ask(port, path)
            assert status == 200
            assert headers["content-security-policy"] == build_page(framed=True).policy
            assert "frame-ancestors 'self'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert b"You may close this page" not in text
            (video,) = json.loads(ask(port, f"{path}review")[2])["videos"]
            assert (video["name"], video["frames"]) == (VIDEO, FRAMES)
            status, _, content = ask(port, f"{path}frames?video={VIDEO}&first=7&stop=8")
            assert (status, PICTURE_HEAD.unpack_from(content)[0]) == (200, 7)
            assert picture(content).mean() == pytest.approx(GREY, abs=3)

            for field, value in (("added", 9), ("offset", 20), ("verdict", "accepted")):
                assert change(port, path, field, value) == 200
            (row,) = csv.DictReader(
                ask(port, f"{path}accepted/events.csv")[2].decode().splitlines()
            )
            assert (row["onset"], row["offset"]) == ("9", "20")
            assert ask(port, f"{path}accepted/{FILE}")[0] == 404
            (database,) = folders()[0].rglob(FILE)
            with Store(database, CODER) as store:
                assert store.decision(EventKey(VIDEO, EVENT)).verdict == "accepted"
        wait_for(lambda: not folders())
        assert ask(port, path)[0] == 404
        assert change(port, path, "verdict", "rejected") == 404


def test_nobody_else_comes_in(tmp_path):
    data = write_still(tmp_path / "wall.mp4", FRAMES, GREY).read_bytes()
    with (
        serving() as port,
        connect_page(port, "analyse") as page,
        connect_page(port, "analyse") as other,
    ):
        upload(page, data, VIDEO, review=True)
        path = f"/demo/{until(page, 'done')[0]['review']}"
        upload(other, data, VIDEO)
        done = until(other, "done")[0]
        assert done["review"] is None  # it did not ask for one
        others = f"/demo/review/{done['files']['events.csv'].split('/')[1]}/"
        assert ask(port, f"{path}review")[0] == 200
        assert change(port, path, "added", 9) == 200
        for headers, tried, status in (
            ({"Host": "evil.example"}, path, 403),
            ({"Host": f"127.0.0.1:{port + 1}"}, path, 403),
            ({"Origin": "http://evil.example"}, path, 403),
            ({"Origin": "null"}, path, 403),
            ({}, others, 404),
            ({}, "/demo/review/another/", 404),
        ):
            assert ask(port, f"{tried}review", **headers)[0] == status
            assert change(port, tried, "note", "mine", **headers) == status
        assert ask(port, f"{path}undo", "POST", "{}")[0] == 403  # no page says so
        assert json.loads(ask(port, f"{path}review")[2])["events"][0]["note"] == ""


def picture(content):
    """The first picture of an answer, BGR."""
    return cv2.imdecode(np.frombuffer(content[PICTURE_HEAD.size :], np.uint8), 1)


@contextmanager
def reviewing(tmp_path, **limits):
    """(client at the review's path, its video's file, the review) without a server."""
    clip = add_video(tmp_path / "out", "clip.mp4")
    folder = tmp_path / "out" / "clip.mp4"
    review = PageReview(folder, "clip.mp4", str(clip), Settings(), Limits(**limits))
    results = Results(kept=1)
    application = Starlette(routes=[Mount("/review/{token}", results.answer_review)])
    with (
        results.serving(folder, review) as (token, _),
        TestClient(application, base_url=f"http://here/review/{token}/") as client,
    ):
        yield client, clip, review
        client.portal.call(review.close)


def accept(client):
    body = {"video": "clip.mp4", "event": "e000", "field": "verdict", "value": "accepted"}
    return client.post("changes", json=body)


def test_what_a_page_leaves_on_the_disk_is_bounded(tmp_path):
    with reviewing(tmp_path, review_body_bytes=200, review_bytes=100_000) as (client, *_):
        assert client.post("undo", content=b" " * 201).status_code == 413
        assert client.post("undo", content=iter([b"{}"])).status_code == 413  # of no known length
        answers = [accept(client).status_code for _ in range(40)]
        assert set(answers) == {200, FAILED}
        assert answers == sorted(answers)
        assert "analyse the video again" in accept(client).json()["detail"]
        assert client.get("review").json()["events"][0]["verdict"] == "accepted"


def test_only_a_few_requests_are_answered_at_once(tmp_path):
    async def ask_many():
        review = PageReview(tmp_path, "x", "x", Settings(), Limits(review_requests=2))
        most = at_once = 0

        async def slow(scope, receive, send):
            nonlocal most, at_once
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            await PlainTextResponse("")(scope, receive, send)

        async def send(message):
            pass

        review._application = slow
        scope = {"type": "http", "method": "GET", "headers": []}
        await asyncio.gather(*(review(scope, None, send) for _ in range(6)))
        return most

    assert asyncio.run(ask_many()) == 2


def test_a_change_of_unknown_length_is_refused(tmp_path):
    with reviewing(tmp_path) as (client, *_):
        for headers in ({"Transfer-Encoding": "chunked", "Content-Length": "2"}, {}):
            body = iter([b"{", b"}"])
            assert client.post("changes", content=body, headers=headers).status_code == 413
        assert client.post("changes", content=b"{}").status_code == 422


def test_a_long_answer_goes_in_pieces_that_wait_for_its_reader():
    sent = []

    async def send(message):
        sent.append(message)

    async def answer():
        sending = in_pieces(send, 4)
        await sending({"type": "http.response.start", "status": 200})
        await sending({"type": "http.response.body", "body": b"123456789", "more_body": True})
        await sending({"type": "http.response.body", "body": b""})

    asyncio.run(answer())
    assert sent[0] == {"type": "http.response.start", "status": 200}
    bodies = [(message["body"], message.get("more_body", False)) for message in sent[1:]]
    assert bodies == [(b"1234", True), (b"5678", True), (b"9", True), (b"", False)]


def test_errors_are_told_without_paths_of_the_server(tmp_path):
    with reviewing(tmp_path) as (client, clip, _):
        clip.unlink()
        answer = client.get("frames", params={"video": "clip.mp4", "first": 0, "stop": 1})
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("clip.mp4: no such file")
        assert str(tmp_path) not in answer.text


def test_results_that_cannot_be_read_are_told(tmp_path):
    with reviewing(tmp_path) as (client, *_):
        (tmp_path / "out" / "clip.mp4" / "events.jsonl").write_text("{}\n")
        answer = client.get("review")
        assert answer.status_code == FAILED
        assert answer.json()["detail"] == "this review has ended: analyse the video again"


def test_a_review_that_has_ended_says_so_and_holds_nothing(tmp_path):
    with reviewing(tmp_path) as (client, _, review):
        assert accept(client).status_code == 200
        content = client.get("frames", params={"video": "clip.mp4", "first": 9, "stop": 10}).content
        assert number_of(picture(content)) == 9
        frames = review._review._frames
        assert frames._open
        client.portal.call(review.close)
        assert not frames._open
        assert client.get("review").status_code == 404
        assert accept(client).json()["detail"].startswith("this review has ended")


def test_there_is_no_websocket(tmp_path):
    with (
        reviewing(tmp_path) as (client, *_),
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"{client.base_url.path}review"),
    ):
        pass
