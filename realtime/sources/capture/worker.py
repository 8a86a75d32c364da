"""The capture worker: a process of its own.

A read of a camera can hang for good, and only killing the process ends that.

The parent runs this file by path. Of this project it loads only `outbox`, `packets`, `device`,
`host_clock` and `engines.data.decoding` with the one module that this imports (no networks, no
weights): a worker is up in a fraction of a second and holds little memory. One JSON line, the
configuration, comes in on descriptor 0 (never in the arguments: the target may hold a password, and
anyone may list arguments); messages go out on descriptor 1 (see `outbox`). When descriptor 0 ends,
the parent is gone or wants the worker to end. Both are moved at once to others: what libraries
print must not break into the messages, and on Windows libraries that look at descriptor 0 while
they are loaded, as numpy's do, would wait for what reads it.

A camera never waits for the parent. Its frames queue up here; when the queue is full a whole
segment is dropped, until the queue is empty again, and the next frame's message says how many and
why. A stream waits as packets (see `packets`), by the same rule; a recording behind a URL is read
no faster than its frames are taken, and nothing of it is dropped.
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
    from microspot.engines.data.decoding import VideoTrack

    from .outbox import Outbox

PutMessage = Callable[[dict[str, Any]], None]
GRACE_S = 1.0  # to close a camera in good order before leaving anyway
RETRY_READ_S = 0.01  # between reads of a camera that has nothing
ALIVE_EVERY_S = 1.0  # while packets give no picture, the parent hears this often that they come
# Causes of drops, spelt as in records.DropCause, which this process does not load.
OVERLOAD = "overload"
UNREAD = "unread"
DAMAGED = "damaged"
ENDED = "the stream ended"
IGNORED = ("SIGTERM", "SIGBREAK")  # signals; SIGBREAK, ctrl-Break, is of Windows
UNTIMED = ("mpjpeg", "mjpeg")  # demuxers whose times are invented from a nominal rate
# Demuxers that give a segment of seconds at a time; a live one has no duration.
PLAYLISTS = ("hls", "dash")
TRANSPORTS = {  # of RTSP; "auto" takes UDP from servers that refuse TCP (461 Unsupported Transport)
    "auto": {"rtsp_transport": "udp+tcp", "rtsp_flags": "prefer_tcp"},
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
}
STREAM_OPTIONS = {
    "allowed_media_types": "video",  # sound is neither needed nor wanted
    "probesize": "50000",  # FFmpeg's defaults hold back 0.8 s of video
    "analyzeduration": "100000",
}


class Captured(NamedTuple):
    """One frame (HxWx3 uint8 BGR), or the cause why there is none.

    Without image and cause: something came, and no frame of it yet. pts_ns: the source's own time,
    if it has one. at_ns: arrival on the host, None for now.
    """

    image: Any
    pts_ns: int | None = None
    cause: str = ""
    at_ns: int | None = None


def camera(config: dict[str, Any]) -> Generator[Captured, None, None]:
    """Frames of a local camera, by index, device path or name.

    Raises OSError when it cannot be opened or stops giving frames.
    """
    device = _sibling(config, "device").open_device(config)
    try:
        failures = 0  # in a row
        while failures < config["unread_frames"]:
            good, image = device.read()
            if good and image is not None:
                failures = 0
                yield Captured(image)
            else:
                failures += 1
                yield Captured(None, cause=UNREAD)
                time.sleep(RETRY_READ_S)
        raise OSError(f"camera {config['target']} stopped giving frames")
    finally:
        device.release()


def stream(config: dict[str, Any], put: PutMessage) -> Generator[Captured, None, None]:
    """Frames of a network stream; ends where the stream ends.

    Raises OSError or an error of PyAV where the stream breaks.
    """
    import av

    from microspot.engines.data.decoding import STREAM_PROTOCOLS, TEXTS, VideoTrack

    options = {
        **STREAM_OPTIONS,
        **TRANSPORTS[config["rtsp_transport"]],
        "protocol_whitelist": STREAM_PROTOCOLS,
    }
    # Reading has no time-out: how long silence may last depends on the stream, and the parent
    # watches it.
    timeout = (config["open_s"], None)
    with av.open(config["target"], options=options, timeout=timeout, **TEXTS) as container:
        track = VideoTrack.of(container)
        if track is None or track.stream.codec_context is None:
            raise OSError("the stream carries no video that can be decoded")
        track.configure(config["max_pixels"])
        track.stream.codec_context.thread_type = "SLICE"  # frame threads would hold back frames
        with contextlib.closing(_packets(container, track, config, put)) as packets:
            yield from _captured(packets, track, container.format.name, config)


def _captured(
    packets: Any, track: VideoTrack, demuxer: str, config: dict[str, Any]
) -> Iterator[Captured]:
    """Frames of a track, with their times; no frame is owed before the first key frame."""
    to_ns = _sibling(config, "packets").to_ns
    pictured = False
    # The times of RTSP count from zero, and FFmpeg omits that one.
    first_stamp = 0 if demuxer == "rtsp" else None
    for frames, at_ns, cause in _decoded(packets, track):
        if not frames:
            yield Captured(None, cause=cause if pictured else "")
        for frame in frames:
            stamp = first_stamp if frame.pts is None else frame.pts
            first_stamp = None
            if frame.is_corrupt:
                captured = Captured(None, cause=DAMAGED if pictured else "")
            else:
                pts_ns = None if demuxer in UNTIMED else to_ns(stamp, frame.time_base)
                captured = Captured(track.picture(frame), pts_ns)
            if captured.pts_ns is not None and not pictured:
                at_ns = packets.undelayed_ns(captured.pts_ns, at_ns)
            yield captured._replace(at_ns=at_ns)
            pictured |= captured.image is not None


def _decoded(packets: Any, track: VideoTrack) -> Iterator[tuple[list[Any], int, str]]:
    """Frames, host time of their arrival, and the cause of a packet that gives none.

    The cause is "" where no frame was due for the packet.
    """
    from av.error import InvalidDataError

    codec = track.stream.codec_context
    for arrived in packets:
        if arrived.lost:
            # What the decoder holds back is from before the lost packets.
            yield list(codec.decode(None)), arrived.at_ns, ""
            codec.flush_buffers()
            yield from [([], arrived.at_ns, OVERLOAD)] * arrived.lost
        try:
            yield track.decode(arrived.packet), arrived.at_ns, ""
        except InvalidDataError:
            yield [], arrived.at_ns, DAMAGED


def _packets(container: Any, track: VideoTrack, config: dict[str, Any], put: PutMessage) -> Any:
    """The packets of the track, live or recorded, after the parent was told which."""
    module = _sibling(config, "packets")
    recording_s = _recording_s(container, track.stream)
    playlist = container.format.name in PLAYLISTS
    put({"type": "open", "recording_s": recording_s, "playlist": playlist})
    if recording_s is not None:
        return module.RecordedPackets(track.packets())
    return module.LivePackets(
        track.packets(), config["late_ns"], config["packet_bytes"], config["settle_ns"]
    )


def _recording_s(container: Any, video: Any) -> float | None:
    """Seconds of video of a recording behind a URL, 0 where it does not say.

    None for a live stream.
    """
    duration = container.duration or 0
    name = container.format.name
    if name == "rtsp" or name in UNTIMED:
        return None
    if duration <= 0 and (name in PLAYLISTS or container.size <= 0):
        return None
    if video.duration:
        return float(video.duration * video.time_base)
    return duration / 1e6 if len(container.streams) == 1 else 0.0  # other streams may be longer


def run(config: dict[str, Any], outbox: Outbox, stop: threading.Event) -> str:
    """Capture until told to stop; returns why it ended."""
    kind = config["kind"]
    try:
        if kind == "stream":
            importlib.import_module("microspot.engines.data.decoding")
        elif not config["camera"]:
            _sibling(config, "device").load_opencv()
        outbox.put({"type": "ready"})
        if kind not in ("camera", "stream"):
            answer = _sibling(config, "device").ANSWERS[kind](config)
            outbox.put({"type": "answer", "answer": answer})
            return "answered"
        with contextlib.closing(_source(config, outbox.put)) as source:
            now_ns = _sibling(config, "host_clock").host_time_ns
            return _forward(source, outbox, stop, now_ns)
    except Exception as error:  # whatever it is, the parent hears of it and decides
        return _explanation(error)


def _source(config: dict[str, Any], put: PutMessage) -> Generator[Captured, None, None]:
    return camera(config) if config["kind"] == "camera" else stream(config, put)


def _explanation(error: Exception) -> str:
    """The text of an error, in plainer words than FFmpeg's where it has none."""
    kind = type(error).__name__
    if kind == "ExitError":  # its own time-out was over
        return "the stream timed out"
    if getattr(error, "errno", None) == errno.EPROTONOSUPPORT:  # RTSP's 461
        return (
            "the camera refuses RTSP over TCP or UDP, whichever was asked for; "
            "try another --rtsp-transport"
        )
    return f"{error}" or kind


