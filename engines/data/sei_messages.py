"""H.264 and HEVC packets without the messages (SEI) that a decoder asked to refuse damage would stumble over.

Cameras write messages of their own beside the pictures, often shorter than they claim to be. FFmpeg told to refuse
damaged pictures (`err_detect=explode`) refuses those pictures too, though every one is intact. Its filter
`filter_units` would take out all messages, also those that pictures need: where a stream without key frames can be
begun, and which way up it is shown. So those are kept, and the rest of the unit is declared to be padding, within the
bytes that are there: the packet keeps its size, its times and its side data.

All other units beside pictures (delimiters, padding, unknown kinds, whatever they hold) disturb no decoder: measured.
A parameter set that cannot be read stays an error, for pictures are decoded by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

USER_DATA, RECOVERY_POINT, ORIENTATION = (
    5,
    6,
    47,
)  # payload types; x264's old faults are known by its user data
LEAST_BYTES = {USER_DATA: 16, RECOVERY_POINT: 1, ORIENTATION: 1}  # of the messages that are kept
END = b"\x80"  # the bit that ends a unit
ESCAPED, ESCAPE = re.compile(rb"\x00\x00\x03"), re.compile(rb"\x00\x00(?=[\x00-\x03])")
START = re.compile(rb"\x00\x00\x01")

Span = tuple[int, int]  # [first, stop) bytes


class Syntax(NamedTuple):
    """How a codec writes its units: the bytes of their header, in whose first byte the kind is at `shift`."""

    header: int
    shift: int
    mask: int
    before: int  # messages that may tell something of the picture after them
    after: int  # messages about the picture before them: never needed
    padding: int
    sized_at: int  # the byte of MP4's description that holds the size of units' lengths


SYNTAX = {"h264": Syntax(1, 0, 0x1F, 6, 6, 12, 4), "hevc": Syntax(2, 1, 0x3F, 39, 40, 38, 21)}
ARRAYS_AT = 22  # the byte of HEVC's description from which on it holds units


class Messages:
    """Cleans the packets of one H.264 or HEVC stream; `description` is its extradata, if it has any."""

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
        return (
            self._cleaned(self._described, _listed(self._described))
            if self._syntax.header == 2
            else self._described
        )

    def clean(self, data: bytes) -> bytes:
        """A packet of the same size, in which only messages that pictures need are left."""
        return self._cleaned(data, _sized(data, self._length) if self._length else _started(data))

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
            found = _messages(ESCAPED.sub(b"\0\0", unit[syntax.header :]))
            kept = b"".join(
                whole for kind, size, whole in found if size >= LEAST_BYTES.get(kind, size + 1)
            )
        packed = unit[: syntax.header] + ESCAPE.sub(b"\0\0\3", kept + END)
        if kept and len(packed) <= len(unit):
            return packed + bytes(len(unit) - len(packed))
        return bytes([syntax.padding << syntax.shift]) + unit[1:]


def _messages(payload: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, size, the whole message) of those that fit; the first that claims more than there is ends it."""
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
    """A number written as a row of 255 and a rest, and where it ends (past the payload where that is cut off)."""
    rest = at
    while payload[rest : rest + 1] == b"\xff":
        rest += 1
    return 255 * (rest - at) + sum(payload[rest : rest + 1]), rest + 1


def _started(data: bytes) -> Iterator[Span]:
    """Units that begin after start codes; the zeros before the next one count to the unit."""
    starts = [match.end() for match in START.finditer(data)]
    for first, after in pairwise([*starts, len(data) + 3]):
        yield first, after - 3


def _sized(data: bytes, length: int) -> Iterator[Span]:
    """Units that begin with their size in `length` bytes; nothing of one that claims more than there is."""
    at = 0
    while at + length <= len(data):
        first = at + length
        at = first + int.from_bytes(data[at:first])
        if at <= len(data):
            yield first, at


def _listed(description: bytes) -> Iterator[Span]:
    """Units of MP4's description of an HEVC stream: arrays of a kind, a count, and units with sizes of 2 bytes."""
    at = ARRAYS_AT + 1
    for _ in range(description[ARRAYS_AT] if len(description) > ARRAYS_AT else 0):
        count, at = int.from_bytes(description[at + 1 : at + 3]), at + 3
        for _ in range(count):
            first = at + 2
            at = first + int.from_bytes(description[at:first])
            if at <= len(description):
                yield first, at
