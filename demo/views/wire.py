"""What goes over the websockets, with its bounds. Pages are strangers: nothing here trusts a length or a type.

To the server: text is a JSON object with a `type`; binary on the Live socket is a frame, an 16-byte head (captured_us
uint64 of the page's clock, seq uint32, 4 bytes of zero; little-endian) and a JPEG. To the page: JSON objects as text;
pictures as binary, the length of a JSON head (uint32), the head, a JPEG.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, NamedTuple, cast

import cv2
import numpy as np

from microspot.realtime.errors import DataError
from microspot.realtime.records import Pixels, View

from ..limits import Limits

HEAD = struct.Struct("<QII")
LENGTH = struct.Struct("<I")
SHOWN = 40  # characters of a stranger's value, in the words about it
NONE = 255  # a column's byte where there is no score; scores are 0 to 254
_SIZED = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG segments that hold the picture's size
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment


class PageFrame(NamedTuple):
    """A frame as the page sent it."""

    captured_us: int
    seq: int
    jpeg: memoryview


def read_frame(data: bytes, limits: Limits) -> PageFrame:
    """Take a binary message apart. Raises DataError when it is not a frame within the limits."""
    if not HEAD.size < len(data) <= HEAD.size + limits.frame_bytes:
        raise DataError(
            f"a frame of {len(data)} bytes: expected a head and at most {limits.frame_bytes} bytes of JPEG"
        )
    captured_us, seq, zero = HEAD.unpack_from(data)
    if zero or captured_us >= 1 << 53:
        raise DataError("a frame's head is malformed: reload the page")
    return PageFrame(captured_us, seq, memoryview(data)[HEAD.size :])


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
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{key}: expected a number, got {str(value)[:SHOWN]!r}")
    if not low <= value <= high:  # nor is "not a number", nor an integer too long for a float
        raise DataError(f"{key} is {str(value)[:SHOWN]}: expected {low:g} to {high:g}")
    return float(value)


def jpeg_size(jpeg: memoryview) -> tuple[int, int]:
    """(width, height) a JPEG claims, read without decoding it. Raises DataError when it is not a JPEG."""
    at = 2
    if bytes(jpeg[:2]) != b"\xff\xd8":
        raise DataError("a frame that is no JPEG")
    while at + 9 <= len(jpeg):
        if jpeg[at] != 0xFF:
            break
        marker = jpeg[at + 1]
        if marker in _SIZED:
            height, width = struct.unpack_from(">HH", jpeg, at + 5)
            return int(width), int(height)
        at += (
            2
            if marker in _BARE
            else 1
            if marker == 0xFF
            else 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
        )
    raise DataError("a frame whose JPEG has no size")


def decode(jpeg: memoryview, limits: Limits) -> Pixels:
    """HxWx3 BGR. Raises DataError for a picture that is too large or cannot be decoded."""
    width, height = jpeg_size(jpeg)
    if not 0 < width * height <= limits.frame_pixels:
        raise DataError(
            f"a frame of {width}x{height}: expected at most {limits.frame_pixels} pixels"
        )
    image = cv2.imdecode(
        np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    if image is None:
        raise DataError("a frame whose JPEG cannot be decoded")
    return cast(Pixels, image)


def pack_picture(head: dict[str, Any], image: Pixels, limits: Limits) -> bytes:
    """A binary message: `head` and `image` (HxWx3 BGR), made smaller where it is wider than a page needs."""
    height, width = image.shape[:2]
    if width > limits.picture_width:
        size = limits.picture_width, max(1, round(height * limits.picture_width / width))
        image = cast(Pixels, cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, limits.picture_quality])
    text = json.dumps(head | {"width": width, "height": height}).encode()
    return LENGTH.pack(len(text)) + text + jpeg.tobytes()


def sight(view: View, columns: int) -> dict[str, Any]:
    """What a page draws of one face now: outline (frame px), quality, note, latency, the newest score columns.

    `columns` of the result is base64 of (n, M + 1) bytes, oldest first: the window scores, then the refined score, as
    0..254, 255 where there is none; the last column stands at `now_ns`, one per tick before it.
    """
    table = np.concatenate(
        [view.scores[:, -columns:], view.refined[None, -columns:]]
    ).T  # (n, M + 1)
    levels = (
        np.where(np.isnan(table), NONE, np.nan_to_num(table).clip(0, 1) * (NONE - 1))
        .round()
        .astype(np.uint8)
    )
    outline = view.outline[np.isfinite(view.outline).all(axis=1)]
    return {
        "face": view.face, "now_ns": view.now_ns, "latency_ms": round(view.latency_ms, 1),
        "quality": round(view.quality, 3), "note": view.note,
        "outline": outline.round(1).tolist(), "columns": base64.b64encode(levels.tobytes()).decode(),
    }  # fmt: skip
