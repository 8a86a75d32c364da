"""The Live tab in a real browser: Debian's Chromium with a fake camera that plays samples."""

import base64
import json
import re
from fractions import Fraction

import av
import numpy as np
import pytest

from microspot.demo.limits import Limits
from microspot.demo.views.wire import decode, read_frame
from microspot.engines.loading import load_engines
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Event
from microspot.realtime.sources.open import open_source
from tests.demo.serving import serving

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
PASSWORD = "correct horse"
SECONDS = 12
SHOWN_S = 17  # stream time: the whole film and how it begins again, and the decisions on it
DECIDED_S = 2.5  # what is younger when the page stops may not be decided yet
NEAR_S = 1 / 30 + 0.011  # a tick, and what the page's words round
US = 1_000_000
REPORT = "window.microspot.live.report()"
# What the page asked of the camera, to know what is still on; and how much brighter the left half
# of its picture is.
COUNT_CAMERAS = """
const media = navigator.mediaDevices, open = media.getUserMedia.bind(media), streams = [];
media.getUserMedia = async (wanted) => {
  const stream = await open(wanted);
  streams.push(stream);
  return stream;
};
window.camerasOn = () => {
  const tracks = streams.flatMap((stream) => stream.getTracks());
  return tracks.filter((track) => track.readyState === "live").length;
};
"""
# Keeps what the page sends over its websocket, and gives it out.
KEEP_SENT = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (typeof data !== "string") window.sent.push(data.slice());
  return send.call(this, data);
};
window.sent = [];
"""
SENT = "window.sent.map((bytes) => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join('')))"
LEFT = """(() => {
  const canvas = document.querySelector(".ms-picture"), half = canvas.width / 2;
  const pen = canvas.getContext("2d");
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


def as_file(page, path):
    """A video file of the frames that the page sent since KEEP_SENT, at their times."""
    limits = Limits()
    frames = [read_frame(base64.b64decode(data), limits) for data in page.evaluate(SENT)]
    images = [decode(frame.jpeg, limits) for frame in frames]
    with av.open(str(path), "w", options={"video_track_timescale": str(US)}) as container:
        stream = container.add_stream(
            "png", rate=30, height=images[0].shape[0], width=images[0].shape[1]
        )
        stream.pix_fmt = "rgb24"
        stream.time_base = Fraction(1, US)
        stream.codec_context.time_base = stream.time_base
        for frame, image in zip(frames, images, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="rgb24")
            picture.pts = frame.captured_us - frames[0].captured_us
            picture.time_base = stream.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def events_of(path):
    """(onset, offset) in s of the final events of a file."""
    with load_engines() as engines, Pipeline([open_source(str(path))], engines) as pipeline:
        finals = [e for e in pipeline.run() if isinstance(e, Event) and e.status == "final"]
    return [(event.onset_ns / 1e9, event.offset_ns / 1e9) for event in finals]


def spans_of(texts):
    """(onset, offset) in s of list entries such as "at 8.97 s, 267 ms long, with blink 93%"."""
    numbers = (re.findall(r"[\d.]+", text)[:2] for text in texts)
    return sorted((float(at), float(at) + float(long) / 1000) for at, long in numbers)


def decided(spans, end_s):
    return [span for span in sorted(spans) if span[1] < end_s - DECIDED_S]


def test_a_password_is_asked_for_and_opens_the_websocket_too(launch):
    with serving(password=PASSWORD, login_first_s=0.05) as port:
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
            "socket.onmessage = ({ data }) => done(JSON.parse(data).type);"
            "socket.onclose = () => done('closed'); })"
        )
        assert heard == "start"
        page.close()


def test_the_page_shows_what_watching_the_same_frames_as_a_file_finds(
    url, browser, open_page, tmp_path
):
    page = open_page(browser, url)
    page.evaluate(KEEP_SENT)
    start(page)
    page.wait_for_function(f"window.microspot.live.times.at(-1) > {SHOWN_S} * 1000")
    report = page.evaluate(REPORT)
    end_s = page.evaluate("window.microspot.live.times.at(-1) / 1000")
    print("\nthe page counts:", json.dumps(report))
    assert report["refused"] == report["lost"] == 0  # every frame that was sent is scored
    assert "of 30 frames/s" in page.inner_text(".ms-badge")
    texts = page.evaluate(
        "[...document.querySelectorAll('.ms-events small')].map((e) => e.textContent)"
    )
    pictured = page.evaluate(
        "[...document.querySelectorAll('.ms-events canvas')].map((c) => "
        "c.getContext('2d').getImageData(40, 40, 8, 8).data.some((v) => v))"
    )
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".ms-status >> text=Stopped")
    shown = decided(spans_of(texts), end_s)
    found = decided(events_of(as_file(page, tmp_path / "sent.mov")), end_s)
    print(f"{len(shown)} events shown, {len(found)} found in the file")
    if not found:
        pytest.skip(f"too busy a machine: {report['scored_per_s']:.0f} frames/s hold no event")
    np.testing.assert_allclose(shown, found, rtol=0, atol=NEAR_S)
    assert pictured
    assert all(pictured)  # every event has the face at its apex


def test_a_real_face_is_outlined(url, launch, open_page, film):
    page = open_page(launch(film("sample", 4)), url)
    start(page, answers=30)
    page.wait_for_function(
        "Number(document.querySelector('[data-fact=quality]').textContent) > 0.5"
    )
    print("\nthe page counts:", json.dumps(page.evaluate(REPORT)))


def test_another_camera_or_a_quick_hand_leaves_one_session_and_one_camera(url, browser, open_page):
    page = open_page(browser, url)
    page.evaluate(COUNT_CAMERAS)
    start(page)
    page.wait_for_selector(
        "[data-set=camera] option:nth-child(2)", state="attached"
    )  # named once allowed
    page.select_option("[data-set=camera]", index=1)
    page.wait_for_function("window.microspot.live.answered > 5")
    page.evaluate(
        "{ const button = document.querySelector('[data-do=start]');"
        "for (let i = 0; i < 4; i++) button.click(); }"
    )
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
    page = open_page(browser, url)
    sent = []
    begun = []
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

    socket.on(
        "framesent",
        lambda data: sent.append(text(data)["value"]) if "value" in text(data) else None,
    )
    socket.on(
        "framereceived",
        lambda data: begun.append(text(data)["t_crn"]) if "t_crn" in text(data) else None,
    )


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
