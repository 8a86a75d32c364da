"""The Live tab in a real browser: Debian's Chromium with a fake camera that plays samples."""

import itertools
import json
import re

import pytest

from engines.runtime.select import load_engines
from realtime.pipeline import Pipeline
from realtime.records import Event
from realtime.sources import open_source
from tests.clips import write_clip
from tests.demo.serving import serving

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
PASSWORD = "correct horse"
SECONDS = 12
SHOWN_S = 17  # stream time: the whole film, whatever it began with, and the decisions on it
SEAM_S = 1.6  # the film begins again with a jump, which may be taken for a movement
NEAR_S = 1 / 30 + 0.011  # a tick, and what the page's words round
SKIPPED = 0.02  # share of frames; with more the page's frames are not those of the file
REPORT = "window.microspot.live.report()"
# What the page asked of the camera, to know what is still on; and how much brighter the left half of its picture is.
COUNT_CAMERAS = """
const media = navigator.mediaDevices, open = media.getUserMedia.bind(media), streams = [];
media.getUserMedia = async (wanted) => { const stream = await open(wanted); streams.push(stream); return stream; };
window.camerasOn = () => streams.flatMap((s) => s.getTracks()).filter((t) => t.readyState === "live").length;
"""
LEFT = """(() => {
  const canvas = document.querySelector(".ms-picture"), half = canvas.width / 2, pen = canvas.getContext("2d");
  const sum = (x) => pen.getImageData(x, 0, half, canvas.height).data.reduce((a, b) => a + b, 0);
  return sum(0) - sum(half);
})()"""

# What five quick keys do to the slider.
FIVE_KEYS = """(() => {
  const slider = document.querySelector("[data-set=threshold]");
  for (let i = 0; i < 5; i++) {
    slider.stepUp();
    for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind));
  }
  return Number(slider.value);
})()"""


@pytest.fixture(scope="module")
def images(film):
    return film("sample:synthetic:7", SECONDS)


@pytest.fixture(scope="module")
def browser(launch, images):
    return launch(images)


def start(page, answers=5):
    """Press the button and wait for answered frames."""
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_function(f"window.microspot.live.answered > {answers}")


def events_of(images, folder):
    """(onset, offset) in s of the final events of the images as a file."""
    clip = write_clip(folder / "face.mp4", images, crf="5")
    with load_engines() as engines, Pipeline([open_source(str(clip))], engines) as pipeline:
        finals = [e for e in pipeline.run() if isinstance(e, Event) and e.status == "final"]
    return [(event.onset_ns / 1e9, event.offset_ns / 1e9) for event in finals]


def spans_of(texts):
    """(onset, offset) in s of list entries such as "at 8.97 s, 267 ms long"."""
    numbers = (re.findall(r"[\d.]+", text) for text in texts)
    return sorted((float(at), float(at) + float(long) / 1000) for at, long in numbers)


def near(one, other):
    return all(abs(a - b) <= NEAR_S for a, b in zip(one, other, strict=True))


def matches(shown, expected):
    """Whether one shift of time puts shown and expected events onto each other, within a tick, away from the seam."""

    def inside(spans):
        return [span for span in spans if SEAM_S < span[0] < SECONDS - SEAM_S]

    shown = [span for span in shown if span[0] > SEAM_S]
    for one, other in itertools.product(shown, expected):
        at = [((a + other[0] - one[0]) % SECONDS, b - a) for a, b in shown]
        moved = [(a, a + long) for a, long in at]
        wrong = [span for span in inside(moved) if not any(near(span, e) for e in expected)]
        missed = [e for e in inside(expected) if not any(near(e, span) for span in moved)]
        if not wrong and not missed:
            return True
    return False


def test_two_lists_of_events_match_only_as_a_whole():
    expected = [(2.0, 2.3), (5.0, 5.4), (8.0, 8.2)]
    shown = [((a + 4) % SECONDS + 2, (a + 4) % SECONDS + 2 + b - a) for a, b in expected]
    assert matches(shown, expected)
    assert not matches(shown[1:], expected)
    assert not matches([*shown, (9.0, 9.3)], expected)
    assert not matches([], expected)


def test_a_password_is_asked_for_and_opens_the_websocket_too(launch):
    with serving(password=PASSWORD, logins_every_s=0.05) as port:
        page = launch().new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        for words in ("wrong password", PASSWORD):
            page.get_by_label("Password").fill(words)
            page.get_by_role("button", name="Log in").click()
            if words != PASSWORD:
                page.wait_for_selector("text=That is not the password.")
        page.wait_for_url(f"http://127.0.0.1:{port}/")
        heard = page.evaluate(
            "new Promise((done) => { const socket = new WebSocket(`ws://${location.host}/demo/live`);"
            "socket.onmessage = ({ data }) => done(JSON.parse(data).type); socket.onclose = () => done('closed'); })"
        )
        assert heard == "start"
        page.close()


