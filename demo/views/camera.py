"""Camera: a source of the server, seen by any number of pages at the cost of one pipeline.

A showing lasts while someone looks; recordings start again at their end. Pictures may be skipped for a slow page (two
are on the way at most), events never. Pages choose among the sources named at start, by number.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket

from microspot.engines.redaction import printable
from microspot.realtime.errors import UsageError
from microspot.realtime.meter import Rate
from microspot.realtime.records import Frame, View
from microspot.realtime.sources.address import parse
from microspot.realtime.sources.open import Source, distinct, open_source

from ..limits import Limits
from .admission_queue import AdmissionQueue
from .page_session import PageSession
from .pipeline_run import PipelineRun, PipelineSetup
from .wire import pack_picture, sight

ON_DISK = ("file", "folder")
RECORDED = (*ON_DISK, "sample")


class Channel:
    """A source named at start. Who looks at it shares a showing; one that ends is not joined but followed by the next.

    It is called unlike those whose names are `taken`. Raises UsageError for an address that makes no sense.
    """

    def __init__(
        self,
        uri: str,
        limits: Limits,
        setup: PipelineSetup,
        admission: AdmissionQueue,
        taken: Collection[str] = (),
    ) -> None:
        address = parse(uri)
        self.name, self.recorded = distinct(address.name, taken), address.kind in RECORDED
        self.paths = (
            {printable(f"{Path(uri).parent}/"): ""} if address.kind in ON_DISK else {}
        )  # no page is told where files lie
        self.limits, self.setup, self.admission = limits, setup, admission
        self.free = (
            asyncio.Lock()
        )  # a camera opens once: the showing before may still be closing it
        self._uri = uri
        self._showing: SharedRun | None = None

    def open(self) -> Source:
        """The source. Raises SourceError where it cannot be opened."""
        source = open_source(self._uri, pace=self.recorded)
        source.name = self.name
        return source

    async def show(self, viewer: CameraSession) -> None:
        """Until the showing is over, or the page goes. Raises UsageError when too many look."""
        if self._showing is None or self._showing.ending:
            self._showing = SharedRun(self)
        await self._showing.show(viewer)

    async def close(self) -> None:
        """End the showing."""
        if self._showing is not None:
            self._showing.end()
            await asyncio.wait([self._showing.task])


class SharedRun:
    """From the first viewer to the last: run after run of a recording, or one of a camera."""

    def __init__(self, channel: Channel) -> None:
        self._channel, self._viewers = channel, set[CameraSession]()
        self._standing: dict[str, Any] | None = (
            None  # a place in line, a start or an error: what who comes must know
        )
        self._events: deque[dict[str, Any]] = deque(maxlen=channel.limits.remembered)
        self._failed = False
        self._lingering: asyncio.TimerHandle | None = None
        self.ending = False
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def show(self, viewer: CameraSession) -> None:
        """A page looks; it learns what the others know."""
        if len(self._viewers) >= self._channel.limits.viewers:
            raise UsageError(
                f"{len(self._viewers)} pages look at {self._channel.name} already: try again later"
            )
        if self._lingering is not None:
            self._lingering.cancel()
        self._viewers.add(viewer)
        for message in (*([self._standing] if self._standing else []), *self._events):
            viewer.tell(message)
        try:
            await asyncio.shield(self.task)
        finally:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._lingering = self.task.get_loop().call_later(
                    self._channel.limits.linger_s, self.end
                )

    def end(self) -> None:
        """Begin to end; who comes now looks at the next showing."""
        if not self.ending:
            self.ending = True
            self.task.cancel()

    async def _run(self) -> None:
        channel = self._channel
        try:
            async with channel.free:
                with channel.admission.ticket() as ticket:
                    async for position in ticket:
                        self._found(
                            {
                                "type": "queue",
                                "position": position,
                                "runs": channel.admission.admission,
                            }
                        )
                    await self._once()
                    while channel.recorded and self._viewers and not self._failed:
                        await self._once()
        except UsageError as error:
            self._found({"type": "error", "message": str(error)})
        finally:
            self.ending = True

    async def _once(self) -> None:
        rate, count = Rate(), itertools.count(1)

        def draw(frame: Frame, views: Sequence[View]) -> dict[str, Any]:
            return self._draw(frame, views, rate, count)

        await PipelineRun(
            self._channel.setup, self._channel.open, self._found, draw, names=self._channel.paths
        ).until_over()

    def _draw(
        self, frame: Frame, views: Sequence[View], rate: Rate, count: Iterator[int]
    ) -> dict[str, Any]:
        """The picture is packed once for all."""
        limits = self._channel.limits
        rate.add(frame.captured_ns)
        head = {
            "type": "frame", "index": frame.index, "ns": frame.captured_ns, "scored": next(count),
            "hz": round(rate.hz, 2), "faces": [sight(view, limits.columns) for view in views],
        }  # fmt: skip
        return {"type": "picture", "picture": pack_picture(head, frame.image, limits)}

    def _found(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in ("queue", "start", "error"):
            self._standing, self._failed = message, kind == "error"
            self._events.clear()
        elif kind == "event" and message["status"] == "final":
            self._events.append(message)
        for viewer in self._viewers:
            if kind == "picture":
                viewer.offer(message["picture"])
            else:
                viewer.tell(message)


class CameraSession(PageSession):
    """One page that looks at a channel."""

    def __init__(self, socket: WebSocket, limits: Limits, channels: Sequence[Channel]) -> None:
        super().__init__(socket, limits)
        self._channels, self._chosen = channels, socket.query_params.get("source", "")
        self._on_the_way = 0
        self._newest: bytes | None = None

    async def sit(self) -> None:
        numbers = {str(number): channel for number, channel in enumerate(self._channels)}
        if self._chosen not in numbers:
            raise UsageError("this source was not named when the demo was started: reload the page")
        await numbers[self._chosen].show(self)

    async def hear_text(self, message: dict[str, Any]) -> None:
        """`seen`: the page has drawn a picture."""
        if message["type"] != "seen":
            return await super().hear_text(message)
        if not self._on_the_way:
            return self.refuse("nothing was on the way")
        self.accepted()
        self._on_the_way -= 1
        newest, self._newest = self._newest, None
        return None if newest is None else self.offer(newest)

    def tell(self, message: dict[str, Any] | bytes) -> None:
        if isinstance(message, dict) and message["type"] == "start":
            self._newest = None  # it is of the run before
        super().tell(message)

    def offer(self, picture: bytes) -> None:
        """Send a picture now, or when the page has drawn one of those on the way, unless a newer one comes."""
        if self._on_the_way < self.limits.in_flight:
            self._on_the_way += 1
            self.tell(picture)
        else:
            self._newest = picture
