"""A browser with a fake camera, and the command's own page in it.

Tests that need them are skipped, with a reason, where either is missing.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from urllib.parse import urlparse

import cv2
import pytest

from microspot.realtime.records import Frame
from microspot.realtime.sources.open import open_source

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
SLOW_MS = 90_000
MOUNTED = {  # true once a tab's script is at work: what is clicked before is lost
    "Live": "window.microspot?.live",
    "Camera": "[...document.querySelectorAll('.ms-hint')]"
    ".some((e) => e.textContent.includes('Watch'))",
    "Analyse": "window.microspot?.analyse",
    "Review": "window.microspot?.review",
}
HZ = 30


@pytest.fixture(scope="module")
def film():
    """film(source, seconds): its first frames, BGR."""

    def taken(uri, seconds):
        with open_source(uri) as source:
            frames = (record.image for record in source if isinstance(record, Frame))
            return list(itertools.islice(frames, seconds * HZ))

    return taken


@pytest.fixture(scope="module")
def url():
    """The address of the command itself, as a user starts it, with two places."""
    pytest.importorskip("gradio", reason="gradio is not installed: pip install '.[demo]'")
    command = [
        sys.executable,
        "-m",
        "microspot.demo",
        "--port",
        "0",
        "--source",
        "sample:synthetic:7",
        "--runs",
        "2",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
        process.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def launch(tmp_path_factory):
    """launch(images): a browser whose camera repeats them, or shows Chromium's own test picture."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is missing: pip install '.[test]'"
    )
    if not CHROMIUM:
        pytest.skip("no Chromium: apt-get install chromium, or set CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        running = []

        def launched(images=None):
            path = tmp_path_factory.mktemp("camera") / "face.y4m"
            flags = [f"--use-file-for-fake-video-capture={y4m(path, images)}"] if images else []
            running.append(driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags]))
            return running[-1]

        yield launched
        for browser in running:
            browser.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(chain, key) of a certificate for this machine that nobody signed."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl: a certificate cannot be made")
    folder = tmp_path_factory.mktemp("tls")
    chain = folder / "chain.pem"
    key = folder / "key.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    options = ["-subj", "/CN=localhost", "-days", "2", "-out", str(chain), "-keyout", str(key)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return chain, key


def y4m(path, images):
    """Write what Chromium's fake camera can play."""
    high, wide = images[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{wide} H{high} F{HZ}:1 Ip A1:1 C420\n".encode())
        for image in images:
            file.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).tobytes())
    return path


@pytest.fixture
def open_page():
    """Opens a page in a context of its own.

    Fails the test on a script's error, or a request to another server.
    """
    troubles = []
    contexts = []

    def opened(browser, address, tab="Live", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda message: troubles.append(message.text) if message.type == "error" else None,
        )
        page.on("request", lambda request: foreign(request.url, address, troubles))
        page.goto(address)
        page.get_by_role("tab", name=tab).click()
        page.wait_for_function(MOUNTED[tab])
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def foreign(requested, own, troubles):
    if (
        urlparse(requested).scheme not in ("data", "blob")
        and urlparse(requested).netloc != urlparse(own).netloc
    ):
        troubles.append(f"asked {requested}")