def test_the_fake_cameras_events_are_shown_with_their_faces(url, browser, open_page, images, tmp_path):
    page = open_page(browser, url)
    start(page)
    page.wait_for_function(f"window.microspot.live.times.at(-1) > {SHOWN_S} * 1000")
    report = page.evaluate(REPORT)
    print("\nthe page counts:", json.dumps(report))
    assert report["answered"] > 30
    assert report["refused"] == report["lost"] == 0
    assert "of 30 frames/s" in page.inner_text(".ms-badge")
    texts = page.evaluate("[...document.querySelectorAll('.ms-events small')].map((e) => e.textContent)")
    pictured = page.evaluate(
        "[...document.querySelectorAll('.ms-events canvas')].map((c) => "
        "c.getContext('2d').getImageData(40, 40, 8, 8).data.some((v) => v))"
    )
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".ms-verdict >> text=Stopped")
    if report["skipped"] > SKIPPED * report["sent"]:
        pytest.skip(f"too busy a machine to compare events: {report['scored_per_s']:.0f} frames/s scored")
    assert pictured
    assert all(pictured)  # every event has the face at its apex
    assert matches(spans_of(texts), events_of(images, tmp_path))


def test_a_real_face_is_outlined(url, launch, open_page, film):
    page = open_page(launch(film("sample", 4)), url)
    start(page, answers=60)
    page.wait_for_function("Number(document.querySelector('[data-fact=quality]').textContent) > 0.5")
    print("\nthe page counts:", json.dumps(page.evaluate(REPORT)))


def test_another_camera_or_a_quick_hand_leaves_one_session_and_one_camera(url, browser, open_page):
    page = open_page(browser, url)
    page.evaluate(COUNT_CAMERAS)
    start(page)
    page.wait_for_selector("[data-set=camera] option:nth-child(2)", state="attached")  # named once allowed
    page.select_option("[data-set=camera]", index=1)
    page.wait_for_function("window.microspot.live.answered > 5")
    page.evaluate("{ const b = document.querySelector('[data-do=start]'); for (let i = 0; i < 4; i++) b.click(); }")
    page.wait_for_function("window.microspot.live.answered > 5")
    assert page.evaluate("window.camerasOn()") == 1
    assert page.locator("[role=alert]:visible").count() == 0
    page.get_by_role("button", name="Stop").click()
    assert page.evaluate("window.camerasOn()") == 0


def test_the_mirror_turns_the_picture(url, browser, open_page):
    page = open_page(browser, url)
    start(page)
    page.wait_for_function(f"{LEFT} < 0")  # the film is brighter on its left
    page.get_by_label("Mirror").uncheck()
    page.wait_for_function(f"{LEFT} > 0")


def test_keys_that_move_the_threshold_make_one_new_run(url, browser, open_page):
    page, sent, begun = open_page(browser, url), [], []
    page.on("websocket", lambda socket: listen(socket, sent, begun))
    start(page)
    wanted = page.evaluate(FIVE_KEYS)
    while len(begun) < 2:
        page.wait_for_timeout(50)
    assert sent == [wanted]
    assert begun[-1] == wanted


def listen(socket, sent, begun):
    """Note the thresholds that go over a websocket."""

    def text(data):
        return json.loads(data) if isinstance(data, str) else {}

    socket.on("framesent", lambda data: sent.append(text(data)["value"]) if "value" in text(data) else None)
    socket.on("framereceived", lambda data: begun.append(text(data)["t_crn"]) if "t_crn" in text(data) else None)


def test_a_third_page_is_told_its_place_in_line(url, launch, open_page):
    browser = launch()
    pages = [open_page(browser, url) for _ in range(3)]
    for page in pages[:2]:
        start(page)
    pages[2].get_by_role("button", name="Start camera").click()
    pages[2].wait_for_selector("text=All 2 places are taken. You are number 1 in line")
    pages[0].context.close()  # no goodbye
    pages[2].wait_for_function("window.microspot.live.answered > 5")


def test_the_demo_outlives_its_pages(url, browser, open_page):
    for _ in range(2):
        page = open_page(browser, url)
        start(page)
        page.context.close()  # no goodbye
    assert open_page(browser, url)
