"""H.264 and HEVC packets without the messages (SEI) for which a strict decoder refuses pictures.

Cameras write messages of their own beside the pictures, often shorter than they claim to be.
FFmpeg, where it is set to refuse damaged pictures (`err_detect=explode`), refuses the pictures of
such packets too, though they are intact. Its filter `filter_units` would take out all messages,
also those that pictures need: where decoding of a stream without key frames can begin, and which
way up it is shown. So those are kept, and the rest of the unit is declared to be padding within the
same bytes: the packet keeps its size, its times and its side data.

All other units beside pictures (delimiters, padding, unknown kinds, whatever they hold) disturb no
decoder, as was measured. A parameter set that cannot be read stays an error, since pictures are
decoded by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

# Payload types of the messages that are kept, and the fewest bytes of such a message.
USER_DATA = 5  # by which decoders know faults of old versions of x264
RECOVERY_POINT = 6
ORIENTATION = 47
LEAST_BYTES = {USER_DATA: 16, RECOVERY_POINT: 1, ORIENTATION: 1}
END = b"\x80"  # the bit that ends a unit
ESCAPED = re.compile(rb"\x00\x00\x03")
ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")
START = re.compile(rb"\x00\x00\x01")

Span = tuple[int, int]  # [first, stop) bytes


class Syntax(NamedTuple):
    """How a codec writes its units."""

    header: int  # bytes of a unit's header
    shift: int  # of the kind in the header's first byte
    mask: int
    before: int  # kind of messages that may say something of the picture after them
    after: int  # kind of messages about the picture before them, never needed
    padding: int  # kind of padding
    sized_at: int  # the byte of MP4's description that holds the size of units' lengths


SYNTAX = {"h264": Syntax(1, 0, 0x1F, 6, 6, 12, 4), "hevc": Syntax(2, 1, 0x3F, 39, 40, 38, 21)}
ARRAYS_AT = 22  # the byte of HEVC's description from which on it holds units


class Messages:
    """Cleans the packets of one H.264 or HEVC stream; `description` is its extradata, if any."""

    def __init__(self, codec: str, description: bytes | None) -> None:
        self._syntax = SYNTAX[codec]
        self._described = bytes(description or b"")
        boxed = len(self._described) > self._syntax.sized_at and self._described[0] == 1
        self._length = (self._described[self._syntax.sized_at] & 3) + 1 if boxed else 0

    @property
    def description(self) -> bytes:
        """The extradata, cleaned as packets are: HEVC's may hold messages too."""
        if not self._length:
            return self.clean(self._described)
        if self._syntax is SYNTAX["hevc"]:
            return self._cleaned(self._described, _listed(self._described))
        return self._described

    def clean(self, data: bytes) -> bytes:
        """A packet of the same size, in which only messages that pictures need are left."""
        units = _sized(data, self._length) if self._length else _started(data)
        return self._cleaned(data, units)

    def _cleaned(self, data: bytes, units: Iterator[Span]) -> bytes:
        out = bytearray(data)
        for first, stop in units:
            if stop - first >= self._syntax.header:
                out[first:stop] = self._unit(data[first:stop])
        return bytes(out)

    def _unit(self, unit: bytes) -> bytes:
        syntax = self._syntax
        kind = unit[0] >> syntax.shift & syntax.mask
        if kind not in (syntax.before, syntax.after):
            return unit
        kept = b""
        if kind == syntax.before:
            payload = ESCAPED.sub(b"\0\0", unit[syntax.header :])
            kept = b"".join(whole for kind, size, whole in _messages(payload) if _kept(kind, size))
        packed = unit[: syntax.header] + ESCAPE.sub(b"\0\0\3", kept + END)
        if kept and len(packed) <= len(unit):
            return packed + bytes(len(unit) - len(packed))
        return bytes([syntax.padding << syntax.shift]) + unit[1:]


def _kept(kind: int, size: int) -> bool:
    return kind in LEAST_BYTES and size >= LEAST_BYTES[kind]


def _messages(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, size, whole message) up to the first message that claims more bytes than there are."""
    at = 0
    while len(payload) - at > 2:
        first = at
        kind, at = _number(payload, at)
        size, at = _number(payload, at)
        if at + size > len(payload):
            return
        at += size
        yield kind, size, payload[first:at]


def _number(payload: bytes, at: int) -> tuple[int, int]:
    """A number written as bytes of 255 and a rest, and where it ends.

    The end lies past the payload where that is cut off.
    """
    rest = at
    while payload[rest : rest + 1] == b"\xff":
        rest += 1
    return 255 * (rest - at) + sum(payload[rest : rest + 1]), rest + 1


def _started(data: bytes) -> Iterator[Span]:
    """Units that begin after start codes; zeros before the next start code belong to the unit."""
    starts = [match.end() for match in START.finditer(data)]
    for first, after in pairwise([*starts, len(data) + 3]):
        yield first, after - 3


def _sized(data: bytes, length: int) -> Iterator[Span]:
    """Units that begin with their size in `length` bytes; one that is cut off is left out."""
    at = 0
    while at + length <= len(data):
        first = at + length
        at = first + int.from_bytes(data[at:first])
        if at <= len(data):
            yield first, at


def _listed(description: bytes) -> Iterator[Span]:
    """Units of MP4's description of an HEVC stream.

    It is a list of arrays: a kind, a count, and units with sizes of 2 bytes.
    """
    at = ARRAYS_AT + 1
    for _ in range(description[ARRAYS_AT] if len(description) > ARRAYS_AT else 0):
        count = int.from_bytes(description[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            first = at + 2
            at = first + int.from_bytes(description[at:first])
            if at <= len(description):
                yield first, at
