"""What goes over the websockets, with its bounds. No length or type from a page is trusted.

To the server: text is a JSON object with a `type`; binary on the Live socket is a frame: a header
of 16 bytes (captured_us uint64 of the page's clock, seq uint32, 4 bytes of zero; little-endian) and
a JPEG. To the page: JSON objects as text; pictures as binary: the length of a JSON header (uint32),
the header, a JPEG.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from microspot.realtime.errors import DataError
from microspot.realtime.overlay.event_text import nuisance_words, threshold_words
from microspot.realtime.overlay.movement import arrows, region_outlines, shown_event
from microspot.realtime.records import Pixels, View
from microspot.realtime.sources.images.image_headers import JPEG_START, jpeg_size

from ..limits import Limits

FRAME_HEADER = struct.Struct("<QII")
HEADER_LENGTH = struct.Struct("<I")
QUOTED_LENGTH = 40  # characters of a page's value that an error message quotes
NO_SCORE = 255  # a column's byte where there is no score; scores are 0 to 254


class PageFrame(NamedTuple):
    """A frame as the page sent it."""

    captured_us: int
    seq: int
    jpeg: memoryview


def read_frame(data: bytes, limits: Limits) -> PageFrame:
    """Take a binary message apart. Raises DataError when it is not a frame within the limits."""
    if not FRAME_HEADER.size < len(data) <= FRAME_HEADER.size + limits.frame_bytes:
        raise DataError(
            f"a frame of {len(data)} bytes: "
            f"expected a head and at most {limits.frame_bytes} bytes of JPEG"
        )
    captured_us, seq, zero = FRAME_HEADER.unpack_from(data)
    if zero or captured_us >= 1 << 53:
        raise DataError("a frame's head is malformed: reload the page")
    return PageFrame(captured_us, seq, memoryview(data)[FRAME_HEADER.size :])


def read_text(text: str, limits: Limits) -> dict[str, Any]:
    """A JSON object with a text `type`. Raises DataError for anything else."""
    if len(text) > limits.text_bytes:
        raise DataError(
            f"a message of {len(text)} characters: expected at most {limits.text_bytes}"
        )
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise DataError("a message that is no JSON object with a type: reload the page")
    return cast("dict[str, Any]", message)


def number(message: dict[str, Any], key: str, low: float, high: float) -> float:
    """A number of a message. Raises DataError when it is missing or outside low..high."""
    value = message.get(key)
    quoted = str(value)[:QUOTED_LENGTH]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{key}: expected a number, got {quoted!r}")
    if not low <= value <= high:  # as NaN is not, nor an integer too long for a float
        raise DataError(f"{key} is {quoted}: expected {low:g} to {high:g}")
    return float(value)


def decode(jpeg: memoryview, limits: Limits) -> Pixels:
    """HxWx3 BGR of a JPEG.

    Raises DataError for a picture that is not a JPEG, is too large, or cannot be decoded.
    """
    width, height = _claimed_size(jpeg)
    if not 0 < width * height <= limits.frame_pixels:
        raise DataError(
            f"a frame of {width}x{height}: expected at most {limits.frame_pixels} pixels"
        )
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), flags)
    if image is None:
        raise DataError("a frame whose JPEG cannot be decoded")
    return cast(Pixels, image)


def _claimed_size(jpeg: memoryview) -> tuple[int, int]:
    """(width, height) in a JPEG's header, read without decoding it."""
    if jpeg[: len(JPEG_START)] != JPEG_START:
        raise DataError("a frame that is no JPEG")
    size = jpeg_size(jpeg)
    if size is None:
        raise DataError("a frame whose JPEG has no size")
    return size


def pack_picture(header: dict[str, Any], image: Pixels, limits: Limits) -> bytes:
    """A binary message: `header` and `image` (HxWx3 BGR), at most as wide as a page needs."""
    height, width = image.shape[:2]
    if width > limits.picture_width:
        size = limits.picture_width, max(1, round(height * limits.picture_width / width))
        image = cast(Pixels, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, limits.picture_quality])
    text = json.dumps(header | {"width": width, "height": height}).encode()
    return HEADER_LENGTH.pack(len(text)) + text + jpeg.tobytes()


def face_overlay(view: View, columns: int) -> dict[str, Any]:
    """What a page draws of one face now.

    Outline (frame px), of the newest event the `region` as polygons and the `arrows` as x, y, x, y
    (frame px, see `overlay.movement`), quality, note, the words on a threshold of its own ("" for
    none) and on what else moves ("" where the weights do not say), latency, and the newest score
    columns: `columns` of the result is base64 of (n, M + 1) bytes, oldest first: the window scores,
    then the refined score, as 0..254, 255 where there is none. The last column stands at `now_ns`,
    one per tick before it.
    """
    table = np.concatenate([view.scores[:, -columns:], view.refined[None, -columns:]])  # (M + 1, n)
    event = shown_event(view, view.now_ns)
    region = region_outlines(view, event) if event else []
    ways = arrows(view, event) if event else np.empty(0)
    outline = view.outline[np.isfinite(view.outline).all(axis=1)]
    return {
        "face": view.face,
        "now_ns": view.now_ns,
        "latency_ms": round(view.latency_ms, 1),
        "quality": round(view.quality, 3),
        "note": view.note,
        "threshold": threshold_words(view.personal) if view.personal else "",
        "moves": nuisance_words(view.nuisances),
        "outline": outline.round(1).tolist(),
        "region": [polygon.round(1).tolist() for polygon in region],
        "arrows": ways.reshape(-1, 4).round(1).tolist(),
        "columns": base64.b64encode(_levels(table.T).tobytes()).decode(),
    }


def _levels(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scores from 0 to 1 (NaN for none) as bytes."""
    scaled = np.nan_to_num(scores).clip(0, 1) * (NO_SCORE - 1)
    return np.where(np.isnan(scores), NO_SCORE, scaled).round().astype(np.uint8)
