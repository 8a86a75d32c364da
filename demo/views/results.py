"""What pages are given of their analysed videos: files, and a review of the events."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import Receive, Scope, Send

from microspot.realtime.review.server import refusal

from .review import EVENT_FILES, PageReview

FILES = ("overlay.mp4", *EVENT_FILES)
TOKEN_BYTES = 24
GONE = "these results are gone: analyse the video again"


@dataclass(frozen=True)
class _Served:
    """Results that are served; displaced: set when they must make room."""

    folder: Path
    review: PageReview | None
    displaced: asyncio.Event = field(default_factory=asyncio.Event)


class Results:
    """Folders of results by a token that cannot be guessed; the oldest make room for the newest."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._served: dict[str, _Served] = {}

    @contextmanager
    def serving(
        self, folder: Path, review: PageReview | None = None
    ) -> Iterator[tuple[str, asyncio.Event]]:
        """Serve the files of `folder`, and a review, for the body of a with statement.

        Gives their token, and an event that is set when they must make room.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        while len(self._served) >= self._kept:
            self._served.pop(next(iter(self._served))).displaced.set()
        served = _Served(folder, review)
        self._served[token] = served
        try:
            yield token, served.displaced
        finally:
            self._served.pop(token, None)

    def find(self, token: str, name: str) -> Path | None:
        """The path of a result; None where there is none."""
        if token not in self._served or name not in FILES:
            return None
        path = self._served[token].folder / name
        return path if path.is_file() else None

    async def answer_review(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: a request below /demo/review/{token}, for the review of that token."""
        if scope["type"] != "http":  # no websocket is there
            await send({"type": "websocket.close"})
            return
        served = self._served.get(scope["path_params"]["token"])
        if served is None or served.review is None:
            await refusal(GONE, 404)(scope, receive, send)
        else:
            await served.review(scope, receive, send)
