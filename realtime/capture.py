"""The capture worker: a process of its own, because a read of a camera can hang for good and only a kill ends that.

The parent runs this file by path, and it imports nothing of this project but `engines.decoding`, which every reader of
video shares (no network code, no weights: a worker is up in a fraction of a second and holds little memory). Order of
play: one JSON line comes in on descriptor 0 (never in the arguments: the target may hold a password, and anyone may
list arguments); messages go out on descriptor 1: a length, a JSON header, and after a frame's header its pixels. When
descriptor 0 ends, the parent is gone or wants us gone.

The worker never waits for the parent while capturing. Frames queue up here; when the queue is full a whole stretch is
dropped, until the queue has drained, and the frame after the hole says how many and why.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

LENGTH = struct.Struct(">I")
NS = 1_000_000_000
GRACE_S = 1.0  # to close a camera in good order before leaving anyway
RETRY_READ_S = 0.01  # between reads of a camera that has nothing
OVERLOAD, UNREAD, DAMAGED = "overload", "unread", "damaged"  # causes of drops
UNTIMED = ("mpjpeg", "mjpeg")  # demuxers whose times are invented from a nominal rate
STREAM_PROTOCOLS = "tcp,udp,rtp,srtp,rtsp,rtsps,tls,http,https,httpproxy,crypto"  # no file: playlists stay remote
STREAM_OPTIONS = {
    "rtsp_transport": "tcp",
    "allowed_media_types": "video",  # the sound of the room is none of our business
    "probesize": "50000",  # FFmpeg's defaults hold back 0.8 s of video
    "analyzeduration": "100000",
}


class Grab(NamedTuple):
    """One frame (HxWx3 uint8 BGR) with the source's own time if it has one, or the cause why there is none."""

    image: Any
    pts_ns: int | None = None
    cause: str = ""


