"""What the header of an image promises, read before OpenCV decodes it.

OpenCV would decode a picture of a thousand million pixels if its header asked for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import cast

JPEG_START = b"\xff\xd8"
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG markers SOF0 to SOF15
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}  # JPEG markers TEM, RST0 to RST7, SOI
_STUFFING = 0x00  # after FF: no marker but a byte FF of coded data
_FILL = 0xFF  # before a marker, as often as one likes
_END = 0xD9  # JPEG marker EOI
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}  # byte order
_BIG_TIFF = (b"II+\0", b"MM\0+")
# TIFF tags.
_WIDTH = 256
_HEIGHT = 257
_BITS = 258
_FORMAT = 339
_UNSIGNED = 1  # the format of pixels that are whole numbers from 0 on
_TYPES = {1: "B", 3: "H", 4: "I"}  # TIFF types of whole numbers
_ENTRY_BYTES = 12  # of a TIFF entry: tag, type, count, value
_INLINE_BYTES = 4  # of a value that stands in its entry
MAX_BITS = 16


def image_size(data: bytes) -> tuple[int, int]:
    """(width, height) in the header of a PNG, BMP, JPEG or TIFF; (0, 0) for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return cast("tuple[int, int]", struct.unpack(">II", data[16:24]))
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack("<ii", data[18:26])
        return abs(width), abs(height)
    if data[:4] in _TIFF:
        first_page = next(_pages(data), {})
        return first_page.get(_WIDTH, 0), first_page.get(_HEIGHT, 0)
    return jpeg_size(data) or (0, 0)


def why_refused(data: bytes) -> str:
    """Why a TIFF cannot be shown as it is meant; "" where it can, and for every other image."""
    if data[:4] in _BIG_TIFF:
        return "a BigTIFF; save it as an ordinary TIFF or PNG"
    if data[:4] not in _TIFF:
        return ""
    pages = list(_pages(data))
    if len(pages) > 1:
        return "a TIFF of several pages; save every page as an image of its own"
    if any(not _shown_as_meant(page) for page in pages):
        return (
            f"a TIFF whose pixels are not whole numbers of at most {MAX_BITS} bits, from 0 on; "
            "convert it"
        )
    return ""


def _shown_as_meant(page: dict[int, int]) -> bool:
    return page.get(_FORMAT, _UNSIGNED) == _UNSIGNED and page.get(_BITS, 1) <= MAX_BITS


def jpeg_size(data: bytes | memoryview) -> tuple[int, int] | None:
    """(width, height) in the header of a JPEG; None for anything else and for one without.

    Walks from marker to marker to the frame header (SOFn: marker, length, precision, height, width)
    as libjpeg does: a marker taken to have a length that it has not would lead to bytes which the
    decoder reads otherwise, and so to another size than the one that it decodes.
    """
    if data[: len(JPEG_START)] != JPEG_START:
        return None
    at = len(JPEG_START)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker in (_STUFFING, _END):
            return None
        if marker == _FILL:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _pages(data: bytes) -> Iterator[dict[int, int]]:
    """Tags and their first values, of the first two pictures of a TIFF."""
    order = _TIFF[data[:4]]
    at = struct.unpack(f"{order}I", data[4:8])[0] if len(data) >= 8 else 0
    for _ in range(2):
        if not 8 <= at <= len(data) - 2:
            return
        count = struct.unpack(f"{order}H", data[at : at + 2])[0]
        stop = at + 2 + count * _ENTRY_BYTES
        if stop + 4 > len(data):
            return
        yield dict(_value(data, order, i) for i in range(at + 2, stop, _ENTRY_BYTES))
        at = struct.unpack(f"{order}I", data[stop : stop + 4])[0]


def _value(data: bytes, order: str, at: int) -> tuple[int, int]:
    """The tag of an entry and its first value, 0 if that is not a whole number.

    Values that do not fit into the entry stand elsewhere.
    """
    tag, kind, count = struct.unpack(f"{order}HHI", data[at : at + 8])
    form = order + _TYPES.get(kind, "x")
    size = struct.calcsize(form)
    at += 8
    if size * count > _INLINE_BYTES:
        at = struct.unpack(f"{order}I", data[at : at + 4])[0]
    values = struct.unpack(form, data[at : at + size]) if at + size <= len(data) else ()
    return tag, values[0] if values else 0
