"""The capture worker: a process of its own, because a read of a camera can hang for good and only a kill ends that.

The parent runs this file by path. Of this project it imports only `outbox`, `packets` and
`engines.data.decoding`, which import no more of it (no network code, no weights): a worker is up in
a fraction of a second and holds little memory. Order of play: one JSON line comes in on descriptor
0 (never in the arguments: the target may hold a password, and anyone may list arguments); messages
go out on descriptor 1 (see `outbox`). When descriptor 0 ends, the parent is gone or wants us gone.

A camera never waits for the parent. Its frames queue up here; when the queue is full a whole
segment is dropped, until the queue has drained, and the frame after the hole says how many and why.
A stream waits as packets (see `packets`), by the same rule; a recording behind a URL is read no
faster than its frames are taken, and nothing of it is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from microspot.engines.data.decoding import Track

    from .outbox import Outbox

NS = 1_000_000_000
Tell = Callable[[dict[str, Any]], None]
GRACE_S = 1.0  # to close a camera in good order before leaving anyway
RETRY_READ_S = 0.01  # between reads of a camera that has nothing
LIFE_S = 1.0  # while packets give no picture, the parent hears this often that they come
OVERLOAD, UNREAD, DAMAGED = (
    "overload",
    "unread",
    "damaged",
)  # causes of drops; the first is the outbox's too
ENDED = "the stream ended"
UNTIMED = ("mpjpeg", "mjpeg")  # demuxers whose times are invented from a nominal rate
# no file: playlists stay remote
STREAM_PROTOCOLS = "tcp,udp,rtp,srtp,rtsp,rtsps,tls,http,https,httpproxy,crypto"
# demuxers that give a segment of seconds at a time; a live one has no duration
PLAYLISTS = ("hls", "dash")
TRANSPORTS = {  # of RTSP; "auto" takes UDP from servers that refuse TCP (461 Unsupported Transport)
    "auto": {"rtsp_transport": "udp+tcp", "rtsp_flags": "prefer_tcp"},
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
}
STREAM_OPTIONS = {
    "allowed_media_types": "video",  # the sound of the room is none of our business
    "probesize": "50000",  # FFmpeg's defaults hold back 0.8 s of video
    "analyzeduration": "100000",
}


class Grab(NamedTuple):
    """One frame (HxWx3 uint8 BGR) with the source's own time if it has one, or the cause why there is none.

    Without image and cause: something came, and no frame of it yet. at_ns: arrival on the host,
    None for now.
    """

    image: Any
    pts_ns: int | None = None
    cause: str = ""
    at_ns: int | None = None


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
        raise OSError(
            f"camera {target} cannot be opened: is it plugged in, and may this user read it?"
        )
    if size:
        device.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        device.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    if fps:
        device.set(cv2.CAP_PROP_FPS, fps)
    return device


def stream(config: dict[str, Any], tell: Tell) -> Generator[Grab, None, None]:
    """A network stream; ends where the stream ends, raises OSError or an av error where it breaks."""
    import av

    from microspot.engines.data.decoding import TEXTS, Track

    options = {
        **STREAM_OPTIONS,
        **TRANSPORTS[config["rtsp_transport"]],
        "protocol_whitelist": STREAM_PROTOCOLS,
    }
    # Reading has no time-out: how long silence may last depends on what is read, and the parent
    # watches.
    with av.open(
        config["target"], options=options, timeout=(config["open_s"], None), **TEXTS
    ) as container:
        track = Track.of(container)
        if track is None or track.stream.codec_context is None:
            raise OSError("the stream carries no video that can be decoded")
        track.configure(config["max_pixels"])
        track.stream.codec_context.thread_type = "SLICE"  # frame threads would hold back frames
        demuxer, pictured = container.format.name, False
        # its times count from there; FFmpeg omits that one
        first = 0 if demuxer == "rtsp" else None
        with contextlib.closing(_packets(container, track, config, tell)) as packets:
            for frames, at_ns, cause in _decoded(packets, track):
                if not frames:
                    yield Grab(
                        None, cause=cause if pictured else ""
                    )  # none is owed before the first key frame
                for frame in frames:
                    stamp, first = first if frame.pts is None else frame.pts, None
                    grab = Grab(None, cause=DAMAGED if pictured else "")
                    if not frame.is_corrupt:
                        grab = _timed(track.picture(frame), frame, stamp, demuxer)
                    if grab.pts_ns is not None and not pictured:
                        at_ns = packets.earliest(grab.pts_ns, at_ns)
                    yield grab._replace(at_ns=at_ns)
                    pictured |= grab.image is not None


def _decoded(packets: Any, track: Track) -> Iterator[tuple[list[Any], int, str]]:
    """Frames, host time of their arrival, and where there are none the cause, if one is due for every packet."""
    from av.error import InvalidDataError

    codec = track.stream.codec_context
    for arrived in packets:
        if arrived.lost:
            yield (
                list(codec.decode(None)),
                arrived.at_ns,
                "",
            )  # what is held back from before the hole
            codec.flush_buffers()
            yield from [([], arrived.at_ns, OVERLOAD)] * arrived.lost
        try:
            yield track.decode(arrived.packet), arrived.at_ns, ""
        except InvalidDataError:
            yield [], arrived.at_ns, DAMAGED


def _packets(container: Any, track: Track, config: dict[str, Any], tell: Tell) -> Any:
    """The packets of the track, live or on demand, after the parent was told which."""
    module, recording_s = _sibling(config, "packets"), _recording_s(container, track.stream)
    tell(
        {
            "type": "open",
            "recording_s": recording_s,
            "playlist": container.format.name in PLAYLISTS,
        }
    )
    source = track.packets()
    if recording_s is not None:
        return module.OnDemand(source)
    return module.Packets(
        source, int(config["late_s"] * NS), config["packet_bytes"], int(config["settle_s"] * NS)
    )


def _recording_s(container: Any, video: Any) -> float | None:
    """Seconds of video of a recording behind a URL, 0 where it does not say; None for a live stream."""
    duration, name = container.duration or 0, container.format.name
    if (
        name == "rtsp"
        or name in UNTIMED
        or (duration <= 0 and (name in PLAYLISTS or container.size <= 0))
    ):
        return None
    if video.duration:
        return float(video.duration * video.time_base)
    return duration / 1e6 if len(container.streams) == 1 else 0.0  # other streams may be longer


def _timed(image: Any, frame: Any, stamp: int | None, demuxer: str) -> Grab:
    if stamp is None or demuxer in UNTIMED:
        return Grab(image)
    base = frame.time_base
    return Grab(image, stamp * base.numerator * NS // base.denominator)


def run(config: dict[str, Any], outbox: Outbox, stop: threading.Event) -> str:
    """Capture until told to stop; returns why it ended."""
    try:
        importlib.import_module(
            "cv2"
            if config["kind"] == "camera" and not config["camera"]
            else "microspot.engines.data.decoding"
        )
        outbox.put({"type": "ready"})
        with contextlib.closing(_source(config, outbox.put)) as source:
            return _pump(source, outbox, stop)
    except Exception as error:  # whatever it is, the parent hears of it and decides
        return _why(error)


def _source(config: dict[str, Any], tell: Tell) -> Generator[Grab, None, None]:
    return camera(config) if config["kind"] == "camera" else stream(config, tell)


def _why(error: Exception) -> str:
    """What to tell of an error, in plainer words than FFmpeg's where it has none."""
    kind = type(error).__name__
    if kind == "ExitError":  # its own time-out was over
        return "the stream timed out"
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:  # RTSP's 461
        return "the camera refuses RTSP over TCP or UDP, whichever was asked for; try another --rtsp-transport"
    return f"{error}" or kind


