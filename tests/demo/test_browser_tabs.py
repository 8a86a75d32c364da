"""The other tabs, and what every page owes to whoever uses it, in a real browser."""

import csv
from pathlib import Path

import pytest

from tests.clips import write_clip
from tests.demo.conftest import MOUNTED, SLOW_MS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # playwright's own pipes
BEFORE_S = 0.5  # a jump shows a little of what comes before
ROUNDED_S = 0.02
VIEW = """async () => {
  const { View } = await import("/demo/static/view.js");
  window.view = new View(document.querySelector(".ms-tab").cloneNode(true));
  const spec = { windows_ms: [], labels: [], t_crn: 0.5, low_hz: 20, rate_tolerance: 0.1 };
  window.view.begin({ grid_hz: 30, ...spec });
}"""
BADGE = """(hz) => {
  view.updatedAt = -1e9;
  view.measure(hz, 1, 1);
  return [view.badge.dataset.level, view.badge.innerText];
}"""
# What is drawn of one region and one arrow in a picture of twice the frame's size, as the columns
# and rows that it spans.
MOVED = """(asked) => {
  view.arrows.checked = asked;
  view.resize(view.picture.width + 2, 100);
  const polygon = [[10, 10], [20, 10], [20, 20], [10, 20]];
  view.moved({ region: [polygon], arrows: [[5, 30, 25, 30]] }, 2, { status: "final", label: "" });
  const { width, height } = view.picture, seen = [];
  const { data } = view.pen.getImageData(0, 0, width, height);
  for (let i = 3; i < data.length; i += 4) {
    if (data[i]) seen.push([((i - 3) / 4) % width, Math.floor((i - 3) / 4 / width)]);
  }
  const span = (axis) => {
    const at = seen.map((pixel) => pixel[axis]);
    return [Math.min(...at), Math.max(...at)];
  };
  return [...span(0), ...span(1)];
}"""
# The video at its beginning and paused; window.went is where it goes next. An earlier seek may end
# late: 0 is no move.
REWOUND = """new Promise((done) => {
  const video = document.querySelector(".ms-video");
  [window.went, video.onseeking] = [null, null];
  video.onseeked = () => {
    video.onseeking = () => { window.went ??= video.currentTime || null; };
    done();
  };
  video.pause();
  video.currentTime = 0;
})"""

# How many tabs are ready for files that are dragged over the page; they are dropped then.
DROP = """(names) => {
  const data = new DataTransfer();
  names.forEach((name) => data.items.add(new File([new Uint8Array([0])], name)));
  const send = (kind) => document.dispatchEvent(
    new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  send("dragover");
  const ready = document.querySelectorAll("[data-drop]").length;
  send("drop");
  return ready;
}"""


@pytest.fixture(scope="module")
def browser(launch):
    return launch()


def test_the_camera_tab_shows_overlay_and_events_without_any_camera(url, browser, open_page):
    page = open_page(
        browser, url, "Camera", viewport={"width": 390, "height": 800}, color_scheme="dark"
    )
    page.get_by_role("button", name="Watch").click()
    panel = page.locator("[role=tabpanel]:visible")
    panel.locator(".ms-events li").first.wait_for()
    assert page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth"
    )  # nothing sticks out on a phone
    assert "dark" in page.evaluate("document.body.className")


def test_a_click_on_the_table_or_the_timeline_goes_to_the_event(
    url, browser, open_page, film, tmp_path
):
    clip = write_clip(tmp_path / "face.mp4", film("sample:synthetic:7", 4))
    page = open_page(browser, url, "Analyse")
    page.set_input_files("input[type=file]", str(clip))
    page.wait_for_selector(".ms-downloads a")
    assert page.locator(".ms-downloads a").count() == 5
    page.wait_for_function("document.querySelector('.ms-video').readyState >= 2")
    onset = float(page.locator(".ms-table tbody td").nth(1).inner_text().split()[0])
    assert onset > 2 * BEFORE_S  # to go there is to move
    on_event = {
        "x": page.evaluate(f"window.microspot.analyse.timeline.x({onset} * 1e9)") + 2,
        "y": 150,
    }
    timeline = page.locator("[role=tabpanel]:visible .ms-timeline")
    for place, where in ((page.locator(".ms-table button").first, None), (timeline, on_event)):
        page.evaluate(REWOUND)
        place.click(position=where)
        page.wait_for_function("window.went !== null")
        assert page.evaluate("window.went") == pytest.approx(onset - BEFORE_S, abs=ROUNDED_S)


def test_a_sample_is_there_for_whoever_has_no_video_and_its_events_are_reviewed(
    url, browser, open_page
):
    page = open_page(browser, url, "Review")
    assert page.get_by_text("Nothing to review yet").is_visible()
    page.get_by_role("tab", name="Analyse").click()
    page.wait_for_function(MOUNTED["Analyse"])
    assert page.locator(".ms-analysis").count() == 0
    page.get_by_role("button", name="Try a sample").click()
    page.wait_for_selector(".ms-downloads a")
    assert page.locator(".ms-table tbody tr").count() > 5
    assert page.locator(".ms-videos").is_hidden()
    events_of_the_sample_are_reviewed_by_keys(page)


