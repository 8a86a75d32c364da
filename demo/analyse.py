"""Analyse: an uploaded video through the same pipeline, its results as files for as long as the page stays open.

The upload comes in pieces over the page's websocket, each asked for (`more`), so that its size is bounded before it is
sent and everything ends with the page. It is opened as every file is (demuxer whitelist, header checks) and deleted
once analysed; the results live in a folder that goes when the page goes.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket

from realtime.errors import UsageError
from realtime.media import VideoFile
from realtime.records import Frame, View
from realtime.sinks import Sink, open_sink
from realtime.sources import SourceOptions

from .limits import Limits
from .runs import Kit, Run
from .seats import Seats
from .visit import Visit
from .wire import number, sight

FILES = ("overlay.mp4", "events.csv", "events.jsonl", "events.eaf", "report.html")
UPLOAD = "upload"
NAME_LENGTH = 80


class Results:
    """Folders of results by a token that cannot be guessed."""

    def __init__(self) -> None:
        self._folders: dict[str, Path] = {}

    def add(self, folder: Path) -> str:
        """Serve the files of `folder`; returns its token."""
        token = secrets.token_urlsafe(24)
        self._folders[token] = folder
        return token

    def remove(self, token: str) -> None:
        """Serve it no longer."""
        self._folders.pop(token, None)

    def find(self, token: str, name: str) -> Path | None:
        """The path of a result; None where there is none."""
        folder = self._folders.get(token)
        path = folder / name if folder is not None and name in FILES else None
        return path if path is not None and path.is_file() else None


class AnalyseVisit(Visit):
    """One page that uploads one video."""

    def __init__(self, socket: WebSocket, limits: Limits, kit: Kit, seats: Seats, results: Results) -> None:
        super().__init__(socket, limits)
        self._kit, self._seats, self._results = kit, seats, results
        self._arrived = asyncio.Event()
        self._folder: Path | None = None  # None: nothing is waited for
        self._name, self._size, self._got = "", 0, 0
        self._duration_s = 0.0

    async def sit(self) -> None:
        with tempfile.TemporaryDirectory(prefix="microspot-") as folder:
            with self._seats.ticket() as ticket:
                async for position in ticket:
                    self.tell({"type": "queue", "position": position, "runs": self._seats.seats})
                self._folder = Path(folder)
                self.expect(self.limits.idle_s)
                self.tell({"type": "ready"})
                await self._arrived.wait()
                self.expect(math.inf)
                failed = await self._analyse(Path(folder))
            if not failed:
                await self._serve(Path(folder))

    async def _serve(self, folder: Path) -> None:
        """Until the page goes."""
        token = self._results.add(folder)
        files = [name for name in FILES if (folder / name).is_file()]
        self.tell({"type": "done", "files": {name: f"/demo/result/{token}/{name}" for name in files}})
        try:
            await asyncio.Event().wait()
        finally:
            self._results.remove(token)

    async def _analyse(self, folder: Path) -> bool:
        """Whether it failed; the page has been told why."""
        over, failed, upload = asyncio.Event(), False, folder / UPLOAD

        def told(message: dict[str, Any]) -> None:
            nonlocal failed
            if message["type"] in ("error", "note"):
                message = message | {"message": message["message"].replace(str(upload), self._name)}
            failed |= message["type"] == "error"
            if message["type"] == "over":
                over.set()
            else:
                self.tell(message)

        run = Run(
            self._kit,
            source=lambda: self._video(upload),
            tell=lambda message: self.soon(told, message),
            show=self._show,
            sinks=lambda: _sinks(folder),
            seconds=self.limits.upload_seconds,
        )
        try:
            await run.until(over)
        finally:
            upload.unlink(missing_ok=True)
        return failed

    def _video(self, upload: Path) -> VideoFile:
        options = SourceOptions(max_pixels=self.limits.upload_pixels, max_seconds=self.limits.upload_seconds)
        video = VideoFile(upload, self._name, options)
        self._duration_s = video.duration_s
        return video

    def _show(self, frame: Frame, views: Sequence[View]) -> None:
        """From the run's thread: how far it is, and the new columns of the timeline."""
        if frame.index % max(1, self.limits.columns // 3):
            return
        share = min(1.0, frame.captured_ns / 1e9 / self._duration_s) if self._duration_s else None
        faces = [sight(view, self.limits.columns) | {"outline": []} for view in views]
        message = {"type": "frame", "index": frame.index, "ns": frame.captured_ns, "faces": faces, "share": share}
        self.soon(self.tell, message)

    async def hear_text(self, message: dict[str, Any]) -> None:
        """`upload`: name, size in bytes, and the threshold if not the weights' own."""
        if message["type"] != "upload":
            return await super().hear_text(message)
        if self._folder is None or self._size:
            raise UsageError("one video at a time: choose it again")
        if not number(message, "size", 0, float(1 << 53)):
            raise UsageError("the file is empty: choose a video")
        if message["size"] > self.limits.upload_bytes:
            raise UsageError(
                f"the file has {message['size'] / 1e6:.0f} MB: at most {self.limits.upload_bytes / 1e6:.0f} MB; cut it"
            )
        if message.get("threshold") is not None:
            settings = self._kit.settings.model_copy(update={"threshold": number(message, "threshold", 0, 1)})
            self._kit = replace(self._kit, settings=settings)
        self._name, self._size = _label(message.get("name")), int(message["size"])
        return self._ask()

    async def hear_bytes(self, data: bytes) -> None:
        left = self._size - self._got
        if self._folder is None or not 0 < len(data) <= min(left, self.limits.chunk_bytes):
            raise UsageError("the upload went wrong: choose the video again")
        self._got += len(data)
        await asyncio.to_thread(_append, self._folder / UPLOAD, data)
        self._ask()

    def _ask(self) -> None:
        """Ask for the next piece, or begin."""
        if self._got < self._size:
            upto = min(self._size, self._got + self.limits.chunk_bytes)
            self.tell({"type": "more", "from": self._got, "upto": upto, "share": self._got / self._size})
        else:
            self._arrived.set()


def _sinks(folder: Path) -> list[Sink]:
    return [open_sink(str(folder / name)) for name in FILES]


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _label(name: object) -> str:
    """What the page calls the file, fit to be shown; never used as a path."""
    text = name if isinstance(name, str) else ""
    text = "".join(c for c in text.replace("\\", "/").rpartition("/")[2] if c.isprintable())
    return text[-NAME_LENGTH:] or "video"