def _pump(source: Iterator[Grab], outbox: Outbox, stop: threading.Event) -> str:
    index, told = -1, time.monotonic()
    for grab in source:
        if stop.is_set():
            return "stopped"
        index += grab.image is not None or grab.cause not in ("", UNREAD)
        if grab.image is not None:
            outbox.put(_header(grab, index), _plain(grab.image))
            told = time.monotonic()
            continue
        if grab.cause:
            outbox.miss(grab.cause)
        if grab.cause != UNREAD and time.monotonic() - told >= LIFE_S:
            outbox.put({"type": "waiting"})
            told = time.monotonic()
    return ENDED


def _header(grab: Grab, index: int) -> dict[str, Any]:
    height, width = grab.image.shape[:2]
    at_ns = time.monotonic_ns() if grab.at_ns is None else grab.at_ns
    stamp = {"at_ns": at_ns, "pts_ns": grab.pts_ns, "index": index}
    return {"type": "frame", "height": height, "width": width, **stamp}


def _plain(image: Any) -> Any:
    """HxWx3 uint8 in one piece; raises ValueError for anything else a camera may give."""
    import numpy as np

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"expected uint8 *x*x3 images, got {image.dtype} {'x'.join(map(str, image.shape))}"
        )
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


def _sibling(config: dict[str, Any], name: str) -> Any:
    """A module beside this one, which runs as a script and has no package."""
    return importlib.import_module(f"{config['package']}.{name}")


def main() -> None:
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # a supervisor tells all: the parent ends this worker in its turn
    config = json.loads(_line(0))
    sys.path[:] = config["path"]
    out = os.dup(1)
    os.dup2(2, 1)  # libraries that print must not break into the messages
    stop = threading.Event()
    threading.Thread(target=_watch, args=(stop,), name="watch", daemon=True).start()
    outbox = _sibling(config, "outbox").Outbox(
        out, int(config["queue_s"] * NS), config["queue_bytes"], waits=config["kind"] == "stream"
    )
    outbox.put({"type": "end", "detail": run(config, outbox, stop)})
    outbox.close()
    os._exit(0)  # other threads sit in reads that never return


if __name__ == "__main__":
    main()
