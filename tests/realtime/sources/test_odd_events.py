"""A clip's events are found whatever way up it is stored, and when its pictures change size."""

import itertools
from fractions import Fraction

import cv2
import pytest

from microspot.engines.loading import load_engines
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Event, Frame, Gap
from microspot.realtime.sources.open import open_source
from tests.clips import write_clip
from tests.realtime.sources.test_odd_files import turned

FRAMES = 180  # of sample:synthetic:7: two micro-expressions
HALF = 90
NEAR = 2  # frames that an edge may move in a re-encoded picture


@pytest.fixture(scope="module")
def images():
    with open_source("sample:synthetic:7") as source:
        return [r.image for r in itertools.islice(source, FRAMES) if isinstance(r, Frame)]


@pytest.fixture(scope="module")
def engines():
    with load_engines() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def clean(images, engines, tmp_path_factory):
    return found(
        write_clip(tmp_path_factory.mktemp("clean") / "clean.mp4", images, preset="ultrafast"),
        engines,
    )[0]


def found(path, engines):
    """Final events and gaps."""
    with Pipeline([open_source(str(path))], engines) as pipeline:
        records = list(pipeline.run())
    finals = [r for r in records if isinstance(r, Event) and r.status == "final"]
    return finals, [r for r in records if isinstance(r, Gap)]


def same(events, expected):
    assert [e.label for e in events] == [e.label for e in expected]
    for one, other in zip(events, expected, strict=True):
        assert abs(one.onset_frame - other.onset_frame) <= NEAR
        assert abs(one.offset_frame - other.offset_frame) <= NEAR


def test_a_front_camera_shows_what_any_other_shows(clean, images, engines, tmp_path):
    assert len(clean) == 2
    path = write_clip(
        tmp_path / "stored.mp4", (image[:, ::-1] for image in images), preset="ultrafast"
    )
    same(found(turned(path, tmp_path / "mirrored.mp4", (-1, 0, 0, 1)), engines)[0], clean)


def test_a_size_that_changes_costs_one_frame(clean, images, engines, tmp_path):
    for number, image in enumerate(images):
        scale = 1.0 if number < HALF else 1.25
        cv2.imwrite(str(tmp_path / f"{number}.png"), cv2.resize(image, None, fx=scale, fy=scale))
    events, gaps = found(tmp_path, engines)
    same(events, clean)
    assert [(g.reason, round((g.stop_ns - g.start_ns) * 30 / 1e9)) for g in gaps] == [
        ("picture size changed", 1)
    ]


def test_a_squeezed_picture_shows_what_an_ordinary_one_shows(clean, images, engines, tmp_path):
    narrow = (cv2.resize(image, (image.shape[1] * 3 // 4, image.shape[0])) for image in images)
    path = write_clip(tmp_path / "narrow.mp4", narrow, aspect=Fraction(4, 3), preset="ultrafast")
    same(found(path, engines)[0], clean)
