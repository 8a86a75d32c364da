"""Pictures of one event: stills, the movement as colours, and a loop with the movement magnified.

Stills are JPEG, which Chromium puts into a PDF as it is: printed, a report of 100 events has 2.8
MB. As WebP, which becomes plain pixels, one of 11 events had 4.1 MB. At equal error the JPEG of a
face is 1.5 times as large. Loops are WebP, which every browser plays; paper has the magnified apex
in their place. Each picture of the loop is coded by itself: libwebp's own coder of animations,
which OpenCV uses, leaves out changes of less than 5 grey levels at quality 75 and 15 at quality 30.
Of a lip corner's 0.8 px it left 0.5 px at quality 45, and of 24 pictures 16. None of the numbers is
from the papers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from microspot.engines.clips import SECOND_NS
from microspot.engines.magnification.color_map import color_map
from microspot.engines.magnification.flow import local_flow
from microspot.engines.magnification.magnify import Magnification

from ...records import Pixels
from ...sinks.base import JsonRecord
from ...sinks.report_pictures import EventPictures
from .steady_crops import SteadyCrop

# Most bytes of an event's pictures: a page has four thirds of it for each, so 14.4 MB for 100.
EVENT_BYTES = 108_000
STILL_BYTES = 4_500  # most of them for a still; what stills leave is the loop's
# Of JPEG and WebP, best first: the first that fits.
QUALITIES = (80, 60, 45, 30, 15, 1)

AROUND_S = 0.2  # of the loop before the onset and after the offset
LOOP_FRAMES = 20  # most, evenly over what the loop shows
SLOWED = 3  # times
LAST_HZ = 2  # the last picture stands for half a second
CODEC = "libwebp"
# Every part of a picture as fine as any other: else what the strip shows changes how the face is
# coded, by up to 2 grey levels where nothing moved. Size and error are the same.
PRESET = "icon"
MILLISECOND = Fraction(1, 1000)  # the clock of WebP
GAP = 4  # px between the face as it was and the magnified one
STRIP = 6  # px of the strip below, on which the event is marked and time goes on
BACKGROUND = (40, 40, 40)  # BGR
EVENT_COLOR = (0, 94, 213)
NOW_COLOR = (255, 255, 255)


def event_pictures(
    event: JsonRecord, crops: Sequence[SteadyCrop], magnification: Magnification
) -> EventPictures | None:
    """The pictures of a final event from the crops of its face, which are in order of time.

    None where there is no crop.
    """
    if not crops:
        return None
    start, peak, end = (
        _nearest(crops, event[f"{name}_frame"]).picture() for name in ("onset", "apex", "offset")
    )
    moved = color_map(peak, local_flow(start, peak))
    (magnified,) = magnification(peak[None], start)
    stills = [_still(picture) for picture in (start, peak, end, moved, magnified)]
    left_bytes = EVENT_BYTES - sum(map(len, stills))
    return EventPictures(
        onset=stills[0],
        apex=stills[1],
        offset=stills[2],
        moved=stills[3],
        magnified=stills[4],
        loop=magnified_loop(event, crops, magnification, left_bytes),
        gain=magnification.gain,
        way=magnification.way,
        slowed=SLOWED,
    )


def magnified_loop(
    event: JsonRecord, crops: Sequence[SteadyCrop], magnification: Magnification, most_bytes: int
) -> bytes:
    """A WebP of at most `most_bytes` that is shown for ever: the face of an event beside the same.

    What moved since the onset is magnified in the right half. crops: one at least, in order of
    time; the event's apex is not needed.
    """
    onset = _nearest(crops, event["onset_frame"])
    offset = _nearest(crops, event["offset_frame"])
    shown = _evenly(_around(crops, onset, offset), LOOP_FRAMES)
    times_ns = [crop.captured_ns for crop in shown]
    clip = np.stack([crop.picture() for crop in shown])
    pairs = _side_by_side(clip, magnification(clip, onset.picture()))
    strips = _strips(pairs.shape[2], times_ns, (onset.captured_ns, offset.captured_ns))
    frames = [np.vstack(parts) for parts in zip(pairs, strips, strict=True)]
    return _loop(frames, times_ns, most_bytes)


def _nearest(crops: Sequence[SteadyCrop], index: int) -> SteadyCrop:
    """The crop of the frame `index`, or of that nearest to it."""
    return min(crops, key=lambda crop: abs(crop.index - index))


def _around(crops: Sequence[SteadyCrop], onset: SteadyCrop, offset: SteadyCrop) -> list[SteadyCrop]:
    """The crops from AROUND_S before the onset to as much after the offset."""
    first_ns = onset.captured_ns - AROUND_S * SECOND_NS
    last_ns = offset.captured_ns + AROUND_S * SECOND_NS
    return [crop for crop in crops if first_ns <= crop.captured_ns <= last_ns]


def _evenly(crops: Sequence[SteadyCrop], most: int) -> list[SteadyCrop]:
    """At most so many of the crops, the first and the last among them."""
    kept = np.linspace(0, len(crops) - 1, min(most, len(crops)))
    return [crops[round(place)] for place in kept]


def _side_by_side(clip: Pixels, magnified: Pixels) -> Pixels:
    """Two clips (N, S, S, 3) as one, (N, S, 2 S + GAP, 3)."""
    count, side = clip.shape[:2]
    gap = np.full((count, side, GAP, 3), BACKGROUND, np.uint8)
    return np.concatenate([clip, gap, magnified], axis=2)


def _strips(width: int, times_ns: Sequence[int], span_ns: tuple[int, int]) -> list[Pixels]:
    """For each time a strip (STRIP, width, 3): the event in colour, a white mark for now."""
    length_ns = max(times_ns[-1] - times_ns[0], 1)

    def place(at_ns: int) -> int:
        return round((width - STRIP) * (at_ns - times_ns[0]) / length_ns)

    empty = np.full((STRIP, width, 3), BACKGROUND, np.uint8)
    empty[:, place(span_ns[0]) : place(span_ns[1]) + STRIP] = EVENT_COLOR
    strips = []
    for now_ns in times_ns:
        strip = empty.copy()
        strip[:, place(now_ns) : place(now_ns) + STRIP] = NOW_COLOR
        strips.append(strip)
    return strips


def _still(picture: Pixels) -> bytes:
    """A picture as JPEG of at most STILL_BYTES."""

    def encoded(quality: int) -> bytes:
        options = (cv2.IMWRITE_JPEG_QUALITY, quality)
        return bytes(cv2.imencode(".jpg", picture, options)[1])

    return _first_that_fits(encoded, STILL_BYTES)


def _loop(frames: Sequence[Pixels], times_ns: Sequence[int], most_bytes: int) -> bytes:
    """Frames that are shown for ever, SLOWED, as WebP of at most `most_bytes`.

    Where no quality makes it so small, which nothing but noise does, every second frame is left.
    """

    def encoded(quality: int) -> bytes:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="webp", options={"loop": "0"}) as file:
            options = {"quality": str(quality), "preset": PRESET}
            stream = cast(VideoStream, file.add_stream(CODEC, LAST_HZ, options))
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = MILLISECOND
            for image, at_ns in zip(frames, times_ns, strict=True):
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts = round((at_ns - times_ns[0]) * SLOWED / 1e6)
                frame.time_base = MILLISECOND
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return buffer.getvalue()

    found = _first_that_fits(encoded, most_bytes)
    if len(found) > most_bytes and len(frames) > 1:
        return _loop(frames[::2], times_ns[::2], most_bytes)
    return found


def _first_that_fits(encoded: Callable[[int], bytes], most_bytes: int) -> bytes:
    """What the best quality gives that is no longer than `most_bytes`, or else the worst one."""
    for quality in QUALITIES:
        found = encoded(quality)
        if len(found) <= most_bytes:
            break
    return found
