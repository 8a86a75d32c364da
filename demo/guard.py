"""One gate before every route and websocket: Host, Origin, the routes that exist at all, the password.

It stands outside the whole application, so that no route of Gradio's or of ours can be forgotten. Only the few paths
of Gradio that the page needs are let through: its upload, file, proxy and run routes are never reached.
"""

from __future__ import annotations

import asyncio
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Logins
from .limits import Limits

OURS = "/demo/"
LOGIN = "/demo/login"
COOKIE = "microspot"
FORM_BYTES = 4096
REFUSED = 1008  # websocket close code: policy violation
GRADIO_PATHS = ("/", "/config", "/config/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt")
GRADIO_FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/")
GRADIO_API = ("/gradio_api/info", "/gradio_api/startup-events", "/gradio_api/app_id", "/gradio_api/theme.css")
# Gradio builds its components with `new Function` and styles them inline; everything else is ours alone.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' {sockets}; "
    "frame-src 'none'; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",  # with "no-referrer" browsers send "Origin: null" on our own forms
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class Guard:
    """ASGI middleware. `origins` are the origins the page may have; the Host header must be one of theirs."""

    def __init__(
        self, app: ASGIApp, origins: frozenset[str], logins: Logins, limits: Limits, secure: bool = False
    ) -> None:
        self._app, self._origins, self._logins, self._limits, self._secure = app, origins, logins, limits, secure
        self._hosts = {origin.partition("://")[2] for origin in origins}
        sockets = " ".join(sorted(o.replace("http", "ws", 1) for o in origins if "[" not in o))  # CSP knows no IPv6
        self._headers = HEADERS | {b"content-security-policy": POLICY.format(sockets=sockets).encode()}
        self._gate = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, self._with_headers(send))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        allowed = self._known(headers, needs_origin=True) and scope["path"].startswith(OURS) and self._in(headers)
        if allowed:
            await self._app(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": REFUSED, "reason": "not allowed"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        answer: ASGIApp
        if not self._known(headers, needs_origin=method not in ("GET", "HEAD")):
            answer = PlainTextResponse("This address is not one this demo answers to.\n", 403)
        elif path == LOGIN and self._logins.needed:
            answer = await self._login(Request(scope, receive))
        elif not self._in(headers):
            wants_page = method == "GET" and "text/html" in headers.get("accept", "")
            answer = RedirectResponse(LOGIN, 303) if wants_page else PlainTextResponse("Log in first.\n", 401)
        elif not _exists(method, path):
            answer = PlainTextResponse("There is no such page.\n", 404)
        else:
            answer = self._app
        await answer(scope, receive, send)

    def _known(self, headers: Headers, needs_origin: bool) -> bool:
        """A browser that was led here under another name (DNS rebinding) or by another site is turned away."""
        origin = headers.get("origin")
        return headers.get("host", "").lower() in self._hosts and (
            not needs_origin if origin is None else origin.lower() in self._origins
        )

    def _in(self, headers: Headers) -> bool:
        return not self._logins.needed or self._logins.knows(_cookie(headers))

    async def _login(self, request: Request) -> Response:
        page = resources.files(__package__).joinpath("static/login.html").read_text(encoding="utf-8")
        if request.method != "POST":
            return HTMLResponse(page.replace("{message}", ""))
        form = parse_qs(await _body(request))
        async with self._gate:  # one at a time, so that guessing is slow whatever the number of connections
            token = self._logins.enter(form.get("password", [""])[0])
            if token is None:
                await asyncio.sleep(self._limits.logins_every_s)
        if token is None:
            return HTMLResponse(page.replace("{message}", "That is not the password."), 401)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=self._secure)
        return answer

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message.get("headers", []) if name not in self._headers]
                message["headers"] = [*kept, *self._headers.items()]
            await send(message)

        return sending


def _exists(method: str, path: str) -> bool:
    if path.startswith(OURS):
        return True
    return method in ("GET", "HEAD") and (path in GRADIO_PATHS or path in GRADIO_API or path.startswith(GRADIO_FOLDERS))


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


async def _body(request: Request) -> str:
    """The start of a form; what is longer than any password is cut."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > FORM_BYTES:
            break
    return data[:FORM_BYTES].decode("utf-8", "replace")
