"""Analyse: an uploaded video, or a sample, through the same pipeline; its results are files.

The upload comes in pieces over the page's websocket, each asked for (`more`), so that its size is
bounded before it is sent and everything ends with the page. It is opened as every file is (demuxer
whitelist, header checks) and deleted once analysed, unless the page keeps it for a review. Then it
lies with the results, in a folder that is removed when the page goes, or when newer ones need its
room.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket

from microspot.engines.clips import SECOND_NS
from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.records import Frame, SourceRecord, SourceWarning, View, WarningKind
from microspot.realtime.sinks.base import Sink, reason
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sources.open import Source, open_source
from microspot.realtime.sources.options import SourceOptions
from microspot.realtime.sources.video_file import VideoFile

from ..limits import Limits
from . import temporary_folders
from .admission_queue import AdmissionQueue
from .page_session import PageSession
from .pipeline_run import PipelineRun, PipelineSetup
from .results import FILES, Results
from .review import PageReview
from .wire import face_overlay, number

UPLOAD = "upload"
SAMPLE = "sample:synthetic:7"  # for whoever has no video at hand; what moves is known to be there
NAME_LENGTH = 80


class Upload(VideoFile):
    """An uploaded video, which ends with a warning where it becomes longer than allowed.

    That happens to a video whose header does not say how long it is.
    """

    def __iter__(self) -> Iterator[SourceRecord]:
        limit_s = self.options.max_seconds
        for record in super().__iter__():
            if isinstance(record, Frame) and record.captured_ns >= limit_s * SECOND_NS:
                detail = (
                    f"only the first {limit_s:.0f} s were analysed; cut the video to see the rest"
                )
                yield SourceWarning(self.name, WarningKind.LENGTH, detail)
                return
            yield record


class AnalyseSession(PageSession):
    """One video that a page uploads, or the sample."""

    def __init__(
        self,
        socket: WebSocket,
        limits: Limits,
        setup: PipelineSetup,
        admission: AdmissionQueue,
        results: Results,
    ) -> None:
        super().__init__(socket, limits)
        self._setup = setup
        self._admission = admission
        self._results = results
        self._complete = asyncio.Event()  # set when the whole upload is here, or none is needed
        self._folder: Path | None = None  # None until admitted
        self._name = ""  # "" until the page has chosen
        self._size = 0  # bytes of the upload; 0 until it is announced
        self._received = 0  # bytes of it
        self._duration_s = 0.0
        self._failed = False
        self._reviewed = False  # whether the page wants to review the events

    async def serve(self) -> None:
        """Wait to be admitted, take the upload, analyse it, and serve the results."""
        with temporary_folders.folder() as folder:
            with self._admission.ticket() as ticket:
                async for position in ticket:
                    runs = self._admission.places
                    self.send({"type": "queue", "position": position, "runs": runs})
                self._folder = folder
                self.limit_silence(self.limits.idle_s)
                self.send({"type": "ready"})
                await self._complete.wait()
                self.limit_silence(math.inf)
                await self._analyse(folder)
            if not self._failed:
                await self._serve_results(folder)

    async def _serve_results(self, folder: Path) -> None:
        """Serve them until the page goes, or newer results need the room."""
        review = self._review(folder)
        try:
            with self._results.serving(folder, review) as (token, displaced):
                names = [name for name in FILES if (folder / name).is_file()]
                files = {name: f"result/{token}/{name}" for name in names}
                address = None if review is None else f"review/{token}/"
                self.send({"type": "done", "files": files, "review": address})
                await displaced.wait()
        finally:
            if review is not None:
                await review.close()
        raise UsageError("newer results took the place of these: analyse the video again")

    def _review(self, folder: Path) -> PageReview | None:
        """The review of the results; None where the page does not want any."""
        if not self._reviewed:
            return None
        address = str(folder / UPLOAD) if self._size else SAMPLE
        return PageReview(folder, self._name, address, self._setup.settings, self.limits)

    async def _analyse(self, folder: Path) -> None:
        """Run the pipeline; the page is sent everything, also why it failed."""
        upload = folder / UPLOAD
        run = PipelineRun(
            self._setup,
            source=lambda: self._open(upload),
            send=self._forward,
            draw=self._draw,
            sinks=lambda: _sinks(folder),
            names={str(upload): self._name, f"{folder}/": ""},
        )
        try:
            await run.run()
        finally:
            if not self._reviewed:
                upload.unlink(missing_ok=True)

    def _forward(self, message: dict[str, Any]) -> None:
        self._failed |= message["type"] == "error"
        self.send(message)

    def _open(self, upload: Path) -> Source:
        if not self._size:
            sample = open_source(SAMPLE)
            self._duration_s = SourceOptions().synthetic_s
            return sample
        options = SourceOptions(
            max_pixels=self.limits.upload_pixels, max_seconds=self.limits.upload_seconds
        )
        video = Upload(upload, self._name, options)
        self._duration_s = video.duration_s
        return video

    def _draw(self, frame: Frame, views: Sequence[View]) -> dict[str, Any] | None:
        """Every few frames: the share that is done, and the new columns of the timeline."""
        if frame.index % max(1, self.limits.columns // 3):
            return None
        share = None
        if self._duration_s:
            share = min(1.0, frame.captured_ns / SECOND_NS / self._duration_s)
        faces = [face_overlay(view, self.limits.columns) | {"outline": []} for view in views]
        return {
            "type": "frame",
            "index": frame.index,
            "ns": frame.captured_ns,
            "faces": faces,
            "share": share,
        }

    async def receive_text(self, message: dict[str, Any]) -> None:
        """Take `upload` (name, size in bytes) or `sample`.

        With a threshold if not the weights', and with `review` true if events are to be reviewed.
        """
        if message["type"] not in ("upload", "sample"):
            return await super().receive_text(message)
        if self._folder is None or self._name:
            raise UsageError("one video at a time: choose it again")
        self._take_threshold(message)
        self._reviewed = message.get("review") is True
        if message["type"] == "sample":
            self._name = SAMPLE
            self._complete.set()
            return None
        size = int(number(message, "size", 0, float(1 << 53)))
        if not size:
            raise UsageError("the file is empty: choose a video")
        if size > self.limits.upload_bytes:
            most = megabytes(self.limits.upload_bytes)
            raise UsageError(f"the file has {megabytes(size)}: at most {most}; cut it")
        self._name = _shown_name(message.get("name"))
        self._size = size
        return self._ask_for_more()

    def _take_threshold(self, message: dict[str, Any]) -> None:
        if message.get("threshold") is not None:
            threshold = number(message, "threshold", 0, 1)
            settings = self._setup.settings.model_copy(update={"threshold": threshold})
            self._setup = replace(self._setup, settings=settings)

    async def receive_bytes(self, data: bytes) -> None:
        """Take the next piece of the upload."""
        left = self._size - self._received
        if self._folder is None or not 0 < len(data) <= min(left, self.limits.chunk_bytes):
            raise UsageError("the upload went wrong: choose the video again")
        self._received += len(data)
        await asyncio.to_thread(_append, self._folder / UPLOAD, data)
        self._ask_for_more()

    def _ask_for_more(self) -> None:
        """Ask for the next piece, or begin the analysis."""
        if self._received == self._size:
            self._complete.set()
            return
        upto = min(self._size, self._received + self.limits.chunk_bytes)
        share = self._received / self._size
        self.send({"type": "more", "from": self._received, "upto": upto, "share": share})


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
    """A size in bytes, as pages show it."""
    return f"{size / 1e6:.0f} MB"


def _shown_name(name: object) -> str:
    """What the page calls the file, fit to be shown; never used as a path."""
    text = name if isinstance(name, str) else ""
    base = text.replace("\\", "/").rpartition("/")[2]
    printable = "".join(character for character in base if character.isprintable())
    return printable[-NAME_LENGTH:] or "video"
