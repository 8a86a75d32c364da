"""Somebody who looks at all tabs of the page, or reviews an event, over the loopback."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from microspot.realtime.records import Frame
from microspot.realtime.sources.open import open_source
from tests.children import children_of
from tests.clips import write_still
from tests.demo.serving import ask, connect_page, frame, jpeg, messages, send_json, until

# that a command must live: ONNX Runtime's first look-up comes about 8 s after its import
SECONDS = 15
HZ = 30
IN_FLIGHT = 2
PATHS = (
    "/",
    "/config",
    "/theme.css",
    "/gradio_api/info",
    "/gradio_api/startup-events",
    "/demo/static/live.js",
)


def visit_page(process: subprocess.Popen[str]) -> None:
    """Load the page, show it a camera, watch the server's own, review a file; then end it."""
    assert process.stdout is not None
    try:
        started = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert started, "the page did not start"
        port = int(started[1])
        assert [path for path in PATHS if ask(port, path)[0] != 200] == []
        with connect_page(port, "live") as page:
            _show(page)
        with connect_page(port, "camera?source=0") as page:
            until(page, "start")
            assert any(
                isinstance(message, bytes) for message in itertools.islice(messages(page), 100)
            )
        with connect_page(port, "analyse") as page:
            review = f"/demo/{_upload(page)}"
            assert ask(port, review)[0] == 200
            assert ask(port, f"{review}frames?video=wall.mp4&first=0&stop=1")[0] == 200
    finally:
        for child in children_of(process.pid):  # strace keeps such signals from itself
            os.kill(child, signal.SIGINT)


def visit_review(process: subprocess.Popen[str]) -> None:
    """Load the page, look at the first event's frames, accept it; then end it."""
    assert process.stdout is not None
    try:
        started = re.search(r"http://127\.0\.0\.1:(\d+)/#(\S+)", process.stdout.readline())
        assert started, "the page did not start"
        port = int(started[1])
        head = {"Authorization": f"Bearer {started[2]}"}
        assert ask(port, "/")[0] == 200
        state = json.loads(ask(port, "/review", **head)[2])
        first = state["events"][0]
        name = quote(first["video"])
        onset, offset = (first["points"][point]["frame"] for point in ("onset", "offset"))
        shown = f"/frames?video={name}&first={onset}&stop={offset}"
        assert ask(port, shown, **head)[0] == 200
        change = {"video": first["video"], "event": first["event"], "field": "verdict"}
        body = json.dumps(change | {"value": "accepted"})
        more = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{port}"}
        assert ask(port, "/changes", "POST", body, **head, **more)[0] == 200
        time.sleep(SECONDS / 2)
    finally:
        for child in children_of(process.pid):
            os.kill(child, signal.SIGINT)


def _show(page: Any) -> None:
    """The sample, at its own rate or slower, with two frames on the way as the page has them."""
    until(page, "start")
    ends = time.monotonic() + SECONDS
    feed = messages(page)
    unanswered = 0
    with open_source("sample") as source:
        for shown in (record for record in source if isinstance(record, Frame)):
            page.send(frame(shown.index, 1_000_000 + shown.captured_ns // 1000, jpeg(shown.image)))
            unanswered += 1
            while unanswered >= IN_FLIGHT:
                unanswered -= next(feed)["type"] in ("frame", "refused")
            time.sleep(1 / HZ)
            if time.monotonic() > ends:
                return
    raise AssertionError(f"the sample is shorter than {SECONDS} s")


def _upload(page: Any) -> str:
    """A wall; the address of its review."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_still(Path(folder) / "wall.mp4", HZ, 120).read_bytes()
    until(page, "ready")
    send_json(page, type="upload", name="wall.mp4", size=len(data), review=True)
    for message in messages(page):
        if message["type"] == "more":
            page.send(data[message["from"] : message["upto"]])
        if message["type"] in ("done", "error"):
            assert message["type"] == "done", message
            return str(message["review"])
    raise AssertionError("the page ended")
