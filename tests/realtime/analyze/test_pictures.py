"""Pictures of events: which frames they show, how large they get, when none are there."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import FixedAligner
from microspot.engines.magnification.magnify import Magnification
from microspot.realtime.analyze.pictures import pictured_report
from microspot.realtime.analyze.pictures.event_pictures import (
    EVENT_BYTES,
    LOOP_FRAMES,
    event_pictures,
)
from microspot.realtime.analyze.pictures.pictured_report import PicturedReport
from microspot.realtime.analyze.pictures.steady_crops import SIDE, SteadyCrop, SteadyCrops
from microspot.realtime.records import Frame
from microspot.realtime.sinks.html_report import page
from microspot.realtime.sinks.report_pictures import EventPictures
from tests.realtime.analyze.test_parts import TICK_NS, view
from tests.realtime.sinks.test_html_report import START, event

PAGE_BYTES = 15_000_000  # of a report of 100 events
PLACE = np.array([[0.5, 0.0, 10.0], [0.0, 0.5, -4.0]])  # frame px -> px of a crop of 112 px
PIXEL_BY_PIXEL = np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25]])  # of a picture of 224 px
STILLS = ("onset", "apex", "offset")


def frame(index: int, image: NDArray[np.uint8] | None = None) -> Frame:
    """A frame as grey as its index is high."""
    if image is None:
        image = np.full((240, 320, 3), 5 * index, np.uint8)
    return Frame("clip", index, index * TICK_NS, image)


def seen(index: int, face: int = 0, affine: NDArray[np.float64] | None = PLACE) -> Any:
    """The view of a face in a frame, used where there is an affine."""
    return replace(view(index * TICK_NS), face=face, affine=affine, crop_side=112)


def crops(count: int, wait_ticks: int = 100) -> list[SteadyCrop]:
    kept = SteadyCrops(wait_ticks * TICK_NS)
    for index in range(count):
        kept.add(frame(index), [seen(index)])
    return kept.of(0)


def found(onset: int, apex: int, offset: int, **other: Any) -> dict[str, Any]:
    frames = {"onset_frame": onset, "apex_frame": apex, "offset_frame": offset}
    return event(onset=onset / 30, **frames, **other)


def decoded(content: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def loop_of(pictures: EventPictures) -> tuple[NDArray[np.uint8], list[int]]:
    _, animation = cv2.imdecodeanimation(np.frombuffer(pictures.loop, np.uint8))
    return np.stack(animation.frames)[..., :3], list(animation.durations)


def texture(spread: float) -> NDArray[np.uint8]:
    """A grey frame that varies over `spread` px and more."""
    noise = np.random.default_rng(0).standard_normal((240, 320)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), spread)
    grey = cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def test_a_picture_shows_what_the_networks_crop_shows() -> None:
    image = texture(5)
    kept = SteadyCrops(TICK_NS)
    kept.add(frame(0, image), [seen(0)])
    picture = kept.of(0)[0].picture()
    (face,) = FixedAligner(PLACE)(image, 0).faces
    smaller = cv2.resize(picture, (112, 112), interpolation=cv2.INTER_AREA)
    off = cv2.cvtColor(smaller, cv2.COLOR_BGR2RGB).astype(int) - face.pixels.transpose(1, 2, 0)
    assert np.abs(off).max() <= 5
    assert picture.shape == (SIDE, SIDE, 3)


def test_faces_are_kept_for_a_while_and_only_where_they_are_used() -> None:
    kept = SteadyCrops(10 * TICK_NS)
    for index in range(30):
        stale = seen(index - 1, face=1)
        unused = seen(index, face=2, affine=None)
        kept.add(frame(index), [seen(index), stale, unused])
    assert [crop.index for crop in kept.of(0)] == list(range(19, 30))
    assert kept.of(1) == kept.of(2) == []
    kept.add(frame(30), [seen(30), seen(30, face=1)])
    kept.forget(0)
    assert kept.of(0) == []
    assert len(kept.of(1)) == 1
    kept.forget(None)
    assert kept.of(1) == []


def test_stills_and_loop_show_the_frames_of_the_event() -> None:
    pictures = event_pictures(found(15, 18, 22), crops(50), Magnification())
    assert pictures is not None
    greys = [decoded(getattr(pictures, name)).mean() / 5 for name in STILLS]
    assert greys == pytest.approx([15, 18, 22], abs=0.5)
    frames, durations = loop_of(pictures)
    shown = frames[:, :SIDE, :SIDE].mean((1, 2, 3)) / 5
    assert shown == pytest.approx(np.linspace(9, 28, LOOP_FRAMES), abs=1)
    assert len(frames) == LOOP_FRAMES
    assert durations == [100] * (LOOP_FRAMES - 1) + [500], "three times as slow"
    strip = frames[:, -3, :, 2].astype(int)  # its red
    assert (strip.argmax(1)[1:] > strip.argmax(1)[:-1]).all(), "time goes on"


def test_a_loop_at_the_ends_of_a_recording_shows_what_there_is() -> None:
    for last in (1, 3):
        pictures = event_pictures(found(0, 0, last), crops(last + 1), Magnification(2.0))
        assert pictures is not None
        assert decoded(pictures.offset).mean() == pytest.approx(5 * last, abs=3)
    assert event_pictures(found(0, 1, 2), [], Magnification()) is None


def moving_crops() -> list[SteadyCrop]:
    """Crops of 20 frames; a part moves down by 2 px from frame 9 to 11."""
    still = texture(4)
    kept = SteadyCrops(100 * TICK_NS)
    for index in range(20):
        image = still.copy()
        down = 2 if 9 <= index <= 11 else 0
        image[80 + down : 120 + down, 60:140] = still[80:120, 60:140]
        kept.add(frame(index, image), [seen(index)])
    return kept.of(0)


def test_what_moved_is_magnified_in_the_right_half() -> None:
    pictures = event_pictures(found(7, 10, 13), moving_crops(), Magnification(4.0))
    assert pictures is not None
    frames, _ = loop_of(pictures)
    assert len(frames) == 19
    change = np.abs(frames.astype(int) - frames[0])[:, :SIDE]
    left = change[:, :, :SIDE].mean((1, 2, 3))
    right = change[:, :, -SIDE:].mean((1, 2, 3))
    moves = slice(8, 11)  # of the loop, which begins at frame 1
    assert left[moves].min() > 0.5
    assert right[moves].min() > 1.3 * left[moves].max()
    for half in (left, right):
        assert np.delete(half, moves).max() < 0.05, "coded alike, whatever the strip shows"
    start, peak, paper = (
        decoded(content).astype(int)
        for content in (pictures.onset, pictures.apex, pictures.magnified)
    )
    assert np.abs(paper - start).mean() > 1.3 * np.abs(peak - start).mean(), "on paper too"
    colored = decoded(pictures.moved).astype(int)[:150]  # above the key
    assert np.ptp(colored, axis=-1).max() > 100


def test_a_hundred_events_of_nothing_but_noise_fit_on_the_page() -> None:
    rng = np.random.default_rng(2)
    kept = SteadyCrops(100 * TICK_NS)
    for index in range(40):
        noise = rng.integers(0, 255, (240, 320, 3), np.uint8)
        kept.add(frame(index, noise), [seen(index, affine=PIXEL_BY_PIXEL)])
    pictures = event_pictures(found(10, 18, 27), kept.of(0), Magnification())
    assert pictures is not None
    sizes = [len(getattr(pictures, name)) for name in (*STILLS, "moved", "magnified", "loop")]
    assert sum(sizes) <= EVENT_BYTES
    full = replace(pictures, loop=pictures.loop.ljust(EVENT_BYTES - sum(sizes[:-1])))
    events = [event(onset=10.0 + n) | {"id": f"{n:016x}"} for n in range(100)]
    whole = page([START, *events], {one["id"]: full for one in events})
    assert len(whole) < PAGE_BYTES


def record(sink: PicturedReport, *records: dict[str, Any]) -> None:
    for one in records:
        sink.take(one)


def test_the_report_shows_each_event_and_loads_nothing(tmp_path: Path) -> None:
    sink = PicturedReport(tmp_path / "report.html", 60 * TICK_NS, Magnification(5.0))
    assert sink.draws
    assert "pictures of faces in report.html" in sink.note
    gap = {"type": "gap", "source": "x", "face": 0, "reason": "r", "start_s": 0.9, "stop_s": 1.2}
    with sink:
        record(sink, START)
        for index in range(30):
            sink.draw(frame(index), [seen(index)])
        blinking = found(5, 8, 12, id="a", confounders={"blink": 0.93, "speech": 0.1})
        record(sink, blinking, gap, found(14, 15, 16) | {"id": "b"})
    text = (tmp_path / "report.html").read_text()
    assert set(sink.pictures) == {"a"}, "a gap forgets the face"
    images = re.findall(r'<img alt="([^"]*)" src="data:image/(\w+);base64,([^"]*)"', text)
    assert [words for words, _, _ in images][2:] == ["where it moved, onset to apex", *STILLS]
    assert "movement x5" in images[0][0]
    assert images[1][0] == "apex, movement x5"
    assert [kind for _, kind, _ in images] == ["webp", *["jpeg"] * 5]
    assert b64decode(images[1][2]) == sink.pictures["a"].magnified
    assert b64decode(images[4][2]) == sink.pictures["a"].apex
    assert '<a href="#pictures-a">' in text
    assert "negative 90%; what else moved: blink 93%</figcaption>" in text
    assert 'id="pictures-a"' in text
    assert "Events without pictures: 1." in text
    without_pictures = re.sub(r"base64,[^\"]*", "", text)
    assert "http" not in without_pictures
    assert "<script" not in text


def test_pictures_of_many_events_stop_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictured_report, "MOST_EVENTS", 1)
    with PicturedReport(tmp_path / "report.html", 60 * TICK_NS, Magnification()) as sink:
        record(sink, START)
        for index in range(20):
            sink.draw(frame(index), [seen(index)])
        record(sink, found(5, 8, 12) | {"id": "a"}, found(5, 8, 12) | {"id": "b"})
    assert set(sink.pictures) == {"a"}
    assert "first 1 events" in sink.remark
    assert (tmp_path / "report.html").read_text().count("<figure") == 1
