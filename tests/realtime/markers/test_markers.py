"""Stimulus markers: where they lie among the frames, which outputs have them, what is refused."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from rich.console import Console

from microspot.engines.data.annotations import read_table
from microspot.engines.errors import UsageError
from microspot.realtime.commands.watch_steps import check_markers
from microspot.realtime.markers.lsl import LslMarkers, text_of
from microspot.realtime.markers.open import open_markers
from microspot.realtime.markers.placement import MarkerPlacement, Stimulus
from microspot.realtime.overlay import draw as draw_module
from microspot.realtime.overlay.draw import draw
from microspot.realtime.pipeline import SourceEnd
from microspot.realtime.records import Frame, FrameTime, Marker
from microspot.realtime.sinks import window
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.picture_sink import PictureSink
from microspot.realtime.sinks.terminal import LiveTable
from microspot.realtime.sources.open import open_sources
from tests import lsl
from tests.clips import write_still
from tests.realtime.sinks.test_sinks import START, event

STEP = 33_333_333
HOST = 5_000_000_000  # of stream time 0


class Given:
    """Markers that come when a test says so."""

    remark = ""

    def __init__(self) -> None:
        self.came: list[Stimulus] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def take(self) -> list[Stimulus]:
        came, self.came = self.came, []
        return came


def time_of(index: int, source: str = "cam", host_ns: int = HOST) -> FrameTime:
    return FrameTime(source, index, index * STEP, host_ns + index * STEP)


def end(source: str = "cam") -> SourceEnd:
    return SourceEnd(source, 1, 0, {})


def stimulus(frame: float, value: str = "flash") -> Stimulus:
    return Stimulus("stimuli", value, HOST + round(frame * STEP))


def placed(came: dict[int, list[Stimulus]], records: list[Any]) -> list[Any]:
    """Records with markers; came: by the place of a record, the markers that come before it."""
    given = Given()

    def arriving() -> Any:
        for place, record in enumerate(records):
            given.came += came.get(place, [])
            yield record

    return list(MarkerPlacement(given).among(arriving()))


def markers(found: list[Any]) -> list[tuple[str, int, float]]:
    return [(m.value, m.frame, round(m.at_ns / STEP, 3)) for m in found if isinstance(m, Marker)]


def test_a_marker_waits_for_the_frame_after_it() -> None:
    frames = [time_of(i) for i in range(4)]
    found = placed({0: [stimulus(1.4)]}, [*frames, end()])
    assert [type(record).__name__ for record in found] == [
        "FrameTime", "FrameTime", "Marker", "FrameTime", "FrameTime", "SourceEnd",
    ]  # fmt: skip
    assert markers(found) == [("flash", 1, 1.4)]


@pytest.mark.parametrize(
    ("came", "frame", "expected"),
    [
        pytest.param(8, 3.6, (4, 3.6), id="late, after its frame"),
        pytest.param(0, -2.0, (0, -2.0), id="before the first frame"),
        pytest.param(0, 50.0, (9, 50.0), id="after the last frame: with the end of the source"),
        pytest.param(2, 60_000.0, (2, 60_000.0), id="of a clock that is wrong: not waited for"),
    ],
)
def test_markers_that_do_not_come_in_their_time(
    came: int, frame: float, expected: tuple[int, float]
) -> None:
    found = placed({came: [stimulus(frame)]}, [*(time_of(i) for i in range(10)), end()])
    assert markers(found) == [("flash", *expected)]


def test_markers_that_wait_come_by_time() -> None:
    came = {0: [stimulus(1.9, "second"), stimulus(1.2, "first")]}
    found = placed(came, [time_of(0), time_of(3), end()])
    assert [value for value, *_ in markers(found)] == ["first", "second"]


def test_each_source_has_the_marker_on_its_own_axis() -> None:
    other = [time_of(i, "other", HOST + 2 * STEP) for i in range(3)]
    records = [time_of(0), time_of(1), time_of(2), *other, time_of(3), end(), end("other")]
    found = placed({0: [stimulus(2.0)]}, records)
    both = [(m.source, m.frame, m.at_ns) for m in found if isinstance(m, Marker)]
    assert both == [("cam", 2, 2 * STEP), ("other", 0, 0)]


def test_frames_that_were_dropped_do_not_shift_a_marker() -> None:
    records = [time_of(0), time_of(1), time_of(20), time_of(21), end()]
    assert markers(placed({0: [stimulus(19.0)]}, records)) == [("flash", 20, 19.0)]


MARKER = Marker("cam", "stimuli", "<flash> 1", 1_500_000_000, 45).to_json()
EARLY = Marker("cam", "stimuli", "early", -200_000_000, 0).to_json()
RECORDS = [
    {**START, "engines": "fake"},
    EARLY,
    MARKER,
    MARKER | {"value": "tone"},
    MARKER | {"value": "late", "at_s": 1.54, "frame": 46},
    event("a"),
    {"type": "end", "source": "cam", "frames": 90, "events": 1, "drops": {}},
]


def written(path: Path) -> Path:
    with open_sink(str(path)) as sink:
        for record in RECORDS:
            sink.take(record)
    return path


def test_a_table_has_a_row_for_each_and_is_read_without_them(tmp_path: Path) -> None:
    path = written(tmp_path / "events.csv")
    rows = path.read_text().splitlines()[1:]
    assert rows[0] == ",cam,45,45,45,marker,<flash> 1,,"
    assert [row.split(",")[6] for row in rows] == ["<flash> 1", "tone", "late", "surprise"]
    (interval,) = read_table(path)
    assert (interval.onset, interval.type) == (30, "micro")


def test_an_elan_file_has_a_tier_of_markers(tmp_path: Path) -> None:
    root = ET.parse(written(tmp_path / "events.eaf")).getroot()
    slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE", "")) for s in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    tier = next(each for each in root.iter("TIER") if each.get("TIER_ID") == "markers")
    assert tier.get("LINGUISTIC_TYPE_REF") == "markers"
    found = [
        (slots[each.get("TIME_SLOT_REF1")], slots[each.get("TIME_SLOT_REF2")], each[0].text)
        for each in tier.iter("ALIGNABLE_ANNOTATION")
    ]
    assert found == [(1500, 1540, "<flash> 1; tone"), (1540, 1640, "late")]
    kinds = {each.get("LINGUISTIC_TYPE_ID") for each in root.iter("LINGUISTIC_TYPE")}
    assert kinds == {"micro-expression", "apex", "markers"}


def test_a_report_has_markers_on_its_time_axis(tmp_path: Path) -> None:
    page = written(tmp_path / "report.html").read_text()
    assert "<title>marker &lt;flash&gt; 1 at 1.50 s</title>" in page
    assert "<li>1.540 s: late</li>" in page
    assert "early" not in page
    assert 'x1="675.0" y1="0" x2="675.0"' in page  # 1.5 s of the 2.0 s that 900 px show


def test_the_overlay_shows_the_markers_of_its_last_seconds() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    kept = PictureSink()
    for record in RECORDS:
        kept.take(record)
    expected = [(-0.2, "early"), (1.5, "<flash> 1"), (1.5, "tone"), (1.54, "late")]
    assert kept.markers("cam") == [(round(at_s * 1e9), text) for at_s, text in expected]
    assert kept.markers("other") == []
    without = draw(image, [], now_ns=3_500_000_000)
    shown = draw(image, [], now_ns=3_500_000_000, markers=[(1_500_000_000, "flash")])
    changed = np.flatnonzero((shown != without).any(axis=2).sum(axis=0) > 100)  # the line
    left, right = 92, shown.shape[1] - 16
    assert len(changed) == 1
    assert changed[0] == pytest.approx(right - (right - left) * 2 / 8, abs=1)
    gone = draw(image, [], now_ns=20_000_000_000, markers=[(1_500_000_000, "flash")])
    assert (gone == draw(image, [], now_ns=20_000_000_000)).all()


@pytest.mark.parametrize("kind", ["video", "window"])
def test_what_paints_shows_markers_of_its_source(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "Display", lambda: SimpleNamespace(
        closed=False, show=lambda *_: None, close=lambda: None
    ))  # fmt: skip
    shown = []

    def drawn(image: Any, views: Any, **given: Any) -> Any:
        shown.append(given["markers"])
        return image

    monkeypatch.setattr(draw_module, "draw", drawn)
    with open_sink("window" if kind == "window" else str(tmp_path / "o.mp4")) as sink:
        sink.take(START)
        for index, marker in enumerate((EARLY, MARKER)):
            sink.draw(Frame("cam", index, index * STEP, np.zeros((16, 16, 3), np.uint8)), [])
            sink.take(marker)
        sink.take(MARKER | {"source": "other"})
        sink.draw(Frame("cam", 2, 2 * STEP, np.zeros((16, 16, 3), np.uint8)), [])
    early = (-200_000_000, "early")
    assert shown == [[], [early], [early, (1_500_000_000, "<flash> 1")]]


def test_the_live_table_names_the_last_marker() -> None:
    console = Console(file=StringIO(), width=120, force_terminal=True)
    with LiveTable(console) as table:
        for record in ({**START, "grid_hz": 30}, MARKER):
            table.take(record)
    assert "cam: marker: <flash> 1" in console.file.getvalue()


def test_markers_need_a_source_that_has_a_time_of_its_own(tmp_path: Path) -> None:
    clip = str(write_still(tmp_path / "clip.mp4", frames=3, value=90))
    for pace in (False, True):
        opened = open_sources([clip, "nowhere.mp4"], pace=pace)
        check_markers(None, opened)
        if pace:
            check_markers("lsl:stimuli", opened)
        else:
            with pytest.raises(UsageError, match=r"clip\.mp4 is played faster .*; add --pace"):
                check_markers("lsl:stimuli", opened)
        for source in opened:
            source.close()


def test_other_inputs_are_refused() -> None:
    for uri in ("stimuli", "mqtt:stimuli", "lsl:it's"):
        with pytest.raises(UsageError, match="expected lsl:NAME"):
            open_markers(uri)


def test_a_stream_that_never_comes_is_told() -> None:
    lsl.required("pylsl")
    given = LslMarkers(f"lsl:{lsl.unique('nothing')}")
    with given:
        assert given.take() == []
    assert "was found: there are no markers" in given.remark


def test_a_sender_that_does_not_answer_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pylsl = lsl.required("pylsl")
    name = lsl.unique("silent")
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, "string", name))
    asked = []
    answer = pylsl.StreamInlet.time_correction

    def slow(inlet: Any, timeout: float) -> float:
        asked.append(timeout)
        return answer(inlet, 1e-9 if len(asked) == 1 else timeout)  # too little: it raises

    monkeypatch.setattr(pylsl.StreamInlet, "time_correction", slow)
    with LslMarkers(f"lsl:{name}") as given:
        assert given._connected.wait(60)
        outlet.push_sample(["flash"])
        found = first(given)
    assert [each.value for each in found] == ["flash"]


def first(given: LslMarkers) -> list[Stimulus]:
    until = time.monotonic() + 60
    while not (found := given.take()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def test_numbers_of_another_computer_come_at_our_times() -> None:
    name = lsl.unique("triggers")
    with lsl.sender(name, "int32") as sender, LslMarkers(f"lsl:{name}") as given:
        now_ns = time.monotonic_ns()
        assert given._connected.wait(60)
        sender.send("1234567", now_ns / 1e9)
        found = first(given)
    ((stream, value, host_ns),) = found
    assert (stream, value) == (name, "1234567")
    assert abs(host_ns - now_ns) < STEP / 2  # and not 1000 s


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (np.array([b"flash\xff", b"left"], object), "flash\ufffd, left"),
        (np.array([3.5, 2.0]), "3.5, 2"),
        (np.array([b"two\nlines"], object), "two\\x0alines"),
        (np.array([b"x" * 5000], object), "x" * 1000),
    ],
)
def test_what_a_stranger_sends_is_shown_as_text(sample: Any, text: str) -> None:
    assert text_of(sample) == text
