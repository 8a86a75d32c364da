"""The page in a real browser: Debian's Chromium with a fake camera that plays `sample:synthetic:7`."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from urllib.parse import urlparse

import cv2
import pytest

from engines.runtime.select import load_engines
from realtime.pipeline import Pipeline
from realtime.records import Event, Frame
from realtime.sources import open_source
from tests.clips import write_clip
from tests.demo.serving import serving

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
pytest.importorskip("gradio", reason="gradio is not installed: pip install '.[demo]'")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium, or set CHROMIUM to its path"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # playwright's own pipes
]
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)  # fmt: skip
PASSWORD = "correct horse"
SECONDS = 12
HZ = 30
SHOWN_S = 15  # stream time: the film and a little more
SEAM_S = 1.6  # the film begins again with a jump, which may be taken for a movement
NEAR_S = 1 / HZ + 0.011  # a tick, and what the page's words round
SKIPPED = 0.02  # share of frames; with more the page's frames are not those of the file
SLOW_MS = 90_000


@pytest.fixture(scope="module")
def images():
    with open_source("sample:synthetic:7") as source:
        return [r.image for r in itertools.islice(source, SECONDS * HZ) if isinstance(r, Frame)]


@pytest.fixture(scope="module")
def camera_file(images, tmp_path_factory):
    """What Chromium's fake camera plays, again and again."""
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    high, wide = images[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{wide} H{high} F{HZ}:1 Ip A1:1 C420\n".encode())
        for image in images:
            file.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="module")
def url():
    """The address of the command itself, as a user starts it."""
    command = [sys.executable, "-m", "demo", "--port", "0", "--source", "sample:synthetic:7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
        process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def driver():
    with playwright.sync_playwright() as running:
        yield running


@contextlib.contextmanager
def chromium(driver, *flags):
    """A browser whose camera shows Chromium's own test picture, unless flags say otherwise."""
    running = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser(driver, camera_file):
    with chromium(driver, f"--use-file-for-fake-video-capture={camera_file}") as running:
        yield running


@pytest.fixture
def open_page(browser):
    """Opens a page in a context of its own; fails the test on a script's error or a request to anywhere else."""
    troubles, contexts = [], []

    def opened(address, tab=None, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: foreign(request.url, address, troubles))
        page.goto(address)
        page.wait_for_selector("text=Start camera")
        if tab:
            page.get_by_role("tab", name=tab).click()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def foreign(requested, own, troubles):
    if urlparse(requested).scheme not in ("data", "blob") and urlparse(requested).netloc != urlparse(own).netloc:
        troubles.append(f"asked {requested}")


def events_of(images, folder):
    """Final events of the images as a file."""
    clip = write_clip(folder / "face.mp4", images, crf="5")
    with load_engines() as engines, Pipeline([open_source(str(clip))], engines) as pipeline:
        return [e for e in pipeline.run() if isinstance(e, Event) and e.status == "final"]


def spans_of(texts):
    """(onset, offset) in s of list entries such as "at 8.97 s, 267 ms long"."""
    numbers = (re.findall(r"[\d.]+", text) for text in texts)
    return sorted((float(at), float(at) + float(long) / 1000) for at, long in numbers)


def test_a_password_is_asked_for_and_opens_the_websocket_too(driver):
    with serving(password=PASSWORD, logins_every_s=0.05) as port, chromium(driver) as running:
        page = running.new_page()
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


def test_the_fake_cameras_events_are_shown_with_their_faces(url, open_page, images, tmp_path):
    page = open_page(url)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_function(f"window.microspot.live.times.at(-1) > {SHOWN_S} * 1000")
    report = page.evaluate("window.microspot.live.report()")
    print("\nthe page counts:", json.dumps(report))
    assert report["answered"] > 30
    assert report["refused"] == report["lost"] == 0
    assert "of 30 frames/s" in page.inner_text(".ms-badge")
    texts = page.evaluate("[...document.querySelectorAll('.ms-events small')].map((e) => e.textContent)")
    pictured = page.evaluate(
        "[...document.querySelectorAll('.ms-events canvas')].map((c) => "
        "c.getContext('2d').getImageData(40, 40, 8, 8).data.some((v) => v))"
    )
    assert all(pictured)  # every event has the face at its apex
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".ms-verdict >> text=Stopped")
    if report["skipped"] > SKIPPED * report["sent"]:
        pytest.skip(f"too busy a machine to compare events: {report['scored_per_s']:.0f} frames/s scored")
    assert matches(spans_of(texts), [(e.onset_ns / 1e9, e.offset_ns / 1e9) for e in events_of(images, tmp_path)])


def matches(shown, expected):
    """Whether one shift of time puts all shown events onto expected ones, within a tick, away from the film's seam."""
    shown = [span for span in shown if span[0] > SEAM_S]
    for one, other in itertools.product(shown, expected):
        shift = other[0] - one[0]
        moved = [((a + shift) % SECONDS, (a + shift) % SECONDS + b - a) for a, b in shown]
        inside = [s for s in moved if SEAM_S < s[0] < SECONDS - SEAM_S]
        if inside and all(any(abs(a - c) <= NEAR_S and abs(b - d) <= NEAR_S for c, d in expected) for a, b in inside):
            return True
    return False


def test_the_camera_tab_shows_overlay_and_events_without_any_camera(url, open_page):
    page = open_page(url, "Camera", viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.get_by_role("button", name="Watch").click()
    panel = page.locator("[role=tabpanel]:visible")
    panel.locator(".ms-events li").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing sticks out on a phone
    assert "dark" in page.evaluate("document.body.className")


def test_a_video_is_analysed_and_a_click_goes_to_the_event(url, open_page, images, tmp_path):
    clip = write_clip(tmp_path / "face.mp4", images[:110])
    page = open_page(url, "Analyse")
    page.set_input_files("input[type=file]", str(clip))
    page.wait_for_selector(".ms-downloads a")
    assert page.locator(".ms-downloads a").count() == 5
    page.locator(".ms-table button").first.click()
    page.wait_for_function("document.querySelector('.ms-video').currentTime > 1")


def test_what_is_no_video_is_said_on_the_page(url, open_page, tmp_path):
    page = open_page(url, "Analyse")
    for name, data in (("holiday.mp4", b"#EXTM3U\nfile:///etc/passwd\n"), ("empty.mp4", b"")):
        (tmp_path / name).write_bytes(data)
        page.set_input_files("input[type=file]", str(tmp_path / name))
        note = page.locator("[role=tabpanel]:visible [role=alert]")
        note.wait_for()
        assert note.inner_text().startswith(("holiday.mp4: not a video", "the file is empty"))


def test_everything_can_be_reached_by_keyboard_and_has_a_name(url, open_page):
    page = open_page(url)
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas, a')].filter((e) => e.checkVisibility() && "
        "!(e.innerText || e.getAttribute('aria-label') || e.labels?.length)).map((e) => e.outerHTML)"
    )
    assert nameless == []
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.do ?? document.activeElement.dataset.set ?? ''"))
    assert {"start", "camera", "mirror", "threshold"} <= reached


def test_the_demo_outlives_its_pages(url, open_page):
    for _ in range(2):
        page = open_page(url)
        page.get_by_role("button", name="Start camera").click()
        page.wait_for_selector(".ms-badge:visible")
        page.context.close()  # no goodbye
    assert open_page(url)