class Outbox:
    """Bounded queue to the parent, with the rule for overflow. `put` never waits for the parent."""

    def __init__(self, descriptor: int, frames: int, limit_bytes: int) -> None:
        self._descriptor, self._frames, self._bytes = descriptor, frames, limit_bytes
        self._queue: collections.deque[tuple[dict[str, Any], Any]] = collections.deque()
        self._change = threading.Condition()
        self._closed = self._dropping = False
        self._missing: dict[str, int] = {}
        self._thread = threading.Thread(target=self._send, name="outbox", daemon=True)
        self._thread.start()

    def miss(self, cause: str) -> None:
        """Count a frame that will not come; the next message reports it."""
        self._missing[cause] = self._missing.get(cause, 0) + 1

    def put(self, header: dict[str, Any], image: Any = None) -> None:
        with self._change:
            if image is not None and self._full(image.nbytes):
                self.miss(OVERLOAD)
                return
            header["missing"], self._missing = self._missing, {}
            self._queue.append((header, image))
            self._change.notify_all()

    def _full(self, size: int) -> bool:
        limit = max(2, min(self._frames, self._bytes // size))
        self._dropping = bool(self._queue) if self._dropping else len(self._queue) >= limit
        return self._dropping

    def close(self) -> None:
        """Wait until everything is sent."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join()

    def _send(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                header, image = self._queue.popleft()
            head = json.dumps(header).encode()
            try:
                self._write(LENGTH.pack(len(head)) + head)
                if image is not None:
                    self._write(memoryview(image).cast("B"))
            except BrokenPipeError:  # nobody is left to tell; `_watch` knows and ends the capture
                return

    def _write(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]


def camera(config: dict[str, Any]) -> Generator[Grab, None, None]:
    """A local camera by index or device path; raises OSError when it cannot be opened or stops giving frames."""
    device = _device(config)
    try:
        failures = 0
        while failures < config["unread_frames"]:
            good, image = device.read()
            if good and image is not None:
                failures = 0
                yield Grab(image)
            else:
                failures += 1
                yield Grab(None, cause=UNREAD)
                time.sleep(RETRY_READ_S)
        raise OSError(f"camera {config['target']} stopped giving frames")
    finally:
        device.release()


def _device(config: dict[str, Any]) -> Any:
    target, fps, size = config["target"], config["fps"], config["size"]
    if config["camera"]:
        module, _, name = config["camera"].partition(":")
        return getattr(importlib.import_module(module), name)(target, fps, size)
    import cv2

    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    device = cv2.VideoCapture(int(target) if target.isdecimal() else target, backend)
    if not device.isOpened():
        raise OSError(f"camera {target} cannot be opened: is it plugged in, and may this user read it?")
    if size:
        device.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    if fps:
        device.set(cv2.CAP_PROP_FPS, fps)
    return device


def stream(config: dict[str, Any]) -> Generator[Grab, None, None]:
    """A network stream; ends where the stream ends, raises OSError or an av error where it breaks."""
    import av

    from engines.decoding import TEXTS, Track, upright

    options = {**STREAM_OPTIONS, "protocol_whitelist": STREAM_PROTOCOLS}
    timeout = config["open_s"], config["stall_s"]
    with av.open(config["target"], options=options, timeout=timeout, **TEXTS) as container:
        track = Track.of(container)
        if track is None or track.stream.codec_context is None:
            raise OSError("the stream carries no video that can be decoded")
        track.configure(config["max_pixels"])
        track.stream.codec_context.thread_type = "SLICE"  # frame threads would hold back frames
        first = 0 if container.format.name == "rtsp" else None  # its times count from there; FFmpeg omits that one
        for packet in track.packets():
            try:
                frames = track.decode(packet)
            except av.error.InvalidDataError:
                yield Grab(None, cause=DAMAGED)
                continue
            for frame in frames:
                stamp, first = first if frame.pts is None else frame.pts, None
                if frame.is_corrupt:
                    yield Grab(None, cause=DAMAGED)
                else:
                    yield _timed(upright(frame), frame, stamp, container.format.name)


def _timed(image: Any, frame: Any, stamp: int | None, demuxer: str) -> Grab:
    if stamp is None or demuxer in UNTIMED:
        return Grab(image)
    base = frame.time_base
    return Grab(image, stamp * base.numerator * NS // base.denominator)


def run(config: dict[str, Any], outbox: Outbox, stop: threading.Event) -> str:
    """Capture until told to stop; returns why it ended."""
    try:
        importlib.import_module("cv2" if config["kind"] == "camera" and not config["camera"] else "engines.decoding")
        outbox.put({"type": "ready"})
        with contextlib.closing(camera(config) if config["kind"] == "camera" else stream(config)) as source:
            return _pump(source, outbox, stop)
    except Exception as error:  # whatever it is, the parent hears of it and decides
        return _why(error)


def _why(error: Exception) -> str:
    """What to tell of an error. FFmpeg's own "Immediate exit requested" means that its time-out was over."""
    return "the stream timed out" if type(error).__name__ == "ExitError" else f"{error}" or type(error).__name__


def _pump(source: Iterator[Grab], outbox: Outbox, stop: threading.Event) -> str:
    index = -1
    for grab in source:
        if stop.is_set():
            return "stopped"
        index += grab.cause != UNREAD
        if grab.image is None:
            outbox.miss(grab.cause)
            continue
        height, width = grab.image.shape[:2]
        stamp = {"at_ns": time.monotonic_ns(), "pts_ns": grab.pts_ns, "index": index}
        outbox.put({"type": "frame", "height": height, "width": width, **stamp}, _plain(grab.image))
    return "the stream ended"


def _plain(image: Any) -> Any:
    """HxWx3 uint8 in one piece; raises ValueError for anything else a camera may give."""
    import numpy as np

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"expected uint8 *x*x3 images, got {image.dtype} {'x'.join(map(str, image.shape))}")
    return np.ascontiguousarray(image)


def _line(descriptor: int) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            os._exit(0)
        data += piece
    return bytes(data)


def _watch(stop: threading.Event) -> None:
    """Wait for the end of descriptor 0, then leave: in good order, or after a while in any."""
    while os.read(0, 1):
        pass
    stop.set()
    time.sleep(GRACE_S)
    os._exit(0)


def main() -> None:
    config = json.loads(_line(0))
    sys.path[:] = config["path"]
    out = os.dup(1)
    os.dup2(2, 1)  # libraries that print must not break into the messages
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), name="watch", daemon=True).start()
    outbox = Outbox(out, config["queue_frames"], config["queue_bytes"])
    outbox.put({"type": "end", "detail": run(config, outbox, stop)})
    outbox.close()
    os._exit(0)  # other threads sit in reads that never return


if __name__ == "__main__":
    main()
