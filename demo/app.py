"""The application: routes, the page, the guard before them.

Work that starts and ends with the server stands here too.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import resources
from pathlib import Path

from fastapi import FastAPI, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from microspot.realtime.errors import MicrospotError

from .access.binding import Binding
from .access.guard import REVIEW, Guard
from .access.logins import Logins
from .fragments import fragment
from .limits import Limits
from .views.admission_queue import AdmissionQueue
from .views.analyse import AnalyseSession
from .views.camera import CameraSession, Channel
from .views.live import LiveSession
from .views.pipeline_run import LOG, PipelineSetup
from .views.results import Results
from .views.temporary_folders import sweep

STATIC = Path(str(resources.files(__package__) / "static"))


def build(
    setup: PipelineSetup,
    sources: Sequence[str],
    binding: Binding,
    port: int,
    *,
    limits: Limits | None = None,
    page: bool = True,
) -> ASGIApp:
    """The whole demo behind its guard, listening on `port`.

    page=False leaves Gradio out (its import takes seconds): for tests.
    Raises UsageError for a source whose address makes no sense.
    """
    limits = limits or Limits()
    admission = AdmissionQueue(limits.runs, limits.waiting)
    channels: list[Channel] = []
    for uri in sources:
        names = {channel.name for channel in channels}
        channels.append(Channel(uri, limits, setup, admission, names))
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(setup, channels),
    )
    _add_routes(app, setup, channels, admission, limits)
    app.mount("/demo/static", StaticFiles(directory=STATIC), name="demo static")
    if page:
        from .pages import mount

        app = mount(app, [channel.name for channel in channels], setup, binding, limits)
    return Guard(app, binding, port, Logins(binding.password, limits), limits)


def _lifespan(
    setup: PipelineSetup, channels: Sequence[Channel]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(sweep)
        threading.Thread(target=_warm_up, args=[setup], name="demo warm-up", daemon=True).start()
        yield
        await asyncio.gather(*(channel.close() for channel in channels))

    return lifespan


def _warm_up(setup: PipelineSetup) -> None:
    try:
        setup.warm_up()
    except MicrospotError as error:  # every page that starts a run is told the same
        LOG.warning("%s", error)


def _add_routes(
    app: FastAPI,
    setup: PipelineSetup,
    channels: Sequence[Channel],
    admission: AdmissionQueue,
    limits: Limits,
) -> None:
    results = Results(limits.results)

    @app.websocket("/demo/live")
    async def live(socket: WebSocket) -> None:
        await LiveSession(socket, limits, setup, admission).run()

    @app.websocket("/demo/camera")
    async def camera(socket: WebSocket) -> None:
        await CameraSession(socket, limits, channels).run()

    @app.websocket("/demo/analyse")
    async def analyse(socket: WebSocket) -> None:
        await AnalyseSession(socket, limits, setup, admission, results).run()

    @app.get("/demo/overlay")
    async def overlay() -> Response:
        return HTMLResponse(fragment("overlay"))

    @app.get("/demo/result/{token}/{name}")
    async def result(token: str, name: str) -> Response:
        path = results.find(token, name)
        if path is None:
            return PlainTextResponse("This result is gone.\n", 404)
        return FileResponse(path)

    app.mount(f"{REVIEW}{{token}}", results.answer_review, name="demo review")

    @app.get("/demo/model-card")
    async def model_card() -> Response:
        card = resources.files("microspot.engines") / "weights" / "MODEL_CARD.md"
        return PlainTextResponse(card.read_text(encoding="utf-8"))
