"""Fifty events reviewed in a real browser by keys alone, as a coder does it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install '.[demo]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install '.[demo]'")

from microspot.realtime.review.decisions import Decision
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.store import FILE, Store
from tests.demo.conftest import launch
from tests.realtime.review.made import BITS, SQUARE, add_video

__all__ = ["launch"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
EVENTS = 50
FRAMES = 300
WAIT_MS = 30_000
expect = pytest.importorskip(
    "playwright.sync_api", reason="playwright is missing: pip install '.[test]'"
).expect
expect.set_options(timeout=WAIT_MS)
# Gives a canvas a property: the index that its picture says.
NUMBER = f"""Object.defineProperty(HTMLCanvasElement.prototype, "number", {{ get() {{
  const row = this.getContext("2d").getImageData(0, {SQUARE // 2}, this.width, 1).data;
  let number = 0;
  for (let bit = 0; bit < {BITS}; bit++) {{
    if (row[4 * (bit * {SQUARE} + {SQUARE // 2})] > 128) number += 1 << bit;
  }}
  return number;
}} }})"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    add_video(folder, "clip.mp4", events=EVENTS, frames=FRAMES)
    return folder


@contextmanager
def served(results: Path, coder: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of the command as a coder starts it, and what kills it."""
    command = [sys.executable, "-m", "microspot.realtime", "review", str(results)]
    with subprocess.Popen(
        [*command, "--coder", coder], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        try:
            yield found[0], process.kill
        finally:
            process.kill()


@contextmanager
def opened(browser: Any, address: str) -> Iterator[Any]:
    """The page, standing still; an error of a script or a request elsewhere fails the test."""
    troubles: list[str] = []
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.add_init_script(NUMBER)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda request: (
            troubles.append(request.url)
            if urlparse(request.url).netloc not in ("", urlparse(address).netloc)
            else None
        ),
    )
    page.goto(address)
    page.wait_for_selector("#events button[aria-current]")
    yield page
    context.close()
    assert troubles == []


def expect_frame(page: Any, index: int) -> None:
    """Wait for the picture of a frame."""
    expect(page.locator("#canvas")).to_have_js_property("number", index)


def expect_saved(page: Any) -> None:
    """Wait until every change is on the disk."""
    expect(page.locator("#saved")).to_have_text("✓ everything is saved")


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_fifty_events_by_keys_alone_and_a_kill_loses_none(
    results: Path, launch: Callable[..., Any]
) -> None:
    browser = launch()
    with served(results, "Anna") as (address, kill), opened(browser, address) as page:
        for number in range(EVENTS):
            if number % 5 == 0:  # one frame later, another label, rejected
                press(page, "ArrowRight", "o", "2", "r")
            else:
                press(page, "a")
        page.wait_for_selector("text=All events are decided")
        expect_saved(page)
        kill()
    with Store(results / FILE, "Anna") as store:
        decisions = store.decisions()
    assert len(decisions) == EVENTS
    for number in range(EVENTS):
        decision = decisions[EventKey("clip.mp4", f"e{number:03}")]
        if number % 5:
            assert decision == Decision("accepted")
            continue
        assert (decision.verdict, decision.label) == ("rejected", "positive")
        assert decision.onset is not None
        assert decision.onset.frame == 20 + 4 * number + 1


def test_the_picture_is_that_of_the_frame_and_undo_goes_back(
    results: Path, launch: Callable[..., Any]
) -> None:
    with served(results, "Ben") as (address, _), opened(launch(), address) as page:
        expect_frame(page, 20)
        assert "0 of 50 decided" in page.inner_text("#count")  # nothing of Anna's
        press(page, "ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowRight")
        expect_frame(page, 28)
        assert page.inner_text("#place") == "frame 28"
        press(page, "Shift+ArrowRight", "ArrowLeft")  # the first frame of the next run
        expect_frame(page, 32)
        press(page, *["ArrowLeft"] * 4)
        expect_frame(page, 28)
        press(page, "c")
        expect_frame(page, 20)
        press(page, "c", "f", "a")
        expect_frame(page, 24)  # the next event's onset
        press(page, "e")
        page.keyboard.type("4 L12a r")  # no key of the page while one types
        press(page, "Enter")
        page.wait_for_selector("#alert >> text=such as 4 L12 14B")
        press(page, "e", "Control+a")
        page.keyboard.type("4 L12")
        press(page, "Escape", "u", "u", "u")
        expect_saved(page)
        expect_frame(page, 20)
        press(page, "t")
        page.keyboard.type("brow")
        press(page, "Escape", "Space")
        page.wait_for_selector("#loop >> text=stop")
        expect_saved(page)
    with Store(results / FILE, "Ben") as store:
        assert store.decisions() == {
            EventKey("clip.mp4", "e000"): Decision(note="brow"),
            EventKey("clip.mp4", "e001"): Decision(),
        }


def test_a_key_that_is_held_decides_once_and_moves_on(
    results: Path, launch: Callable[..., Any]
) -> None:
    with served(results, "Cleo") as (address, _), opened(launch(), address) as page:
        expect_frame(page, 20)
        for _ in range(3):
            page.keyboard.down("ArrowRight")
        page.keyboard.up("ArrowRight")
        expect_frame(page, 23)
        for _ in range(3):
            page.keyboard.down("r")
        page.keyboard.up("r")
        expect_saved(page)
        expect(page.locator("#count")).to_contain_text("1 of 50 decided")


def test_what_is_told_of_a_picture_stays_after_a_change(
    results: Path, launch: Callable[..., Any]
) -> None:
    held: list[Any] = []
    with served(results, "Dora") as (address, _), opened(launch(), address) as page:
        expect_frame(page, 20)
        page.route("**/frames?*", lambda route: held.append(route))
        with page.expect_request("**/frames?*"):
            page.locator("#events button").nth(30).click()
        press(page, "2")
        expect_saved(page)
        for route in held:
            route.abort()
        expect(page.locator("#hint")).to_have_text(re.compile("microspot does not answer"))


def test_that_all_is_decided_is_said_while_it_is_so(
    tmp_path: Path, launch: Callable[..., Any]
) -> None:
    add_video(tmp_path / "out", "clip.mp4", events=2)
    with served(tmp_path / "out", "Anna") as (address, _), opened(launch(), address) as page:
        done = page.get_by_text("All events are decided")
        question = page.get_by_text("Is this a micro-expression?")
        press(page, "a", "r")
        expect(done).to_be_visible()
        expect(question).to_be_hidden()
        for keys, is_done in (("u", False), ("r", True), ("x", False)):
            press(page, *keys)
            expect(done).to_be_visible(visible=is_done)
            expect(question).to_be_visible(visible=not is_done)
