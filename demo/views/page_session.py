"""One page's websocket: what comes in is bounded and checked, what goes out is sent in order."""

from __future__ import annotations

import asyncio
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from microspot.realtime.errors import MicrospotError, UsageError

from ..limits import Limits
from .pipeline_run import LOG
from .wire import QUOTED_LENGTH, read_text

LAST_MESSAGES_S = 2.0  # for the last messages to reach the page
IDLE_CHECKS = 10  # of a page, in the time that it may be silent


class PageSession(ABC):
    """What the server does for one page, from the handshake of its websocket to the end.

    A subclass defines the work (`serve`) and what the page's messages do (`receive_text`,
    `receive_bytes`). All three may raise MicrospotError: the page is told, and the session ends. A
    page may be silent until `limit_silence` is called.
    """

    def __init__(self, socket: WebSocket, limits: Limits) -> None:
        self.limits = limits
        self._socket = socket
        self._loop = asyncio.get_running_loop()
        self._refusals = 0  # in a row
        self._idle_s = math.inf
        self._heard_s = self._loop.time()  # when the page sent its last message
        self._outbox: asyncio.Queue[dict[str, Any] | bytes | None] = asyncio.Queue()

    @abstractmethod
    async def serve(self) -> None:
        """Do the work of the session, which ends with it."""

    async def receive_text(self, message: dict[str, Any]) -> None:
        """Act on a JSON message of the page."""
        kind = message["type"][:QUOTED_LENGTH]
        raise UsageError(f"the page said {kind!r}, which is not known here: reload it")

    async def receive_bytes(self, data: bytes) -> None:
        """Act on a binary message of the page."""
        raise UsageError(f"the page sent {len(data)} bytes that nothing waits for: reload it")

    def limit_silence(self, idle_s: float) -> None:
        """From now on, end the session of a page that sends nothing for `idle_s`."""
        self._idle_s = idle_s
        self._heard_s = self._loop.time()

    def send(self, message: dict[str, Any] | bytes) -> None:
        """Queue a message to the page."""
        self._outbox.put_nowait(message)

    def after_sending(self, message: dict[str, Any]) -> None:  # noqa: B027 most need not know
        """Act on `message` having left for the page."""

    def refuse(self, reason: str, seq: int | None = None) -> None:
        """Tell the page that a message was not taken.

        Raises UsageError when that happens too often in a row.
        """
        self._refusals += 1
        if self._refusals > self.limits.refusals:
            raise UsageError(f"too many messages were refused ({reason}): reload the page")
        self.send({"type": "refused", "seq": seq, "reason": reason})

    def accepted(self) -> None:
        """Note that a message was taken: the count of refusals starts anew."""
        self._refusals = 0

    async def run(self) -> None:
        """Run the session from the handshake to the end, whoever ends it."""
        await self._socket.accept()
        sending = asyncio.create_task(self._send_queued())
        parts = (self.serve(), self._receive(), self._watch_silence())
        work = [asyncio.create_task(self._reporting_errors(part)) for part in parts]
        try:
            await asyncio.wait([sending, *work], return_when=asyncio.FIRST_COMPLETED)
            self._outbox.put_nowait(None)
            await asyncio.wait([sending], timeout=LAST_MESSAGES_S)
        finally:
            for task in (sending, *work):
                task.cancel()
            results = await asyncio.gather(sending, *work, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _reporting_errors(self, part: Coroutine[Any, Any, None]) -> None:
        """Send errors to the page; the text of unexpected ones goes to the log alone."""
        try:
            await part
        except MicrospotError as error:
            self.send({"type": "error", "message": str(error)})
        except Exception:
            LOG.exception("a session of the demo failed")
            message = "something went wrong here: the server's log says why"
            self.send({"type": "error", "message": message})

    async def _receive(self) -> None:
        while True:
            message = await self._socket.receive()
            self._heard_s = self._loop.time()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await self.receive_bytes(message["bytes"])
            else:
                await self.receive_text(read_text(message.get("text") or "", self.limits))

    async def _watch_silence(self) -> None:
        while self._loop.time() - self._heard_s < self._idle_s:
            await asyncio.sleep(self.limits.idle_s / IDLE_CHECKS)
        raise UsageError("nothing came from this page for a while, so its place went to others")

    async def _send_queued(self) -> None:
        try:
            while (message := await self._outbox.get()) is not None:
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(json.dumps(message, allow_nan=False))
                    self.after_sending(message)
            await self._socket.close()
        except (WebSocketDisconnect, RuntimeError):
            return  # the page is gone: there is nobody to send to
