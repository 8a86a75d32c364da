"""The requests of the page, on this machine alone.

The page itself is the same for everyone and comes to whoever asks. What is personal, events and
pictures, needs the token of this run, which the address that is printed has behind a # so that no
request and no log holds it. By which names the server may be called, and by pages of which
origins, is the rule of all our servers (`sinks/network/gate.py`).
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from dataclasses import replace
from socket import socket
from typing import Any

import uvicorn
from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microspot.engines.magnification.magnify import GAINS

from ..errors import MicrospotError, SourceError, UsageError
from ..sinks.network.gate import Gate
from .faces import Box
from .page import Page, build_page
from .results import EventKey, NotThereError
from .session import Review

HOST = "127.0.0.1"
TOKEN_BYTES = 24
MOST_FRAMES = 64  # of one request
PICTURE_HEAD = struct.Struct("<II")  # before each picture: index of its frame, bytes of its JPEG
SHUTDOWN_S = 3  # for requests to end when the server does
PAGE = "/"
# What status an error has; others are faults of this machine, such as a full disk.
STATUS: dict[type[MicrospotError], int] = {
    UsageError: 422,
    SourceError: 404,
    NotThereError: 404,
}
FAILED = 507
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class ChangeRequest(BaseModel):
    """A change that a coder makes; value: see `Review.change`."""

    model_config = ConfigDict(extra="forbid")

    video: str
    event: str
    field: str
    value: int | str | None


class GatedApplication:
    """ASGI middleware: the gate before every request, and our headers on every answer."""

    def __init__(self, application: ASGIApp, gate: Gate) -> None:
        self._application = application
        self._gate = gate
        self._page_gate = replace(gate, token=None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        if scope["type"] != "http":  # there are no websockets here
            return
        refusal = self._refusal(scope)
        answer = self._application
        if refusal is not None:
            status, words = refusal
            answer = PlainTextResponse(words, status)
        await answer(scope, receive, with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if scope["method"] not in ("GET", "HEAD") and origin is None:
            return 403, "only the page itself may change anything\n"
        gate = self._page_gate if scope["path"] == PAGE else self._gate
        return gate.refusal(
            headers.get("host"), origin, headers.get("authorization"), scope["path"]
        )


def build(review: Review, port: int, token: str) -> ASGIApp:
    """The application of a review, for a server that listens on `port`."""
    return GatedApplication(answering(review, build_page()), Gate(port, token.encode()))


def answering(
    review: Review, page: Page, explained: Callable[[MicrospotError], str] = str
) -> FastAPI:
    """The requests of a review's page, for whoever comes in: the caller stands a gate before it.

    explained: what the page is told of an error.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get(PAGE)
    def show() -> Response:
        return HTMLResponse(page.html, headers={"content-security-policy": page.policy})

    @app.get("/review")
    def state() -> dict[str, Any]:
        return review.state()

    @app.get("/frames")
    def frames(video: str, first: int = Query(ge=0), stop: int = Query(ge=0)) -> Response:
        pictures = review.pictures(video, first, min(stop, first + MOST_FRAMES))
        parts = [PICTURE_HEAD.pack(index, len(jpeg)) + jpeg for index, jpeg in pictures]
        return Response(b"".join(parts), media_type="application/octet-stream")

    @app.post("/changes")
    def change(wanted: ChangeRequest) -> dict[str, Any]:
        return review.change(EventKey(wanted.video, wanted.event), wanted.field, wanted.value)

    @app.post("/undo")
    def undo() -> dict[str, Any] | None:
        return review.undo()

    _add_close_looks(app, review)

    @app.exception_handler(MicrospotError)
    def explain(_: object, error: MicrospotError) -> Response:
        return refusal(explained(error), STATUS.get(type(error), FAILED))

    return app


def refusal(words: str, status: int) -> Response:
    """An answer whose words the page shows."""
    return JSONResponse({"detail": words}, status)


def _add_close_looks(app: FastAPI, review: Review) -> None:
    """The requests for the face of an event and for its replay."""

    @app.get("/face")
    def face(video: str, event: str) -> Box:
        return review.face(EventKey(video, event))

    @app.get("/replay")
    def replay(video: str, event: str, gain: int = Query(ge=GAINS[0], le=GAINS[1])) -> Response:
        loop = review.replay(EventKey(video, event), gain)
        return (
            Response(status_code=204) if loop is None else Response(loop, media_type="image/webp")
        )

    @app.post("/replay/stop")
    def stop_replay() -> None:
        review.stop_replay()


def new_token() -> str:
    """A token for one run."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def address(port: int, token: str) -> str:
    """What to open in a browser."""
    return f"http://{HOST}:{port}/#{token}"


def serve(application: ASGIApp, listening: socket) -> None:
    """Answer requests until a signal ends the program."""
    config = uvicorn.Config(
        application,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


def with_headers(send: Send) -> Send:
    """`send` with the headers that every answer of a review has."""
    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return sending
