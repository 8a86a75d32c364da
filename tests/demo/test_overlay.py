"""The overlay for a stream, in a real browser: events on nothing, and nothing for strangers."""

import re
from functools import partial

import cv2
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from microspot.engines.loading import load_engines
from tests.clips import write_still
from tests.demo.conftest import SLOW_MS, foreign
from tests.demo.serving import ask, serving

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
PASSWORD = "correct horse"
SHOWN_MS = 6000
FADE_MS = 1000
HOUR_MS = 3_600_000
EVENT = {
    "type": "event",
    "id": "a",
    "status": "final",
    "score": 0.876,
    "label": "surprise",
    "caption": "surprise 93%",
    "beside": "brow, left",
}
# Gives a record to the page as the server does.
RECEIVE = "(record) => window.microspot.overlay.receive(record)"
MOUNTED = "window.microspot?.overlay"
LABELS = ("negative", "positive", "surprise", "uncertain")


@pytest.fixture(scope="module")
def browser(launch):
    return launch()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The port of a demo whose source shows nobody."""
    wall = write_still(tmp_path_factory.mktemp("wall") / "wall.mp4", frames=30, value=90)
    with serving(sources=[str(wall)]) as port:
        yield port


@pytest.fixture
def open_overlay(browser):
    """open_overlay(port, query): the overlay in a context of its own, without a request elsewhere.

    alone: its clock moves when it is told, and only the test gives it records.
    """
    troubles = []
    contexts = []

    def opened(port, query="", alone=False):
        address = f"http://127.0.0.1:{port}/demo/overlay{query}"
        contexts.append(browser.new_context(viewport={"width": 640, "height": 360}))
        page = contexts[-1].new_page()
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: foreign(request.url, address, troubles))
        if alone:
            page.clock.install(time=0)
            page.route_web_socket(re.compile("/demo/camera"), lambda socket: None)
        page.goto(address)
        page.wait_for_function(MOUNTED)
        if alone:
            page.clock.pause_at(HOUR_MS)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def alpha(page):
    """(height, width) opacity of what is seen, 0 to 255, over nothing."""
    shot = page.screenshot(omit_background=True, animations="disabled")
    image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image.shape[2] == 4
    return image[:, :, 3]


@pytest.mark.parametrize("labels", ["3", None])
def test_an_event_of_the_source_appears_on_a_transparent_page_without_any_picture(
    open_overlay, labels
):
    load = partial(load_engines, None, "onnx", labels)
    with serving(load=load, sources=["sample:synthetic:7"]) as port:
        heard = []
        page = open_overlay(port)
        page.on("websocket", lambda socket: socket.on("framereceived", lambda d: heard.append(d)))
        page.reload()
        item = page.locator(".ms-now li[data-status=final]").first
        item.wait_for()
        found, box = item.inner_text(), item.bounding_box()
        seen = alpha(page)
        page.context.close()
    name, score = found.splitlines()
    assert re.fullmatch(r"[\w+ -]+ \d+%", name)
    assert name.startswith(LABELS) == (labels is not None)
    assert re.match(r"score [01]\.\d\d", score)
    x, y = round(box["x"] + box["width"] / 2), round(box["y"] + box["height"] / 2)
    assert seen[y, x] > 200
    assert seen[: seen.shape[0] // 3].max() == 0
    assert np.mean(seen == 0) > 0.5
    assert heard
    assert all(isinstance(message, str) for message in heard)


def test_an_event_fades_after_some_seconds(open_overlay, quiet):
    page = open_overlay(quiet, alone=True)
    page.evaluate(RECEIVE, EVENT)
    assert page.inner_text(".ms-now li") == "surprise 93%\nscore 0.88, brow, left"
    page.clock.fast_forward(SHOWN_MS - 500)
    assert page.locator(".ms-fading").count() == 0
    page.clock.fast_forward(1000)
    assert page.locator(".ms-fading").count() == 1
    page.clock.fast_forward(FADE_MS)
    assert page.locator(".ms-now li").count() == 0
    assert alpha(page).max() == 0


def test_what_is_told_of_an_event_later_takes_the_place_of_what_was_told_before(
    open_overlay, quiet
):
    page = open_overlay(quiet, alone=True)
    early = EVENT | {"status": "provisional", "caption": "provisional 70%", "beside": ""}
    page.evaluate(RECEIVE, early)
    assert page.inner_text(".ms-now") == "provisional 70%"
    page.clock.fast_forward(SHOWN_MS - 500)
    page.evaluate(RECEIVE, EVENT)
    page.clock.fast_forward(SHOWN_MS - 500)  # counted anew
    assert page.locator(".ms-now li:not(.ms-fading)").all_inner_texts() == [
        "surprise 93%\nscore 0.88, brow, left"
    ]
    page.evaluate(RECEIVE, early | {"id": "b"})
    page.evaluate(RECEIVE, early | {"id": "b", "status": "withdrawn"})
    assert page.locator(".ms-now li").count() == 1
    for i in range(9):
        page.evaluate(RECEIVE, EVENT | {"id": f"more {i}"})
    assert page.locator(".ms-now li").count() == 4
    assert page.locator(".ms-now li").first.get_attribute("data-id") == "more 8"
    page.evaluate(RECEIVE, {"type": "start", "labels": []})
    assert page.locator(".ms-now li").count() == 0


def test_words_of_an_event_are_text_and_no_markup(open_overlay, quiet):
    page = open_overlay(quiet, alone=True)
    page.evaluate(RECEIVE, EVENT | {"caption": "<b>AU12</b> 80%", "beside": "<img src=x>"})
    assert page.inner_text(".ms-now li") == "<b>AU12</b> 80%\nscore 0.88, <img src=x>"


def test_a_source_that_was_not_named_is_told_and_tried_again(open_overlay, quiet):
    page = open_overlay(quiet, "?source=7")
    page.locator(".ms-note >> text=was not named").wait_for()
    with page.expect_websocket() as again:
        pass
    assert again.value.url.endswith("/demo/camera?source=7&pictures=0")


def test_strangers_get_neither_the_page_nor_its_events(quiet):
    socket = f"ws://127.0.0.1:{quiet}/demo/camera?source=0&pictures=0"
    assert ask(quiet, "/demo/overlay")[0] == 200
    assert ask(quiet, "/demo/overlay", Host=f"evil.example:{quiet}")[0] == 403
    for origin in ("http://evil.example", "null"):
        assert ask(quiet, "/demo/overlay", Origin=origin)[0] == 403
        with pytest.raises(InvalidStatus), connect(socket, additional_headers={"Origin": origin}):
            pass
    with pytest.raises(InvalidStatus), connect(socket):
        pass


def test_with_a_password_the_overlay_asks_for_it(browser):
    with serving(password=PASSWORD) as port:
        address = f"http://127.0.0.1:{port}/demo/overlay"
        assert ask(port, "/demo/overlay")[0] == 401
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"http://127.0.0.1:{port}/")
        page.goto(address)
        page.wait_for_function(MOUNTED)
        context.close()