def _forward(
    source: Iterator[Captured],
    outbox: Outbox,
    stop: threading.Event,
    now_ns: Callable[[], int],
) -> str:
    """Put what is captured into the outbox; returns why it ended. now_ns: the host's clock."""
    index = -1
    put_s = time.monotonic()
    for captured in source:
        if stop.is_set():
            return "stopped"
        if captured.image is not None:
            index += 1
            if captured.at_ns is None:
                captured = captured._replace(at_ns=now_ns())
            outbox.put(_header(captured, index), _contiguous(captured.image))
            put_s = time.monotonic()
            continue
        if captured.cause:
            outbox.count_missing(captured.cause)
        if captured.cause not in ("", UNREAD):  # a frame of the source that is lost has a number
            index += 1
        if captured.cause != UNREAD and time.monotonic() - put_s >= ALIVE_EVERY_S:
            outbox.put({"type": "waiting"})
            put_s = time.monotonic()
    return ENDED


def _header(captured: Captured, index: int) -> dict[str, Any]:
    height, width = captured.image.shape[:2]
    return {
        "type": "frame",
        "height": height,
        "width": width,
        "at_ns": captured.at_ns,
        "pts_ns": captured.pts_ns,
        "index": index,
    }


def _contiguous(image: Any) -> Any:
    """HxWx3 uint8 in one piece; raises ValueError for anything else a camera may give."""
    import numpy as np

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"expected uint8 *x*x3 images, got {image.dtype} {'x'.join(map(str, image.shape))}"
        )
    return np.ascontiguousarray(image)


