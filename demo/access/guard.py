"""One gate before every route and websocket.

It checks the Host and Origin headers, the login, and whether the route is one that exists at all.
It stands outside the whole application, so that no route of Gradio's or of ours can be forgotten.
Only the few paths of Gradio that the page needs are let through: its upload, file, proxy and run
routes are never reached. Under a path of a proxy (`--name host/path`) a request may come with that
path or without it; the application behind the gate never sees it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..fragments import fragment
from ..limits import Limits
from .backoff import LoginBackoff, caller
from .binding import Binding
from .logins import Logins

DEMO_PATHS = "/demo/"  # what the paths of this project begin with; all others are Gradio's
REVIEW = "/demo/review/"  # pages within the page, which have a stricter policy of their own
LOGIN = "/demo/login"
LOGOUT = "/demo/logout"
COOKIE = "microspot"
FORM_BYTES = 4096
BUSY_S = 1  # until a caller that found too many passwords waiting should try again
POLICY_VIOLATION = 1008  # websocket close code
POLICY_NAME = b"content-security-policy"
# Headers that anyone may send; nothing behind the gate reads them.
PROXY_HEADERS = (b"x-forwarded", b"x-gradio", b"forwarded")
HTTPS_ONLY = b"max-age=31536000"  # for a year
GRADIO_PATHS = (
    "/",
    "/config",
    "/config/",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    "/robots.txt",
    "/gradio_api/info",
    "/gradio_api/startup-events",
    "/gradio_api/app_id",
    "/gradio_api/theme.css",
)
GRADIO_FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/")
# Gradio builds its components with `new Function` and styles them inline: hence 'unsafe-eval' and
# 'unsafe-inline'.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; connect-src 'self' {sockets}; frame-src 'self'; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = {
    b"x-content-type-options": b"nosniff",
    # With "no-referrer" browsers send "Origin: null" on our own forms.
    b"referrer-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), microphone=(), geolocation=()",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class Guard:
    """ASGI middleware that lets only known callers through.

    The Host header must be one of those by which `binding`, listening on `port`, is called.
    """

    def __init__(
        self, app: ASGIApp, binding: Binding, port: int, logins: Logins, limits: Limits
    ) -> None:
        self._app = app
        self._binding = binding
        self._logins = logins
        self._backoff = LoginBackoff(limits)
        self._origins = binding.origins(port)
        self._hosts = {origin.partition("://")[2] for origin in self._origins}
        self._headers = HEADERS | {POLICY_NAME: _policy(self._origins)}
        if binding.strict:
            self._headers[b"strict-transport-security"] = HTTPS_ONLY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(_without_root(self._binding.root, scope), receive, send)
        elif scope["type"] == "http":
            scope = _without_root(self._binding.root, scope)
            framed = scope["path"].startswith(REVIEW)
            await self._http(scope, receive, self._with_headers(send, framed))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        allowed = (
            self._known(headers, needs_origin=True)
            and scope["path"].startswith(DEMO_PATHS)
            and self._logged_in(headers)
        )
        if allowed:
            await self._while_logged_in(headers, scope, receive, send)
        else:
            await receive()
            await send(_close("not allowed"))

    async def _while_logged_in(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve a websocket until it ends, or the login that it came with does."""
        serving = self._app(_without_proxy_headers(scope), receive, send)
        forgotten = self._logins.forgotten(_cookie(headers))
        if forgotten is None:
            return await serving
        session = asyncio.ensure_future(serving)
        logout = asyncio.create_task(forgotten.wait())
        try:
            await asyncio.wait([session, logout], return_when=asyncio.FIRST_COMPLETED)
            if not session.done():
                await send(_close("logged out"))
            await session
        finally:
            session.cancel()
            logout.cancel()
            await asyncio.gather(session, logout, return_exceptions=True)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        path = scope["path"]
        method = scope["method"]
        answer: ASGIApp
        if not self._known(headers, needs_origin=method not in ("GET", "HEAD")):
            answer = PlainTextResponse("This address is not one this demo answers to.\n", 403)
        elif path == LOGIN and self._logins.needed:
            answer = await self._login(Request(scope, receive))
        elif not self._logged_in(headers):
            wants_page = method == "GET" and "text/html" in headers.get("accept", "")
            answer = PlainTextResponse("Log in first.\n", 401)
            answer = self._redirect(LOGIN) if wants_page else answer
        elif path == LOGOUT and method == "POST" and self._logins.needed:
            answer = self._logout(headers)
        elif not path:  # relative addresses need the path to end like a folder's
            answer = self._redirect("/")
        elif not _exists(method, path):
            answer = PlainTextResponse("There is no such page.\n", 404)
        else:
            answer = self._app
        await answer(_without_proxy_headers(scope), receive, send)

    def _redirect(self, path: str) -> Response:
        return RedirectResponse(self._binding.root + path, 303)

    def _known(self, headers: Headers, needs_origin: bool) -> bool:
        """Whether a request was meant for this page.

        A browser that was led here under another name (DNS rebinding) or by another site is not.
        """
        if headers.get("host", "").lower() not in self._hosts:
            return False
        origin = headers.get("origin")
        if origin is None:
            return not needs_origin
        return origin.lower() in self._origins

    def _logged_in(self, headers: Headers) -> bool:
        return not self._logins.needed or self._logins.knows(_cookie(headers))

    async def _login(self, request: Request) -> Response:
        """Check a password.

        A right one is answered at once; a wrong one when its address has waited, holding up nobody
        else.
        """
        if request.method != "POST":
            return _login_page("")
        who = caller(request.scope, self._binding.behind_proxy)
        given = parse_qs(await _body(request)).get("password", [""])[0]
        # No await until a wrong password is counted: who sends many bodies at once gains nothing.
        wait_s = self._backoff.refused_s(who)
        if wait_s > 0:
            message = (
                f"Too many wrong passwords came from your address: try again in {wait_s:.0f} s."
            )
            return _login_page(message, 429, {"Retry-After": f"{wait_s:.0f}"})
        if self._backoff.busy(who):
            return _login_page("Busy: try again.", 429, {"Retry-After": f"{BUSY_S}"})
        token = self._logins.log_in(given)
        if token is None:
            waited = await self._backoff.wait(self._backoff.count_wrong(who))
            return _login_page("That is not the password.", 401 if waited else 429)
        self._backoff.forget(who)
        answer = self._redirect("/")
        answer.set_cookie(COOKIE, token, **self._cookie_options)
        return answer

    def _logout(self, headers: Headers) -> Response:
        """Forget the login here and in the browser; what is open under it ends."""
        self._logins.log_out(_cookie(headers) or "")
        answer = self._redirect(LOGIN)
        answer.delete_cookie(COOKIE, **self._cookie_options)
        return answer

    @property
    def _cookie_options(self) -> dict[str, Any]:
        """A browser gives the token to this page alone, not to its neighbours on the same host."""
        return {
            "path": self._binding.root or "/",
            "httponly": True,
            "samesite": "strict",
            "secure": self._binding.secure,
        }

    def _with_headers(self, send: Send, framed: bool) -> Send:
        """`send` with our headers; framed: an answer may have a policy of its own."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", [])
                ours = dict(self._headers)
                if framed and POLICY_NAME in dict(given):
                    del ours[POLICY_NAME]
                kept = [pair for pair in given if pair[0] not in ours]
                message["headers"] = [*kept, *ours.items()]
            await send(message)

        return sending


def _policy(origins: frozenset[str]) -> bytes:
    """The content security policy of a page with these origins, whose websockets it may open."""
    # Policies have no form for IPv6 addresses.
    names = [origin for origin in origins if "[" not in origin]
    sockets = sorted(origin.replace("http", "ws", 1) for origin in names)
    return POLICY.format(sockets=" ".join(sockets)).encode()


def _close(reason: str) -> Message:
    return {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason}


def _exists(method: str, path: str) -> bool:
    if path.startswith(DEMO_PATHS):
        return True
    known = path in GRADIO_PATHS or path.startswith(GRADIO_FOLDERS)
    return known and method in ("GET", "HEAD")


def _cookie(headers: Headers) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


async def _body(request: Request) -> str:
    """The start of a form.

    What is longer than any password is cut; of a sender that left, what came until then.
    """
    data = b""
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            data += chunk
            if len(data) > FORM_BYTES:
                break
    return data[:FORM_BYTES].decode("utf-8", "replace")


def _login_page(message: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The page that asks for the password."""
    return HTMLResponse(fragment("login").replace("{message}", message), status, headers)


def _without_root(root: str, scope: Scope) -> Scope:
    """A request as it would come without the proxy's path `root`, if it came with it.

    The path becomes "" for `root` itself without a slash at its end.
    """
    path = scope["path"]
    if not root or not (path == root or path.startswith(root + "/")):
        return scope
    path = path[len(root) :]
    return dict(scope) | {"path": path, "raw_path": quote(path).encode()}


def _without_proxy_headers(scope: Scope) -> Scope:
    """A request without the headers that only the gate may believe."""
    kept = [pair for pair in scope["headers"] if not pair[0].lower().startswith(PROXY_HEADERS)]
    return dict(scope) | {"headers": kept}
