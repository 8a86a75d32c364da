"""Camera: a source of the server, seen by any number of pages at the cost of one pipeline.

A channel runs while someone looks; recordings start again at their end. Pictures may be skipped for a slow page (two
are on the way at most), events never. Pages choose among the sources named at start, by number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from starlette.websockets import WebSocket

from realtime.address import parse
from realtime.errors import UsageError
from realtime.records import Frame, View
from realtime.sources import Source, open_source

from .limits import Limits
from .runs import Kit, Run
from .seats import Seats
from .visit import Visit
from .wire import pack_picture, sight

RECORDED = ("file", "folder", "sample")


class Channel:
    """One source and the pages that look at it."""

    def __init__(self, uri: str, limits: Limits, kit: Kit, seats: Seats) -> None:
        address = parse(uri)
        self.name, self.recorded = address.name, address.kind in RECORDED
        self._uri, self._limits, self._kit, self._seats = uri, limits, kit, seats
        self._viewers: set[CameraVisit] = set()
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()  # cleared: nobody looks
        self._start: dict[str, Any] | None = None
        self._events: deque[dict[str, Any]] = deque(maxlen=limits.remembered)
        self._failed = False

    def join(self, viewer: CameraVisit) -> None:
        """A page looks; it learns what the others know. Raises UsageError when too many look."""
        if len(self._viewers) >= self._limits.viewers:
            raise UsageError(f"{self._limits.viewers} pages look at {self.name} already: try again later")
        self._viewers.add(viewer)
        for message in (*([self._start] if self._start else []), *self._events):
            viewer.tell(message)
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._serve())

    def leave(self, viewer: CameraVisit) -> None:
        """A page is gone."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self._loop.call_later(self._limits.linger_s, self._stop_if_unseen)

    async def close(self) -> None:
        """End the run."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _stop_if_unseen(self) -> None:
        if not self._viewers and self._task is not None:
            self._task.cancel()

    async def _serve(self) -> None:
        """While someone looks: a place for a pipeline, then run after run of a recording, or one of a camera."""
        self._failed = False
        try:
            with self._seats.ticket() as ticket:
                async for position in ticket:
                    self._publish({"type": "queue", "position": position, "runs": self._seats.seats})
                await self._run()
                while self.recorded and self._viewers and not self._failed:
                    await self._run()
        except UsageError as error:
            self._publish({"type": "error", "message": str(error)})
        finally:
            self._task, self._start = None, None
            self._events.clear()

    async def _run(self) -> None:
        over = asyncio.Event()
        await Run(self._kit, self._open, lambda m: self._soon(self._found, m, over), self._show).until(over)

    def _open(self) -> Source:
        return open_source(self._uri, pace=self.recorded)

    def _soon(self, call: Any, *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _found(self, message: dict[str, Any], over: asyncio.Event) -> None:
        if message["type"] == "over":
            over.set()
            return
        if message["type"] == "start":
            self._start = message
            self._events.clear()
        elif message["type"] == "event" and message["status"] == "final":
            self._events.append(message)
        elif message["type"] == "error":
            self._failed = True
            message = {"type": "error", "message": message["message"].replace(self._uri, self.name)}
        self._publish(message)

    def _publish(self, message: dict[str, Any]) -> None:
        for viewer in self._viewers:
            viewer.tell(message)

    def _show(self, frame: Frame, views: Sequence[View]) -> None:
        """From the run's thread: the picture is packed once for all."""
        faces = [sight(view, self._limits.columns) for view in views]
        head = {"type": "frame", "index": frame.index, "ns": frame.captured_ns, "faces": faces}
        self._soon(self._picture, pack_picture(head, frame.image, self._limits))

    def _picture(self, picture: bytes) -> None:
        for viewer in self._viewers:
            viewer.offer(picture)


class CameraVisit(Visit):
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
        channel = numbers[self._chosen]
        channel.join(self)
        try:
            await asyncio.Event().wait()
        finally:
            channel.leave(self)

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

    def offer(self, picture: bytes) -> None:
        """Send a picture now, or when the page has drawn one of those on the way, unless a newer one comes."""
        if self._on_the_way < self.limits.in_flight:
            self._on_the_way += 1
            self.tell(picture)
        else:
            self._newest = picture