def _line(descriptor: int) -> bytes:
    """The first line of a descriptor; ends the process where there is none."""
    data = bytearray()
    while not data.endswith(b"\n"):
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            os._exit(0)
        data += piece
    return bytes(data)


def _moved(descriptor: int, instead: int) -> int:
    """A copy of `descriptor`, which from now on is what `instead` is."""
    copy = os.dup(descriptor)
    os.dup2(instead, descriptor)
    return copy


def _watch(descriptor: int, stop: threading.Event) -> None:
    """Wait for the end of a descriptor, then leave: in good order, or after a while in any."""
    while os.read(descriptor, 1):
        pass
    stop.set()
    time.sleep(GRACE_S)
    os._exit(0)


def _sibling(config: dict[str, Any], name: str) -> Any:
    """A module beside this one, which runs as a script and has no package."""
    return importlib.import_module(f"{config['package']}.{name}")


def main() -> None:
    """Run the worker until its source or its parent ends."""
    # A supervisor signals all processes: the parent ends this worker in its turn.
    for name in IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    told = _moved(0, os.open(os.devnull, os.O_RDONLY))
    out = _moved(1, 2)
    config = json.loads(_line(told))
    sys.path[:] = config["path"]
    stop = threading.Event()
    threading.Thread(target=_watch, args=(told, stop), name="watch", daemon=True).start()
    outbox = _sibling(config, "outbox").Outbox(
        out, config["queue_ns"], config["queue_bytes"], waits=config["kind"] != "camera"
    )
    outbox.put({"type": "end", "detail": run(config, outbox, stop)})
    outbox.close()
    os._exit(0)  # other threads sit in reads that never return


if __name__ == "__main__":
    main()
