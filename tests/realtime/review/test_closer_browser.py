"""A closer look at an event in a real browser, and events that a coder adds there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microspot.realtime.records import Frame
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.store import FILE, Store
from microspot.realtime.sources.open import open_source
from tests.clips import write_clip
from tests.demo.conftest import launch
from tests.realtime.review.made import HZ, add_video
from tests.realtime.review.test_browser import (
    expect,
    expect_frame,
    expect_saved,
    opened,
    press,
    served,
)

__all__ = ["launch"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
FRAMES = 45
WIDTH = 452  # px of a loop: two faces of 224, and a gap


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two events of a face, three of a clip without any, which is longer, none of a third video."""
    folder = tmp_path_factory.mktemp("results")
    with open_source("sample") as source:
        images = (record.image for record in source if isinstance(record, Frame))
        write_clip(folder / "a face.mp4", itertools.islice(images, FRAMES), HZ)
    add_video(folder / "out", "a face.mp4", events=2, frames=FRAMES)
    add_video(folder / "out", "clip.mp4")
    add_video(folder / "out", "eventless.mp4", events=0)
    return folder / "out"


def test_the_face_alone_and_its_movement_magnified(
    results: Path, launch: Callable[..., Any]
) -> None:
    with served(results, "Anna") as (address, _), opened(launch(), address) as page:
        zoom = page.locator("#zoom")
        loop = page.locator("#replay img")
        words = page.locator("#replay figcaption")
        page.wait_for_selector("#place >> text=frame 20")
        press(page, "z")
        expect(zoom).not_to_have_text(re.compile(r"1(\.1)?×"))
        press(page, "z")
        assert page.inner_text("#zoom") == "1×"
        press(page, "m")
        expect(loop).to_have_js_property("naturalWidth", WIDTH)
        assert "6× as large; 3 times as slow" in page.inner_text("#replay figcaption")
        press(page, "+")
        expect(words).to_contain_text("onset 7× as large")
        expect(loop).to_have_js_property("naturalWidth", WIDTH)
        press(page, "4", "ArrowRight")  # a label leaves it, another frame does not
        assert page.is_hidden("#replay")
        assert page.inner_text("#place") == "frame 21"
        press(page, "m", "ArrowDown", "ArrowDown", "z")  # given up
        page.wait_for_selector("#told >> text=no face was found in frame 20")
        press(page, "m")
        told = "no face was found all through frames 20 to 29"
        expect(words).to_have_text(told)
        press(page, "m")
        assert page.is_hidden("#replay")


def test_a_missed_event_is_added_where_one_looks(results: Path, launch: Callable[..., Any]) -> None:
    with served(results, "Ben") as (address, kill), opened(launch(), address) as page:
        press(page, "ArrowDown", "ArrowDown")
        expect_frame(page, 20)
        press(page, "PageDown", "ArrowLeft", "n", "a")
        page.wait_for_selector("#alert >> text=Set the offset first")
        assert page.inner_text("#events [aria-current]").split() == ["○", "event,", "added", "0:01"]
        press(page, "ArrowRight", "ArrowRight", "p", "Shift+ArrowRight", "f", "a")
        expect_saved(page)
        page.wait_for_selector("#count >> text=1 of 6 decided")
        assert page.inner_text("#events [aria-current]").split()[1] == "negative", "the first again"
        page.reload()
        page.wait_for_selector("#events [data-verdict=accepted] >> text=added")
        press(page, *["ArrowDown"] * 2, "PageDown", "n", "u")
        page.wait_for_selector("#count >> text=1 of 6 decided")
        expect_saved(page)
        kill()
    with Store(results / FILE, "Ben") as store:
        made = {key: said for key, said in store.decisions().items() if said != Decision()}
    ((key, said),) = made.items()
    assert key == EventKey("clip.mp4", key.event)
    frames = [point.frame for point in (said.added, said.apex, said.offset) if point]
    assert (said.verdict, frames) == ("accepted", [49, 51, 56])
    assert said.added == Point(49, pytest.approx(49 / HZ, abs=1e-4))


def test_an_event_is_added_to_a_video_without_any(
    results: Path, launch: Callable[..., Any]
) -> None:
    with served(results, "Cleo") as (address, kill), opened(launch(), address) as page:
        page.wait_for_selector("#count >> text=0 of 5 decided")
        press(page, *["ArrowDown"] * 5)
        expect_frame(page, 0)
        assert page.inner_text("#events [aria-current]") == "no event found"
        for key in "a1ofmz":
            press(page, key)
            page.wait_for_selector("#alert >> text=No event was found in this video")
        press(page, "PageDown")
        expect_frame(page, 30)
        press(page, "n", "u")
        page.wait_for_selector("#events [aria-current] >> text=no event found")
        press(page, "PageDown", "PageDown", "n", "ArrowLeft", "ArrowRight", "ArrowRight", "f", "a")
        page.wait_for_selector("#count >> text=1 of 6 decided")
        assert "no event found" not in page.inner_text("#events")
        expect_saved(page)
        kill()
    with Store(results / FILE, "Cleo") as store:
        (made,) = (said for said in store.decisions().values() if said != Decision())
    assert (made.verdict, made.onset) == ("accepted", None)
    frames = [point.frame for point in (made.added, made.offset) if point]
    assert frames == [60, 61]
