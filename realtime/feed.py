"""Feed: the producer thread of one source.

    source -> one frame per tick -> aligner -> bounded queue

It decides what counts as evidence: frames whose time does not rise never pass, of several frames
nearest one tick one is aligned, a face missing for longer than the bridge becomes a Gap with its
reason. Every frame comes out, with or without a crop, so that drawing sees them all. The queue
blocks: a file waits; a live source that is blocked drops a whole segment before the queue and
reports it (see `sources.live`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from microspot.engines.alignment.aligner import Aligner, Face, Refused
from microspot.engines.alignment.bridge import Bridge

from .config import Settings
from .gaps import SegmentTracker
from .meter import Meter, Rate
from .records import Crop, DropCause, Frame, Gap, GapReason, SourceState, SourceWarning
from .sources.capture.host_clock import host_time_ns
from .sources.open import Source
from .spotting.frame_decimator import FrameDecimator

POLL_S = 0.1  # how soon a closing feed notices


@dataclass(frozen=True, eq=False)
class Sighting:
    """One frame of the source and the faces aligned in it.

    arrived_ns: when the source gave the frame, on the host's clock; dropped: why the
    frame was not aligned at all; rejected: why a wanted face was not used; refused: the faces that
    were found and not used.
    """

    frame: Frame
    arrived_ns: int
    crops: tuple[Crop, ...] = ()
    dropped: DropCause | None = None
    rejected: str | None = None
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class End:
    """The source has ended; `error` if it failed."""

    error: Exception | None = None


Arrival = tuple[Frame, int]  # and its `arrived_ns`
Item = Sighting | Gap | SourceState | SourceWarning | End


def crop_of(frame: Frame, face: Face) -> Crop:
    """The crop of a face that was aligned in a frame."""
    return Crop(
        source=frame.source,
        face=face.face,
        index=frame.index,
        captured_ns=frame.captured_ns,
        pixels=face.pixels,
        affine=face.affine,
        quality=face.quality,
        outline=face.outline,
        width_px=face.width_px,
        mesh=face.mesh,
        landmarks_ns=face.landmarks_ns,
    )


class Feed:
    """Runs a source and its aligner in a thread: `start`, `get` until End, then `close`."""

    def __init__(
        self, source: Source, aligner: Aligner, grid_hz: int, settings: Settings, meter: Meter
    ) -> None:
        self.source = source
        self.rate = Rate()
        self._aligner = aligner
        self._settings = settings
        self._meter = meter
        self._decimator: FrameDecimator[Arrival] = FrameDecimator(grid_hz)
        self._segments = SegmentTracker(source.name, Bridge(settings.bridge))
        self._last_ns: int | None = None
        self._shape: tuple[int, ...] | None = None  # of the last frame in this segment
        self._shift_ns = 0
        self._backwards = 0
        self._queue: queue.Queue[Item] = queue.Queue(settings.queue_frames)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed {source.name}", daemon=True)

    def start(self, ready: threading.Event) -> None:
        """Start the thread; `ready` is set whenever `get` has an item."""
        self._ready = ready
        self._thread.start()

    def get(self, block: bool) -> Item | None:
        """The next item; None when none is waiting and `block` is False."""
        try:
            return self._queue.get(block)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop the thread and release the source and the aligner."""
        self._stop.set()
        self.source.close()
        if self._thread.ident is None:  # never started: the thread would have closed it
            self._aligner.close()
        else:
            self._thread.join()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            with self._aligner, self.source:
                for item in self._items():
                    self._put(item)
                    if self._stop.is_set():
                        break
        except Exception as caught:
            error = caught
        finally:
            self._put(End(error))

    def _put(self, item: Item) -> None:
        """Queue an item, waiting for room unless the feed is being closed."""
        size = item.frame.image.nbytes if isinstance(item, Sighting) else 0
        while not self._stop.is_set():
            try:
                if self._queue.qsize() * size > self._settings.queue_mb * 1_000_000:
                    self._stop.wait(POLL_S / 10)
                    continue
                self._queue.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            self._ready.set()
            return

    def _items(self) -> Iterator[Item]:
        records = iter(self.source)
        while True:
            with self._meter.time("capture"):
                record = next(records, None)
            if record is None:
                break
            if isinstance(record, Frame):
                yield from self._frame(record, host_time_ns())
            elif isinstance(record, Gap):
                yield from self._close_segments(record)
            else:
                yield record
        yield from self._decided(self._decimator.flush())

    def _frame(self, frame: Frame, arrived_ns: int) -> Iterator[Item]:
        """Check time and size of a frame; hand it to the decimator."""
        before_ns = self._last_ns
        rising = self._rising(frame)
        if isinstance(rising, Gap):
            yield from self._close_segments(rising)
        if not isinstance(rising, Frame):
            yield Sighting(frame, arrived_ns, dropped=DropCause.NOT_RISING)
            return
        resized = self._resized(rising, before_ns)
        if resized is not None:
            yield from self._close_segments(resized)
        self._shape = frame.image.shape
        self.rate.add(rising.captured_ns)
        yield from self._decided(self._decimator.push(rising.captured_ns, (rising, arrived_ns)))

    def _rising(self, frame: Frame) -> Frame | Gap | None:
        """The frame on a clock that rises.

        None when the frame is dropped; a Gap when the source's clock was set back for good.
        """
        captured_ns = frame.captured_ns + self._shift_ns
        if self._last_ns is None or captured_ns > self._last_ns:
            self._last_ns = captured_ns
            self._backwards = 0
            if self._shift_ns == 0:
                return frame
            return replace(frame, captured_ns=captured_ns)
        self._backwards += 1
        if self._backwards < self._settings.clock_reset_frames:
            return None
        resumed = self._last_ns + 2 * self._settings.bridge.most_ns
        self._shift_ns += resumed - captured_ns
        self._backwards = 0
        return Gap(frame.source, None, self._last_ns, resumed, GapReason.CLOCK_SET_BACK)

    def _resized(self, frame: Frame, before_ns: int | None) -> Gap | None:
        """The Gap before a frame of another size: faces were tracked in pixels of the last size."""
        if before_ns is None or self._shape in (None, frame.image.shape):
            return None
        return Gap(frame.source, None, before_ns, frame.captured_ns, GapReason.PICTURE_SIZE_CHANGED)

    def _decided(self, decided: list[tuple[Arrival, bool]]) -> Iterator[Item]:
        """Align the frames that the decimator kept; report the others as thinned."""
        for (frame, arrived_ns), goes_on in decided:
            if goes_on:
                yield from self._align(frame, arrived_ns)
            else:
                yield Sighting(frame, arrived_ns, dropped=DropCause.THINNED)

    def _align(self, frame: Frame, arrived_ns: int) -> Iterator[Item]:
        """Align a frame's faces; report Gaps first, then the sighting."""
        with self._meter.time("align"):
            found = self._aligner(frame.image, frame.captured_ns)
        before = set(self._segments.last)
        used = {face.face for face in found.faces}
        gaps = self._segments.see(frame.captured_ns, used, found.rejected)
        yield from gaps
        crops = tuple(crop_of(frame, face) for face in found.faces)
        yield Sighting(frame, arrived_ns, crops, rejected=found.rejected, refused=found.refused)
        if not self._segments.last:
            yield from self._decided(self._decimator.anchor(None))
        elif not before - {gap.face for gap in gaps}:
            yield from self._decided(self._decimator.anchor(frame.captured_ns))

    def _close_segments(self, gap: Gap) -> Iterator[Item]:
        """End every open segment at `gap`; the aligner starts anew."""
        yield from self._decided(self._decimator.flush())
        self._decimator.anchor(None)  # returns nothing: flush left no frame waiting
        self._aligner.reset()
        self._shape = None
        yield from self._segments.interrupted(gap)
