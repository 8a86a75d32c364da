"""The review of one analysed video, on the page: that of `microspot review`, its handlers and all.

It stands below a path that has the token of the results, behind the guard of the whole page.
Decisions lie in the folder of the results and go with it. What one page may ask for at a time, and
how much it may leave on the disk, is bounded here, since visitors are strangers.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError, MicrospotError
from microspot.realtime.review.export import export
from microspot.realtime.review.frames import Frames
from microspot.realtime.review.page import build_page
from microspot.realtime.review.results import RECORDS, NotThereError, VideoResults, read_video
from microspot.realtime.review.server import FAILED, answering, refusal, with_headers
from microspot.realtime.review.session import Review
from microspot.realtime.review.store import FILE, Store

from ..limits import Limits

CODER = "visitor"  # whose decisions they are; nobody else's are there
EVENT_FILES = (
    "events.csv",
    "events.jsonl",
    "events.eaf",
    "report.html",
)  # of all or of those accepted
CLOSED = "this review has ended: analyse the video again"
TOO_LONG = "that is too long to be kept"
FULL = "this review has as many changes as are kept: take its files and analyse the video again"


class PageReview:
    """ASGI: the review of the results in `folder`, opened by the first request.

    name: of the video; address: where it lies, as `open_source` takes it; settings: of its
    analysis.
    """

    def __init__(
        self, folder: Path, name: str, address: str, settings: Settings, limits: Limits
    ) -> None:
        self._folder = folder
        self._name = name
        self._address = address
        self._settings = settings
        self._limits = limits
        self._places = asyncio.Semaphore(limits.review_requests)
        self._opening = asyncio.Lock()
        self._application: ASGIApp | None = None
        self._review: Review | None = None
        self._open = ExitStack()
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, when few others are being answered."""
        async with self._places:
            answer = await self._answer(scope)
            await answer(scope, receive, in_pieces(with_headers(send), self._limits.piece_bytes))

    async def close(self) -> None:
        """End the review, when what is being answered has been."""
        self._closed = True
        if self._review is not None:
            self._review.stop_replay()
        for _ in range(self._limits.review_requests):
            await self._places.acquire()
        await asyncio.to_thread(self._open.close)
        for _ in range(self._limits.review_requests):
            self._places.release()  # who still waits is told

    async def _answer(self, scope: Scope) -> ASGIApp:
        """What answers a request."""
        if self._closed:
            return refusal(CLOSED, 404)
        if scope["method"] == "POST":
            headers = Headers(scope=scope)
            length = headers.get("content-length", "")
            unknown = "transfer-encoding" in headers or not length.isdecimal()
            if unknown or int(length) > self._limits.review_body_bytes:
                return refusal(TOO_LONG, 413)
            if self._kept_bytes() > self._limits.review_bytes:
                return refusal(FULL, FAILED)
        async with self._opening:
            if self._application is None:
                try:
                    self._application = await asyncio.to_thread(self._opened)
                except MicrospotError as error:
                    return refusal(self._explained(error), FAILED)
        return self._application

    def _kept_bytes(self) -> int:
        """Bytes of the decisions on the disk."""
        return sum(path.stat().st_size for path in self._folder.glob(f"{FILE}*"))

    def _opened(self) -> FastAPI:
        """The review's application. Raises DataError where nothing can be written."""
        video = self._video()
        with ExitStack() as opened:
            store = opened.enter_context(Store(self._folder / FILE, CODER))
            frames = opened.enter_context(Frames([video], {video.folder: self._address}))
            review = Review([video], store, frames)
            opened.enter_context(closing(review))
            self._open = opened.pop_all()
        self._review = review
        application = answering(review, build_page(framed=True), self._explained)

        @application.get("/accepted/{name}")
        def accepted(name: str) -> Response:
            return Response(self._accepted(video, store, name))

        return application

    def _video(self) -> VideoResults:
        try:
            return read_video(
                self._folder / RECORDS, self._name, self._address, settings=self._settings
            )
        except (OSError, ValueError, KeyError) as error:
            raise DataError(CLOSED) from error

    def _accepted(self, video: VideoResults, store: Store, name: str) -> bytes:
        """A file of the events that were accepted, as they were left."""
        if name not in EVENT_FILES:
            raise NotThereError(name)
        with TemporaryDirectory(dir=self._folder) as made:
            path = Path(made) / name
            export([video], store.decisions(), CODER, [str(path)], {video.folder: ""})
            return path.read_bytes()

    def _explained(self, error: MicrospotError) -> str:
        """What the page is told, without paths of this machine."""
        words = str(error).replace(self._address, self._name)
        return words.replace(f"{self._folder}/", "")


def in_pieces(send: Send, size: int) -> Send:
    """`send` with bodies of `size` bytes at most, each of which waits until the client has read.

    A long one at once would be kept by the server however slowly it is read.
    """

    async def sending(message: Message) -> None:
        body = message.get("body", b"")
        while len(body) > size:
            await send({**message, "body": body[:size], "more_body": True})
            body = body[size:]
        await send({**message, "body": body} if "body" in message else message)

    return sending
