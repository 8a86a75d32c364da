"""A source that its owner feeds: order, bounds, end."""

import threading
import time

import numpy as np
import pytest

from microspot.realtime.records import Frame, Gap, SourceState, SourceWarning
from microspot.realtime.sources.push import CAPACITY, PushSource

WALL = np.zeros((4, 6, 3), np.uint8)


def test_frames_come_out_in_order_and_closing_ends_after_the_last():
    source = PushSource("page", first_index=7)
    assert [source.push(k * 10, WALL) for k in range(3)] == [7, 8, 9]
    source.close()
    state, *frames = source
    assert state == SourceState("page", "live")
    assert [(f.index, f.captured_ns) for f in frames] == [(7, 0), (8, 10), (9, 20)]


def test_a_full_buffer_refuses_and_counts():
    source = PushSource("page")
    taken = [source.push(k, WALL) for k in range(CAPACITY + 2)]
    assert taken == [*range(CAPACITY), None, None]
    assert source.drops == {"overload": 2}
    frames = iter(source)
    next(frames), next(frames)
    assert source.push(99, WALL) == CAPACITY  # room again, numbers go on
    source.close()
    assert source.push(100, WALL) is None


def test_another_size_of_picture_is_another_segment():
    source = PushSource("page")
    source.push(10, WALL)
    source.push(20, WALL[:2])
    source.close()
    _, _, gap, frame = source
    assert gap == Gap("page", None, 10, 20, "new size")
    assert isinstance(frame, Frame)


def test_a_slow_camera_is_warned_of():
    check = PushSource("page")
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(check))
    reader.start()
    for k in range(40):
        while check.push(k * 100_000_000, WALL) is None:
            time.sleep(0.001)
    check.close()
    reader.join()
    warning = next(s for s in seen if isinstance(s, SourceWarning))
    assert "10 frames/s" in warning.detail


def test_only_pictures_are_taken():
    with pytest.raises(ValueError, match="uint8"):
        PushSource("page").push(0, WALL.astype(np.float32))
