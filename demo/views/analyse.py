"""Analyse: an uploaded video through the same pipeline, its results as files for as long as the page stays open.

The upload comes in pieces over the page's websocket, each asked for (`more`), so that its size is
bounded before it is sent and everything ends with the page. It is opened as every file is (demuxer
whitelist, header checks) and deleted once analysed; the results live in a folder that goes when the
page goes, or when newer ones need its room.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket

from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.records import (
    Frame,
    SourceRecord,
    SourceWarning,
    View,
    WarningKind,
)
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sinks.base import reason
from microspot.realtime.sources.options import NS, SourceOptions
from microspot.realtime.sources.video_file import VideoFile

from ..limits import Limits
from . import temporary_folders
from .admission_queue import AdmissionQueue
from .page_session import PageSession
from .pipeline_run import PipelineRun, PipelineSetup
from .wire import number, face_overlay

FILES = ("overlay.mp4", "events.csv", "events.jsonl", "events.eaf", "report.html")
UPLOAD = "upload"
NAME_LENGTH = 80


class Results:
    """Folders of results by a token that cannot be guessed; the oldest make room for the newest."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._folders: dict[str, tuple[Path, asyncio.Event]] = {}

    @contextmanager
    def serving(self, folder: Path) -> Iterator[tuple[str, asyncio.Event]]:
        """Serve the files of `folder` for the body of a with statement: its token, and what is set when it must go."""
        token, displaced = secrets.token_urlsafe(24), asyncio.Event()
        while len(self._folders) >= self._kept:
            _, oldest = self._folders.pop(next(iter(self._folders)))
            oldest.set()
        self._folders[token] = folder, displaced
        try:
            yield token, displaced
        finally:
            self._folders.pop(token, None)

    def find(self, token: str, name: str) -> Path | None:
        """The path of a result; None where there is none."""
        if token not in self._folders or name not in FILES:
            return None
        path = self._folders[token][0] / name
        return path if path.is_file() else None


class Upload(VideoFile):
    """An uploaded video; one whose header does not say how long it is ends, with a word, where it becomes too long."""

    def __iter__(self) -> Iterator[SourceRecord]:
        for record in super().__iter__():
            if isinstance(record, Frame) and record.captured_ns >= self.options.max_seconds * NS:
                words = f"only the first {self.options.max_seconds:.0f} s were analysed; cut the video to see the rest"
                yield SourceWarning(self.name, WarningKind.LENGTH, words)
                return
            yield record


class AnalyseSession(PageSession):
    """One page that uploads one video."""

    def __init__(
        self,
        socket: WebSocket,
        limits: Limits,
        setup: PipelineSetup,
        admission: AdmissionQueue,
        results: Results,
    ) -> None:
        super().__init__(socket, limits)
        self._setup, self._admission, self._results = setup, admission, results
        self._arrived = asyncio.Event()
        self._folder: Path | None = None  # None: nothing is waited for
        self._name, self._size, self._got = "", 0, 0
        self._duration_s = 0.0
        self._failed = False

    async def serve(self) -> None:
        with temporary_folders.folder() as folder:
            with self._admission.ticket() as ticket:
                async for position in ticket:
                    self.send(
                        {"type": "queue", "position": position, "runs": self._admission.places}
                    )
                self._folder = folder
                self.limit_silence(self.limits.idle_s)
                self.send({"type": "ready"})
                await self._arrived.wait()
                self.limit_silence(math.inf)
                await self._analyse(folder)
            if not self._failed:
                await self._serve(folder)

    async def _serve(self, folder: Path) -> None:
        """Until the page goes, or newer results need the room."""
        with self._results.serving(folder) as (token, displaced):
            files = [name for name in FILES if (folder / name).is_file()]
            self.send({"type": "done", "files": {name: f"result/{token}/{name}" for name in files}})
            await displaced.wait()
        raise UsageError("newer results took the place of these: analyse the video again")

    async def _analyse(self, folder: Path) -> None:
        """The page is told everything, also why it failed."""
        upload = folder / UPLOAD
        run = PipelineRun(
            self._setup,
            source=lambda: self._video(upload),
            send=self._found,
            draw=self._draw,
            sinks=lambda: _sinks(folder),
            names={str(upload): self._name, f"{folder}/": ""},
        )
        try:
            await run.run()
        finally:
            upload.unlink(missing_ok=True)

    def _found(self, message: dict[str, Any]) -> None:
        self._failed |= message["type"] == "error"
        self.send(message)

    def _video(self, upload: Path) -> Upload:
        options = SourceOptions(
            max_pixels=self.limits.upload_pixels, max_seconds=self.limits.upload_seconds
        )
        video = Upload(upload, self._name, options)
        self._duration_s = video.duration_s
        return video

    def _draw(self, frame: Frame, views: Sequence[View]) -> dict[str, Any] | None:
        """Now and then how far it is, and the new columns of the timeline."""
        if frame.index % max(1, self.limits.columns // 3):
            return None
        share = min(1.0, frame.captured_ns / NS / self._duration_s) if self._duration_s else None
        faces = [face_overlay(view, self.limits.columns) | {"outline": []} for view in views]
        return {
            "type": "frame",
            "index": frame.index,
            "ns": frame.captured_ns,
            "faces": faces,
            "share": share,
        }

    async def receive_text(self, message: dict[str, Any]) -> None:
        """`upload`: name, size in bytes, and the threshold if not the weights' own."""
        if message["type"] != "upload":
            return await super().receive_text(message)
        if self._folder is None or self._size:
            raise UsageError("one video at a time: choose it again")
        size = int(number(message, "size", 0, float(1 << 53)))
        if not size:
            raise UsageError("the file is empty: choose a video")
        if size > self.limits.upload_bytes:
            raise UsageError(
                f"the file has {megabytes(size)}: at most {megabytes(self.limits.upload_bytes)}; cut it"
            )
        if message.get("threshold") is not None:
            settings = self._setup.settings.model_copy(
                update={"threshold": number(message, "threshold", 0, 1)}
            )
            self._setup = replace(self._setup, settings=settings)
        self._name, self._size = _label(message.get("name")), size
        return self._ask()

    async def receive_bytes(self, data: bytes) -> None:
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
            self.send(
                {"type": "more", "from": self._got, "upto": upto, "share": self._got / self._size}
            )
        else:
            self._arrived.set()


def _sinks(folder: Path) -> list[Sink]:
    return [open_sink(str(folder / name)) for name in FILES]


def _append(path: Path, data: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(data)
    except OSError as error:
        raise DataError(
            f"the server cannot keep the video ({reason(error)}): try again later"
        ) from error


def megabytes(size: int) -> str:
    """A size in bytes, as pages say it."""
    return f"{size / 1e6:.0f} MB"


def _label(name: object) -> str:
    """What the page calls the file, fit to be shown; never used as a path."""
    text = name if isinstance(name, str) else ""
    text = "".join(c for c in text.replace("\\", "/").rpartition("/")[2] if c.isprintable())
    return text[-NAME_LENGTH:] or "video"
