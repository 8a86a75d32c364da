"""Units beside the pictures: whatever cameras write there, intact pictures are decoded, and damaged
ones are not."""

from __future__ import annotations

from typing import Any

import av
import av.error
import numpy as np
import pytest

from microspot.engines.data.sei_messages import Messages
from tests.bitstreams import SHORT, encode, header, kind, units, with_unit
from tests.rtsp_server import read_number

ENCODERS = {"h264": "libx264", "hevc": "libx265"}
BESIDE = {"h264": [6, 9, 10, 12, 13, 19, 24, 31], "hevc": [35, 38, 39, 40, 41, 47, 48, 63]}
BODIES = {
    "short": SHORT,
    "nothing": b"",
    "noise": bytes(range(1, 60)),
    "ones": b"\xff" * 40,
    "zeros": bytes(9) + b"\x80",
}
FRAMES = 8


@pytest.fixture(scope="module")
def coded() -> dict[str, list[bytes]]:
    return {codec: encode(encoder, FRAMES) for codec, encoder in ENCODERS.items()}


def decode(codec: str, packets: list[bytes]) -> list[int]:
    """The numbers of the pictures that a decoder gives which refuses damaged ones."""
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.options = {"err_detect": "explode"}
    decoder.thread_count = 1
    shown = []
    for packet in [*packets, None]:
        try:
            frames = decoder.decode(None if packet is None else av.Packet(packet))
        except av.error.InvalidDataError:
            continue
        shown += [
            read_number(frame.to_ndarray(format="bgr24"))
            for frame in frames
            if not frame.is_corrupt
        ]
    return shown


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("codec", ENCODERS)
def test_all_intact_pictures_are_used(
    coded: dict[str, list[bytes]], codec: str, body: str, after: bool
) -> None:
    messages = Messages(codec, None)
    for beside in BESIDE[codec]:
        unit = header(codec, beside) + BODIES[body]
        packets = [with_unit(codec, packet, unit, after) for packet in coded[codec]]
        cleaned = [messages.clean(packet) for packet in packets]
        assert decode(codec, cleaned) == list(range(FRAMES)), beside
        assert [len(packet) for packet in cleaned] == [len(packet) for packet in packets]


@pytest.mark.parametrize("codec", ENCODERS)
def test_nothing_but_messages_is_touched(coded: dict[str, list[bytes]], codec: str) -> None:
    messages = Messages(codec, None)
    for packet in coded[codec]:
        plain = [unit for unit in units(packet) if kind(codec, unit) not in (6, 39, 40)]
        kept = [
            unit
            for unit in units(messages.clean(packet))
            if kind(codec, unit) in {kind(codec, u) for u in plain}
        ]
        assert kept == plain
        picture = units(packet)[-1]
        damaged = packet.replace(picture, picture[:9] + bytes(len(picture) - 9))
        assert messages.clean(damaged).endswith(bytes(len(picture) - 9))


def test_damaged_pictures_stay_refused(coded: dict[str, list[bytes]]) -> None:
    packets = list(coded["h264"])
    picture = units(packets[5])[-1]  # a key frame
    packets[5] = packets[5].replace(picture, picture[:4] + bytes(len(picture) - 4))
    assert 5 not in decode("h264", [Messages("h264", None).clean(packet) for packet in packets])


def test_what_pictures_need_is_kept_beside_what_breaks_off() -> None:
    """A stream without key frames can be begun at a recovery point only, whatever else the camera
    says there."""
    packets = encode("libx264", 40, g="12", **{"intra-refresh": "1"})[
        1:
    ]  # all but the one key frame
    sets = [
        unit
        for unit in units(encode("libx264", 1, g="12", **{"intra-refresh": "1"})[0])
        if unit[0] & 31 in (7, 8)
    ]
    whole = decode(
        "h264", [b"".join(b"\0\0\0\1" + unit for unit in sets) + packets[0], *packets[1:]]
    )
    assert whole
    broken = []
    for packet in packets:
        found = [u[:-1] + SHORT if u[0] & 31 == 6 else u for u in units(packet)]
        broken.append(b"".join(b"\0\0\0\1" + unit for unit in found))
    broken[0] = b"".join(b"\0\0\0\1" + unit for unit in sets) + broken[0]
    assert decode("h264", [Messages("h264", None).clean(packet) for packet in broken]) == whole


def test_kept_messages_are_escaped_again() -> None:
    message = bytes([5, 18]) + bytes(range(1, 16)) + bytes([0, 0, 1])
    unit = b"\x06" + message[:-1] + b"\x03\x01" + b"\x80"
    cleaned = Messages("h264", None).clean(b"\0\0\0\1" + unit + b"\0\0\0\1\x65abc")
    assert cleaned == b"\0\0\0\1" + unit + b"\0\0\0\1\x65abc"


@pytest.mark.parametrize("codec", ENCODERS)
def test_no_bytes_at_all_raise(codec: str) -> None:
    rng = np.random.default_rng(1)
    for size in range(60):
        data = bytes(rng.choice([0, 0, 1, 3, 6, 78, 80, 255], size).astype(np.uint8))
        for description in (None, b"", data, b"\1" + data):
            messages = Messages(codec, description)
            assert len(messages.clean(data)) == size
            assert len(messages.description) == len(description or b"")