def events_of_the_sample_are_reviewed_by_keys(page):
    """Accept the first event, reject the second: the decisions are stored, the first is saved."""
    onset = page.locator(".ms-table tbody td").nth(4).inner_text().split()[0]
    page.get_by_role("tab", name="Review").click()
    review = page.frame_locator("iframe[title='Review of sample']")
    review.locator("#events button[aria-current]").wait_for()
    assert page.get_by_text("Nothing to review yet").is_hidden()
    page.keyboard.press("a")
    page.keyboard.press("r")
    review.get_by_text("2 of 11 decided, ✓ 1 ✗ 1").wait_for()
    review.get_by_text("✓ everything is saved").wait_for()
    with page.expect_download() as download:
        page.get_by_text("Events that you accepted").get_by_text("Table (CSV)").click()
    assert download.value.suggested_filename == "sample-accepted-events.csv"
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [row["onset"] for row in csv.DictReader(rows)] == [onset]


def test_several_videos_are_analysed_one_after_the_other_and_each_can_be_shown(
    url, browser, open_page, film, tmp_path
):
    images = film("sample:synthetic:7", 4)
    clips = [write_clip(tmp_path / f"{name}.mp4", images) for name in ("first", "second")]
    page = open_page(browser, url, "Analyse")
    page.set_input_files("input[type=file]", [str(clip) for clip in clips])
    videos = page.locator(".ms-videos button")
    page.wait_for_function(
        "document.querySelectorAll('.ms-downloads a').length === 10", timeout=SLOW_MS
    )
    assert [name.partition(":")[0] for name in videos.all_inner_texts()] == [
        "first.mp4",
        "second.mp4",
    ]
    assert all("micro-expression" in words for words in videos.all_inner_texts())
    downloads = page.locator(".ms-analysis:visible .ms-downloads a").first
    assert downloads.get_attribute("download").startswith("first-")
    videos.nth(1).click()
    assert downloads.get_attribute("download").startswith("second-")


def test_files_are_taken_wherever_they_are_dropped(url, browser, open_page):
    page = open_page(browser, url, "Analyse")
    assert page.evaluate(DROP, ["no.mp4", "neither.mp4"]) == 1
    for name in ("no.mp4", "neither.mp4"):
        page.get_by_role("button", name=f"{name}: no results").wait_for()
    assert page.locator(".ms-note:not([hidden])").count() == 2
    assert page.locator("[data-drop]").count() == 0
    page.get_by_role("tab", name="Live").click()
    assert page.evaluate(DROP, ["elsewhere.mp4"]) == 0
    assert page.locator(".ms-videos button").count() == 2


def test_what_is_no_video_is_said_on_the_page(url, browser, open_page, tmp_path):
    page = open_page(browser, url, "Analyse")
    for name, data in (("holiday.mp4", b"#EXTM3U\nfile:///etc/passwd\n"), ("empty.mp4", b"")):
        (tmp_path / name).write_bytes(data)
        page.set_input_files("input[type=file]", str(tmp_path / name))
        note = page.locator("[role=tabpanel]:visible .ms-analysis:visible [role=alert]")
        note.wait_for()
        assert note.inner_text().startswith(("holiday.mp4: not a video", "the file is empty"))


LEVELS = [
    (30, "good", "good"),
    (24, "low", "lower than trained for"),
    (12, "bad", "micro-expressions are missed"),
]


def test_the_badge_says_when_the_rate_is_too_low_or_gone(url, browser, open_page):
    page = open_page(browser, url)
    page.evaluate(VIEW)
    for hz, level, words in LEVELS:
        found, text = page.evaluate(BADGE, hz)
        assert found == level
        assert text == f"{hz:.1f} of 30 frames/s: " + text.partition(": ")[2]
        assert text.endswith(words)
    page.wait_for_function("view.badge.innerText.endsWith('no frame is being scored')")
    page.evaluate("view.stop()")
    assert page.evaluate("view.badge.hidden")


def test_the_region_that_moved_is_outlined_and_arrows_only_where_the_box_is_ticked(
    url, browser, open_page
):
    page = open_page(browser, url)
    page.evaluate(VIEW)
    assert not page.evaluate("view.arrows.checked")
    assert page.evaluate(MOVED, False) == pytest.approx([20, 40, 20, 40], abs=2)
    assert page.evaluate(MOVED, True) == pytest.approx([10, 50, 20, 65], abs=4)


def test_everything_can_be_reached_by_keyboard_and_has_a_name(url, browser, open_page):
    page = open_page(browser, url)
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, canvas, a')]"
        ".filter((e) => e.checkVisibility() &&"
        " !(e.innerText || e.getAttribute('aria-label') || e.labels?.length))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []
    reached = set()
    for _ in range(13):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.dataset.do ?? document.activeElement.dataset.set ?? ''"
            )
        )
    assert {"start", "camera", "mirror", "arrows", "threshold"} <= reached
    page.get_by_role("tab", name="Analyse").click()
    page.get_by_role("button", name="Try a sample").click()
    assert (
        page.locator(".ms-table th[scope=col]").count() == page.locator(".ms-table th").count() == 6
    )
    assert page.locator(".ms-scroll[tabindex='0'][aria-label]").count() == 1
