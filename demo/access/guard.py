"""One gate before every route and websocket: Host, Origin, the routes that exist at all, the password.

It stands outside the whole application, so that no route of Gradio's or of ours can be forgotten. Only the few paths
of Gradio that the page needs are let through: its upload, file, proxy and run routes are never reached. Under a path
of a proxy (`--name host/path`) a request may come with that path or without it; what is behind the gate never sees it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..limits import Limits
from .backoff import Backoff, caller
from .binding import Binding
from .logins import Logins

OURS = "/demo/"
LOGIN = "/demo/login"
LOGOUT = "/demo/logout"
COOKIE = "microspot"
FORM_BYTES = 4096
BUSY_S = 1  # until one who came while too many guessed should try again
REFUSED = 1008  # websocket close code: policy violation
PROXYS = (
    b"x-forwarded",
    b"x-gradio",
    b"forwarded",
)  # headers that anyone may send; nothing behind the gate reads them
STRICT = b"max-age=31536000"  # a year by https alone
GRADIO_PATHS = (
    "/",
    "/config",
    "/config/",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    "/robots.txt",
)
GRADIO_FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/")
GRADIO_API = (
    "/gradio_api/info",
    "/gradio_api/startup-events",
    "/gradio_api/app_id",
    "/gradio_api/theme.css",
)
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
    """ASGI middleware. The Host header must be one of those that `binding`, listening on `port`, is called by."""

    def __init__(
        self, app: ASGIApp, binding: Binding, port: int, logins: Logins, limits: Limits
    ) -> None:
        self._app, self._binding, self._logins = app, binding, logins
        self._origins, self._backoff = binding.origins(port), Backoff(limits)
        self._hosts = {origin.partition("://")[2] for origin in self._origins}
        sockets = " ".join(
            sorted(o.replace("http", "ws", 1) for o in self._origins if "[" not in o)
        )  # CSP: no IPv6
        self._headers = HEADERS | {
            b"content-security-policy": POLICY.format(sockets=sockets).encode()
        }
        if binding.strict:
            self._headers[b"strict-transport-security"] = STRICT

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(_under(self._binding.root, scope), receive, send)
        elif scope["type"] == "http":
            await self._http(_under(self._binding.root, scope), receive, self._with_headers(send))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        allowed = (
            self._known(headers, needs_origin=True)
            and scope["path"].startswith(OURS)
            and self._in(headers)
        )
        if allowed:
            await self._while_logged_in(headers, scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": REFUSED, "reason": "not allowed"})

    async def _while_logged_in(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """A websocket ends with the login that it came with."""
        visit = self._app(_without_proxys(scope), receive, send)
        if (gone := self._logins.gone(_cookie(headers))) is None:
            return await visit
        parts = [asyncio.ensure_future(visit), asyncio.create_task(gone.wait())]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            if not parts[0].done():
                await send({"type": "websocket.close", "code": REFUSED, "reason": "logged out"})
            await parts[0]
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        answer: ASGIApp
        if not self._known(headers, needs_origin=method not in ("GET", "HEAD")):
            answer = PlainTextResponse("This address is not one this demo answers to.\n", 403)
        elif path == LOGIN and self._logins.needed:
            answer = await self._login(Request(scope, receive))
        elif not self._in(headers):
            wants_page = method == "GET" and "text/html" in headers.get("accept", "")
            answer = self._to(LOGIN) if wants_page else PlainTextResponse("Log in first.\n", 401)
        elif path == LOGOUT and method == "POST" and self._logins.needed:
            answer = self._logout(headers)
        elif not path:  # relative addresses need the path to end like a folder's
            answer = self._to("/")
        elif not _exists(method, path):
            answer = PlainTextResponse("There is no such page.\n", 404)
        else:
            answer = self._app
        await answer(_without_proxys(scope), receive, send)

    def _to(self, path: str) -> Response:
        return RedirectResponse(self._binding.root + path, 303)

    def _known(self, headers: Headers, needs_origin: bool) -> bool:
        """A browser that was led here under another name (DNS rebinding) or by another site is turned away."""
        origin = headers.get("origin")
        return headers.get("host", "").lower() in self._hosts and (
            not needs_origin if origin is None else origin.lower() in self._origins
        )

    def _in(self, headers: Headers) -> bool:
        return not self._logins.needed or self._logins.knows(_cookie(headers))

    async def _login(self, request: Request) -> Response:
        """A right password is answered at once; a wrong one when its address has waited, holding up nobody else."""
        if request.method != "POST":
            return _asking("")
        who = caller(request.scope, self._binding.behind_proxy)
        given = parse_qs(await _body(request)).get("password", [""])[0]
        # No await until a wrong one is noted: who sends many bodies at once gains nothing.
        if (wait_s := self._backoff.refused_s(who)) > 0:
            words = f"Too many wrong passwords came from your address: try again in {wait_s:.0f} s."
            return _asking(words, 429, {"Retry-After": f"{wait_s:.0f}"})
        if self._backoff.busy(who):
            return _asking("Busy: try again.", 429, {"Retry-After": f"{BUSY_S}"})
        token = self._logins.enter(given)
        if token is None:
            waited = await self._backoff.wait(self._backoff.wrong(who))
            return _asking("That is not the password.", 401 if waited else 429)
        self._backoff.right(who)
        answer = self._to("/")
        answer.set_cookie(COOKIE, token, **self._cookies)
        return answer

    def _logout(self, headers: Headers) -> Response:
        """The login is forgotten here and in the browser, and what is open under it ends."""
        self._logins.leave(_cookie(headers) or "")
        answer = self._to(LOGIN)
        answer.delete_cookie(COOKIE, **self._cookies)
        return answer

    @property
    def _cookies(self) -> dict[str, Any]:
        """Of whom a browser gives the token to: this page alone, not its neighbours on the same host."""
        path, secure = self._binding.root or "/", self._binding.secure
        return {"path": path, "httponly": True, "samesite": "strict", "secure": secure}

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [
                    (name, value)
                    for name, value in message.get("headers", [])
                    if name not in self._headers
                ]
                message["headers"] = [*kept, *self._headers.items()]
            await send(message)

        return sending


def _exists(method: str, path: str) -> bool:
    if path.startswith(OURS):
        return True
    return method in ("GET", "HEAD") and (
        path in GRADIO_PATHS or path in GRADIO_API or path.startswith(GRADIO_FOLDERS)
    )


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


async def _body(request: Request) -> str:
    """The start of a form; what is longer than any password is cut, and one whose sender left is what came of it."""
    data = b""
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            data += chunk
            if len(data) > FORM_BYTES:
                break
    return data[:FORM_BYTES].decode("utf-8", "replace")


def _asking(words: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The page that asks for the password."""
    page = (
        resources.files("microspot.demo").joinpath("static/login.html").read_text(encoding="utf-8")
    )
    return HTMLResponse(page.replace("{message}", words), status, headers)


def _under(root: str, scope: Scope) -> Scope:
    """A request as it would come without a proxy's path, if it came with it; "" for that path without its end."""
    path = scope["path"]
    if not root or not (path == root or path.startswith(root + "/")):
        return scope
    path = path[len(root) :]
    return dict(scope) | {"path": path, "raw_path": quote(path).encode()}


def _without_proxys(scope: Scope) -> Scope:
    """A request without what only the gate may believe."""
    kept = [
        (name, value) for name, value in scope["headers"] if not name.lower().startswith(PROXYS)
    ]
    return dict(scope) | {"headers": kept}
