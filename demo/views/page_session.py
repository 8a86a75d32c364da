"""One page's websocket. What comes in is bounded and checked, what goes out is queued and sent in order."""

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
from .wire import SHOWN, read_text

GOODBYE_S = 2.0  # for the last words to reach the page
IDLE_CHECKS = 10  # of a page, in the time it may be silent


class PageSession(ABC):
    """A subclass says what happens (`sit`) and what the page's messages do (`hear_text`, `hear_bytes`).

    All three may raise MicrospotError: the page is told, and the visit ends. A page may be silent until `expect`.
    """

    def __init__(self, socket: WebSocket, limits: Limits) -> None:
        self.limits = limits
        self._socket, self._loop, self._refusals = socket, asyncio.get_running_loop(), 0
        self._idle_s, self._heard_at = math.inf, self._loop.time()
        self._outbox: asyncio.Queue[dict[str, Any] | bytes | None] = asyncio.Queue()

    @abstractmethod
    async def sit(self) -> None:
        """What the server does while the page is there; its end ends the visit."""

    async def hear_text(self, message: dict[str, Any]) -> None:
        """A JSON message of the page."""
        raise UsageError(
            f"the page said {message['type'][:SHOWN]!r}, which is not known here: reload it"
        )

    async def hear_bytes(self, data: bytes) -> None:
        """A binary message of the page."""
        raise UsageError(f"the page sent {len(data)} bytes that nothing waits for: reload it")

    def expect(self, idle_s: float) -> None:
        """From now on the page must not be silent for longer than this."""
        self._idle_s, self._heard_at = idle_s, self._loop.time()

    def sent(self, message: dict[str, Any]) -> None:  # noqa: B027 most need not know
        """`message` has left for the page."""

    def tell(self, message: dict[str, Any] | bytes) -> None:
        """Queue a message to the page."""
        self._outbox.put_nowait(message)

    def refuse(self, reason: str, seq: int | None = None) -> None:
        """Tell the page that a message was not taken. Raises UsageError when that happens too often in a row."""
        self._refusals += 1
        if self._refusals > self.limits.refusals:
            raise UsageError(f"too many messages were refused ({reason}): reload the page")
        self.tell({"type": "refused", "seq": seq, "reason": reason})

    def accepted(self) -> None:
        """A message was taken: the count of refusals starts anew."""
        self._refusals = 0

    async def run(self) -> None:
        """From the handshake to the end, whoever ends it."""
        await self._socket.accept()
        talk = asyncio.create_task(self._talk())
        work = [
            asyncio.create_task(self._told(part))
            for part in (self.sit(), self._listen(), self._patience())
        ]
        try:
            await asyncio.wait([talk, *work], return_when=asyncio.FIRST_COMPLETED)
            self._outbox.put_nowait(None)
            await asyncio.wait([talk], timeout=GOODBYE_S)
        finally:
            for task in (talk, *work):
                task.cancel()
            results = await asyncio.gather(talk, *work, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _told(self, part: Coroutine[Any, Any, None]) -> None:
        """Failures become the page's message; the words of unexpected ones go to the log alone."""
        try:
            await part
        except MicrospotError as error:
            self.tell({"type": "error", "message": str(error)})
        except Exception:
            LOG.exception("a visit to the demo failed")
            self.tell(
                {"type": "error", "message": "something went wrong here: the server's log says why"}
            )

    async def _listen(self) -> None:
        while True:
            message = await self._socket.receive()
            self._heard_at = self._loop.time()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("bytes") is not None:
                await self.hear_bytes(message["bytes"])
            else:
                await self.hear_text(read_text(message.get("text") or "", self.limits))

    async def _patience(self) -> None:
        while self._loop.time() - self._heard_at < self._idle_s:
            await asyncio.sleep(self.limits.idle_s / IDLE_CHECKS)
        raise UsageError("nothing came from this page for a while, so its place went to others")

    async def _talk(self) -> None:
        try:
            while (message := await self._outbox.get()) is not None:
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(json.dumps(message, allow_nan=False))
                    self.sent(message)
            await self._socket.close()
        except (WebSocketDisconnect, RuntimeError):
            return  # the page is gone: nobody is left to tell
