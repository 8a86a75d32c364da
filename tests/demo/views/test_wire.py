"""Messages of pages: what is malformed is refused, nothing is decoded before its size is known."""

import base64
import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from microspot.demo.limits import Limits
from microspot.demo.views.wire import (
    NO_SCORE,
    decode,
    face_overlay,
    number,
    pack_picture,
    read_frame,
    read_text,
)
from microspot.engines.alignment.displacement import BLOCKS
from microspot.engines.units.findings import Region
from microspot.realtime.errors import DataError
from microspot.realtime.overlay.movement import ARROW_SCALE
from microspot.realtime.records import PersonalState, View
from microspot.realtime.sources.images.image_headers import jpeg_size
from tests.demo.serving import GREY, frame, jpeg
from tests.realtime.overlay.test_overlay import event, view

LIMITS = Limits()
HUGE_HEADER = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 65_000, 65_000) + bytes(20)
HUGE = jpeg()[:2] + HUGE_HEADER
# To a reader that takes marker FF01 to have a length, this is a small picture.
HIDDEN = jpeg()[:2] + b"\xff\x01" + HUGE_HEADER.ljust(0xFFC0, b"\0") + jpeg()[2:]


def test_a_frame_comes_out_as_it_went_in():
    found = read_frame(frame(3, 12_345), LIMITS)
    assert (found.seq, found.captured_us) == (3, 12_345)
    assert np.abs(decode(found.jpeg, LIMITS).astype(int) - GREY).max() <= 2


FRAMES = [
    b"",
    bytes(16),
    struct.pack("<QII", 1, 1, 7) + jpeg(),
    struct.pack("<QII", 1 << 60, 1, 0) + jpeg(),
    bytes(17 + LIMITS.frame_bytes),
]


@pytest.mark.parametrize("data", FRAMES)
def test_a_malformed_frame_is_refused(data):
    with pytest.raises(DataError):
        read_frame(data, LIMITS)


PICTURES = [
    (b"not a jpeg at all", "no JPEG"),
    (b"\xff\xd8\xff", "no size"),
    (b"\xff\xd8" + bytes(30), "no size"),
    (HUGE, "at most"),
    (HIDDEN, "at most"),
    (jpeg()[:200], "decoded|no size"),
]


@pytest.mark.parametrize(("data", "words"), PICTURES)
def test_a_picture_that_is_none_or_too_large_is_refused(data, words):
    with pytest.raises(DataError, match=words):
        decode(memoryview(data), LIMITS)


def test_a_marker_without_a_length_is_passed_over():
    data = jpeg()[:2] + b"\xff\x01" + jpeg()[2:]
    assert decode(memoryview(data), LIMITS).shape == (48, 64, 3)


TEXTS = ["", "[]", "{}", '{"type": 3}', "{", "[" * 3000, "x" * (LIMITS.text_bytes + 1)]


@pytest.mark.parametrize("text", TEXTS)
def test_a_malformed_text_is_refused(text):
    with pytest.raises(DataError):
        read_text(text, LIMITS)


@pytest.mark.parametrize(
    "value", [None, "1", True, float("nan"), float("inf"), 2, -1, 10**400, -(10**400)]
)
def test_a_number_is_a_number_within_its_bounds(value):
    with pytest.raises(DataError):
        number({"value": value}, "value", 0, 1)


def test_a_wide_picture_is_made_smaller_and_says_how_wide_it_was():
    packed = pack_picture({"type": "frame"}, np.zeros((300, 1280, 3), np.uint8), LIMITS)
    (length,) = struct.unpack_from("<I", packed)
    head = json.loads(packed[4 : 4 + length])
    assert head["width"] == 1280
    assert jpeg_size(memoryview(packed)[4 + length :]) == (LIMITS.picture_width, 150)


def test_a_view_becomes_columns_of_bytes():
    scores = np.array([[0.0, 0.5, np.nan], [1.0, np.nan, np.nan]], np.float32)
    shown = View(
        source="x",
        face=0,
        now_ns=5,
        grid_hz=30,
        measured_hz=29.97,
        windows=(7, 9),
        scores=scores,
        refined=np.array([np.nan, 0.25, np.nan], np.float32),
        events=(),
        quality=0.5,
        latency_ms=1.0,
        note="face small: 62 px",
        outline=np.array([[1, 2], [np.nan, 3]], np.float32),
        thresholds=(0.5, 0.5),
        personal=PersonalState("x", 0, 5, 0.931, 0.2, 250.0, 3, learning=False),
    )
    seen = face_overlay(shown, columns=2)
    columns = np.frombuffer(base64.b64decode(seen["columns"]), np.uint8).reshape(-1, 3)
    assert columns.tolist() == [[127, NO_SCORE, 64], [NO_SCORE, NO_SCORE, NO_SCORE]]
    assert seen["outline"] == [[1.0, 2.0]]
    assert seen["note"] == "face small: 62 px"
    assert seen["threshold"] == "threshold 0.93 for 0.2 alarms/min, 4 min seen"
    assert face_overlay(replace(shown, personal=None), columns=2)["threshold"] == ""
    assert (seen["region"], seen["arrows"]) == ([], []), "nothing is known to have moved"
    assert seen["moves"] == ""
    moving = replace(shown, nuisances={"blink": 0.804, "turn": 0.0})
    assert face_overlay(moving, columns=2)["moves"] == "blink 80%   turn 0%"
    assert json.loads(json.dumps(seen)) == seen


def test_a_view_says_where_its_newest_event_moved():
    region = Region("mouth corner", "both", 1.0, "c", 0.9)
    flow = np.zeros((BLOCKS, BLOCKS, 2), np.float32)
    flow[3, 9] = 1.0, 0.0
    moved = event("a", onset_s=19.0, region=region, flow=flow)
    shown = view(events=(moved,), affine=np.eye(2, 3), crop_side=112)
    seen = face_overlay(shown, columns=2)
    assert [np.shape(polygon)[1] for polygon in seen["region"]] == [2, 2]
    ((x, y, u, v),) = seen["arrows"]
    assert (y, v) == (3 * 8 + 3.5, 3 * 8 + 3.5)
    assert (x, u) == (9 * 8 + 3.5, 9 * 8 + 3.5 + ARROW_SCALE)
    assert json.loads(json.dumps(seen)) == seen
    old = replace(shown, events=(event("a", onset_s=15.0, region=region, flow=flow),))
    assert face_overlay(old, columns=2)["region"] == []
