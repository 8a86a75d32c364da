"""A camera for tests: RTSP over TCP or UDP on 127.0.0.1, with the ways in which cameras fail.

    write_clip(path, 60)                  # frames that carry their number, see read_number
    with RtspServer(path) as server: ...  # server.url; stop(), start(), drop(), stall(), resume()

Every PLAY sends the file once, from its first key frame, at its own pace, and then ends the
connection. With `born` the file is a camera's: it runs in a circle from that moment on, whether or
not anybody looks, and PLAY joins it at the next key frame. `python -m tests.rtsp_server FILE PORT
BORN` is such a camera in a process of its own, to be killed.
"""

from __future__ import annotations

import base64
import itertools
import re
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

BITS = 12  # a frame carries its number as this many black or white bars
STRIP = 16  # rows of a picture that carry them where it shows something else too
PAYLOAD = 1400  # bytes of a NAL unit in one RTP packet
CLOCK = 90_000
FIRST_STAMP = 12_345  # FFmpeg takes 0 for a time that is not set
Send = Callable[[bytes], Any]
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"


def number_image(
    number: int, width: int = 160, height: int = 120
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(height, width, 3) BGR image that shows `number` as bars, lowest bit on the left."""
    return np.ascontiguousarray(np.broadcast_to(_bars(number, width), (height, width, 3)))


def stamp_number(image: np.ndarray[Any, Any], number: int) -> None:
    """Draw the bars of `number` over the top rows of a BGR image."""
    image[:STRIP] = _bars(number, image.shape[1])


def read_number(image: np.ndarray[Any, Any]) -> int:
    """The number that `number_image` or `stamp_number` drew; H.264 leaves it legible."""
    width = image.shape[1]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    return sum(1 << bit for bit, x in enumerate(centres) if image[STRIP // 2, x].mean() > 127)


def _bars(number: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    bars = np.array([255 * (number >> bit & 1) for bit in range(BITS)], np.uint8)
    return bars[np.arange(width) * BITS // width][None, :, None]


def write_clip(
    path: Path,
    frames: int,
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    codec: str = "libx264",
    container: dict[str, str] | None = None,
) -> Path:
    """Encode numbered frames, a key frame every 15.

    `pts` in units of `time_base`, by default one unit apart.
    """
    options = (
        {"tune": "zerolatency", "preset": "ultrafast", "g": "15"} if codec == "libx264" else {}
    )
    with av.open(str(path), "w", options=container or {}) as out:
        stream: Any = out.add_stream(codec, rate=30)
        stream.width = 160
        stream.height = 120
        stream.pix_fmt = "yuv420p"
        stream.options = options
        stream.codec_context.time_base = time_base
        for number, at in enumerate(range(frames) if pts is None else pts):
            frame = av.VideoFrame.from_ndarray(number_image(number), format="bgr24")
            frame.pts = at
            frame.time_base = time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def access_units(path: Path) -> list[tuple[float, list[bytes]]]:
    """(seconds, NAL units) of every frame of an H.264 file from its first key frame.

    Parameter sets come first.
    """
    units: list[tuple[float, list[bytes]]] = []
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in source.demux(stream):
            for plain in to_annex_b.filter(packet) if packet.size else ():
                nals = [nal for nal in re.split(rb"\x00\x00\x00?\x01", bytes(plain)) if nal]
                if units or plain.is_keyframe:
                    units.append((float(plain.pts * stream.time_base), nals))
    return units


def rtp(payload: bytes, sequence: int, stamp: int, last: bool) -> bytes:
    """One RTP packet of payload type 96; `last` marks the end of a frame."""
    return (
        struct.pack(">BBHII", 0x80, 96 | last << 7, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 0x5EED)
        + payload
    )


def interleave(packet: bytes) -> bytes:
    """An RTP packet in RTSP's `$` framing on channel 0."""
    return struct.pack(">cBH", b"$", 0, len(packet)) + packet


def is_key(nals: list[bytes]) -> bool:
    return any(nal[0] & 0x1F == 5 for nal in nals)


def fragments(nal: bytes) -> list[bytes]:
    """RTP payloads of a NAL unit: itself, or FU-A pieces (RFC 6184, 5.8)."""
    if len(nal) <= PAYLOAD:
        return [nal]
    indicator = nal[0] & 0xE0 | 28
    kind = nal[0] & 0x1F
    starts = range(1, len(nal), PAYLOAD)
    edges = {starts[0]: 0x80, starts[-1]: 0x40}
    return [bytes([indicator, kind | edges.get(at, 0)]) + nal[at : at + PAYLOAD] for at in starts]


class RtspServer:
    """Context manager. `plays` counts PLAY requests; `loop` repeats the file without end.

    refuse_tcp: 461, so only UDP is left; keyless_s: no key frames in the first seconds of a PLAY,
    nor their headers; born: see above (monotonic s); cached: PLAY joins at the last key frame
    instead, and sends what follows at once.
    """

    def __init__(
        self,
        path: Path,
        *,
        loop: bool = False,
        refuse_tcp: bool = False,
        keyless_s: float = 0.0,
        born: float | None = None,
        cached: bool = False,
        port: int = 0,
    ) -> None:
        self.units = access_units(path)
        self.loop = loop
        self.plays = 0
        self.port = port
        self.refuse_tcp = refuse_tcp
        self.keyless_s = keyless_s
        self.born = born
        self.cached = cached
        self.transports: list[str] = []  # of the SETUP requests
        self._stalled = threading.Event()
        self._dropped = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen: on a free port at first, on the same one after a stop."""
        self._stopping.clear()
        self._dropped.clear()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="rtsp accept")]
        self._threads[0].start()

    def stop(self) -> None:
        """Hang up on everyone and stop listening, as a camera without power does."""
        self._stopping.set()
        self._stalled.clear()
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def drop(self) -> None:
        """Hang up on everyone who watches, and go on listening."""
        self._dropped.set()

    def stall(self) -> None:
        """Keep connections and send nothing more."""
        self._stalled.set()

    def resume(self) -> None:
        self._stalled.clear()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(client,), name="rtsp client")
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, client.makefile("rb") as lines, ExitStack() as sockets:
            send: Send = client.sendall
            try:
                while not self._stopping.is_set() and (request := self._request(client, lines)):
                    method, url, fields = request
                    transport = fields.get("transport", "")
                    if method == "SETUP" and "tcp" not in transport:
                        send, answer = _datagrams(transport, sockets)
                    else:
                        answer = "RTP/AVP/TCP;unicast;interleaved=0-1"
                    client.sendall(self._reply(method, url, fields, answer))
                    if method == "PLAY":
                        self.plays += 1
                        self._dropped.clear()
                        self._play(client, send)
                        return
            except (ConnectionError, TimeoutError):
                return  # the client hung up, as tested clients do

    def _request(self, client: socket.socket, lines: Any) -> tuple[str, str, dict[str, str]] | None:
        head: list[str] = []
        while not self._stopping.is_set():
            if not head and not select.select([client], [], [], 0.05)[0]:
                continue
            line = lines.readline()
            if not line:
                return None
            if text := line.decode().strip():
                head.append(text)
            elif head:
                method, url, _ = head[0].split()
                fields = dict(item.lower().split(": ", 1) for item in head[1:])
                return method, url, fields
        return None

    def _reply(self, method: str, url: str, fields: dict[str, str], transport: str) -> bytes:
        sequence = fields["cseq"]
        if method == "SETUP":
            self.transports.append(transport)
            if self.refuse_tcp and "TCP" in transport:
                return f"RTSP/1.0 461 Unsupported Transport\r\nCSeq: {sequence}\r\n\r\n".encode()
        extra = {
            "OPTIONS": f"Public: {METHODS}\r\n",
            "SETUP": f"Transport: {transport}\r\nSession: 7;timeout=60\r\n",
            "PLAY": "Session: 7\r\n",
        }.get(method, "")
        body = ""
        if method == "DESCRIBE":
            body = self._describe()
            extra = (
                f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: {len(body)}\r\n"
            )
        return f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{extra}\r\n{body}".encode()

    def _describe(self) -> str:
        sets = [nal for nal in self.units[0][1] if nal[0] & 0x1F in (7, 8)]
        sprop = "" if self.keyless_s else ",".join(base64.b64encode(nal).decode() for nal in sets)
        lines = (
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=test",
            "t=0 0",
            "m=video 0 RTP/AVP 96",
            "c=IN IP4 0.0.0.0",
            "a=rtpmap:96 H264/90000",
            f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}",
            "a=control:v",
        )
        return "\r\n".join(lines) + "\r\n"

    def _play(self, client: socket.socket, send: Send) -> None:
        sequence = 0
        begun = time.monotonic()
        zero = begun if self.born is None else self.born
        for seconds, nals in self._timeline(time.monotonic() - zero):
            if not self._due(client, zero + seconds):
                return
            if is_key(nals) and time.monotonic() - begun < self.keyless_s:
                continue
            parts = [part for nal in nals for part in fragments(nal)]
            stamp = FIRST_STAMP + round(seconds * CLOCK)
            packets = [rtp(p, sequence + i, stamp, p is parts[-1]) for i, p in enumerate(parts)]
            if send == client.sendall:
                send(b"".join(map(interleave, packets)))
            else:
                for packet in packets:
                    send(packet)
            sequence += len(parts)
        client.shutdown(socket.SHUT_WR)
        while not self._stopping.is_set() and self._listen(client, 0.05):
            pass

    def _timeline(self, now_s: float) -> Iterator[tuple[float, list[bytes]]]:
        """What PLAY sends: seconds since the beginning (or the camera's start), and NAL units."""
        length_s = self.units[-1][0] + self.units[1][0] - self.units[0][0]
        turns = itertools.count() if self.loop or self.born is not None else range(1)
        begins = ((turn * length_s + s, nals) for turn in turns for s, nals in self.units)
        if self.born is None:
            yield from begins
            return
        joined: list[tuple[float, list[bytes]]] = []
        for seconds, nals in begins:
            if seconds >= now_s and (joined or is_key(nals)):
                yield from joined
                yield seconds, nals
                break
            if self.cached:
                joined = [(seconds, nals)] if is_key(nals) else [*joined, (seconds, nals)]
        yield from begins

    def _due(self, client: socket.socket, when: float) -> bool:
        """Wait until `when` (monotonic s) and while stalled; False when either side is gone."""
        while not (self._stopping.is_set() or self._dropped.is_set()):
            left = when - time.monotonic()
            if left <= 0 and not self._stalled.is_set():
                return True
            if not self._listen(client, min(max(left, 0.0), 0.05) or 0.01):
                return False
        return False

    @staticmethod
    def _listen(client: socket.socket, seconds: float) -> bool:
        """Read away what the client says (receiver reports); False when it hung up."""
        readable, _, _ = select.select([client], [], [], seconds)
        return not readable or bool(client.recv(4096))


def _datagrams(transport: str, sockets: ExitStack) -> tuple[Send, str]:
    """How to send RTP to the ports that SETUP names, and the answer to it."""
    ports = re.search(r"client_port=(\d+)-(\d+)", transport)
    assert ports, transport
    ours = [sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in "ab"]
    for one in ours:
        one.bind(("127.0.0.1", 0))
    numbers = "-".join(str(one.getsockname()[1]) for one in ours)

    def send(packet: bytes) -> None:
        with suppress(
            ConnectionRefusedError
        ):  # the client has gone, which the connection will tell
            ours[0].sendto(packet, ("127.0.0.1", int(ports[1])))

    return send, f"RTP/AVP;unicast;client_port={ports[1]}-{ports[2]};server_port={numbers}"


def main() -> None:
    path, port, born = sys.argv[1:]
    with RtspServer(Path(path), born=float(born), port=int(port)) as server:
        print(server.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
