"""Ways to damage a file: `damage(rng, seed, others)` gives one's name and the damaged seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from tests.faults.seeds import Seed

HEADER = 512  # bytes of a file that say what it is
SIZES = (0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF)
PLAYLISTS = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n",
    b"ffconcat version 1.0\nfile /etc/passwd\n",
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    b"<html>sign in first</html>",
    b"<?xml version='1.0'?><MPD><Period/></MPD>",
    b"\x1f\x8b\x08\x00 gzip",
    b"%PDF-1.4\n",
    b"#!/bin/sh\nexit 1\n",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**30,
    1e308,
    -1e-320,
    float("nan"),
    float("inf"),
    "",
    "x" * 5000,
    "\ud800",
    "../../etc/passwd",
    [],
    {},
    [[]],
    {"a": None},
    "1",
    "nan",
    "\x1b[2J",
    [1, "x", None],
)
ODD_TEXT = (
    "nan",
    "inf",
    "-1",
    "0",
    "2.5",
    "1e309",
    "1e-320",
    "9" * 400,
    str(10**12),
    '""',
    "[]",
    "{}",
    "true",
    "\x00",
    "\x1b[2J",
    "\ud800",
    "=1+1",
    "'",
    '"',
    ",,,,,,,,,,",
    "[" * 20000,
    "{" * 20000,
    "[[a]]\n" * 50,
    "a." * 5000 + "b = 1\n",
    "1979-05-27T07:32:00Z",
    "\r\n",
)
Bytes = Callable[[random.Random, bytearray], bytes]


def _span(rng: random.Random, data: bytearray) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, start + rng.randrange(1, max(2, len(data) // 3)))


def flipped(rng: random.Random, data: bytearray) -> bytes:
    for _ in range(rng.choice((1, 3, 10, 100))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def mangled_header(rng: random.Random, data: bytearray) -> bytes:
    for _ in range(rng.choice((1, 3, 10))):
        data[rng.randrange(min(HEADER, len(data)))] = rng.randrange(256)
    return bytes(data)


def truncated(rng: random.Random, data: bytearray) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def beheaded(rng: random.Random, data: bytearray) -> bytes:
    return bytes(data[rng.randrange(len(data)) :])


def zeroed(rng: random.Random, data: bytearray) -> bytes:
    where = _span(rng, data)
    data[where] = bytes(len(data[where]))
    return bytes(data)


def shuffled(rng: random.Random, data: bytearray) -> bytes:
    size = max(1, len(data) // 16)
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    one = rng.randrange(len(blocks))
    other = rng.randrange(len(blocks))
    blocks[one], blocks[other] = blocks[other], blocks[one]
    return b"".join(blocks)


def repeated(rng: random.Random, data: bytearray) -> bytes:
    where = _span(rng, data)
    return bytes(data[: where.stop] + data[where] * rng.choice((1, 5, 50)) + data[where.stop :])


def inserted(rng: random.Random, data: bytearray) -> bytes:
    at = rng.randrange(len(data) + 1)
    return bytes(data[:at]) + rng.randbytes(rng.choice((1, 4, 1000))) + bytes(data[at:])


def lying_sizes(rng: random.Random, data: bytearray) -> bytes:
    """Change numbers beside a name of four letters, as in MP4, AVI and PNG, or anywhere."""
    names = [
        match.start()
        for match in re.finditer(rb"[A-Za-z][A-Za-z0-9 ]{3}", bytes(data[: 8 * HEADER]))
    ]
    for _ in range(rng.choice((1, 2, 5))):
        near = rng.choice(names) + rng.choice((-4, 4, 8, 12)) if names else rng.randrange(len(data))
        at = min(max(0, near), max(0, len(data) - 4))
        data[at : at + 4] = rng.choice(SIZES).to_bytes(4, rng.choice(("big", "little")))
    return bytes(data)


def empty(rng: random.Random, data: bytearray) -> bytes:
    return b""


def random_bytes(rng: random.Random, data: bytearray) -> bytes:
    return rng.randbytes(rng.choice((1, 100, 20000)))


def something_else(rng: random.Random, data: bytearray) -> bytes:
    return rng.choice(PLAYLISTS)


def after_magic(rng: random.Random, data: bytearray) -> bytes:
    """The beginning of what it claims to be, and then noise."""
    return bytes(data[: rng.choice((4, 16, 64, 200))]) + rng.randbytes(2000)


BYTES: tuple[Bytes, ...] = (
    flipped,
    flipped,
    mangled_header,
    mangled_header,
    truncated,
    beheaded,
    zeroed,
    shuffled,
    repeated,
    inserted,
    lying_sizes,
    lying_sizes,
    lying_sizes,
    empty,
    random_bytes,
    something_else,
    after_magic,
)


def odd_text(rng: random.Random, data: bytearray) -> bytes:
    """A word, a number or a place of a text replaced by something odd, once or twice."""
    text = data.decode()
    for _ in range(rng.choice((1, 1, 2))):
        numbers, words = (
            list(re.finditer(what, text)) for what in (r"(?<![\w.])\d[\d.]*", r"[\w.]+|\s|,|=")
        )
        found = rng.choice(rng.choice((numbers or words, words)))
        odd = rng.choice(ODD_TEXT)
        text = text[: found.start()] + odd + text[found.end() :]
    return text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "latin-1")), "replace")


def odd_values(rng: random.Random, data: bytearray) -> bytes:
    """JSON with a value, a key or a branch replaced or left out."""
    root = json.loads(data)
    for _ in range(rng.choice((1, 1, 3))):
        node = rng.choice([n for n in _nodes(root) if n])
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        if rng.random() < 0.2:
            del node[key]
        else:
            node[key] = rng.choice(ODD_VALUES)
    return json.dumps(root).encode()


def _nodes(value: Any) -> list[Any]:
    """Every object and array, those near the root more often.

    `training` and `metrics` are large and not read.
    """
    if not isinstance(value, dict | list):
        return []
    nodes = [value] * 4
    for child in value.values() if isinstance(value, dict) else value:
        nodes += _nodes(child)
    return nodes


def damage(rng: random.Random, seed: Seed) -> tuple[str, bytes]:
    """A way that suits the seed, by name, and the damaged content."""
    ways = BYTES
    if seed.kind in ("settings", "table"):
        ways = (*BYTES, *[odd_text] * 2 * len(BYTES))
    if seed.kind == "manifest":
        ways = (*BYTES, *[odd_text] * len(BYTES), *[odd_values] * 2 * len(BYTES))
    way = rng.choice(ways)
    return way.__name__, way(rng, bytearray(seed.data))
