"""CameraGroup: a few cameras beside each other, with all that `watch` does for them. Knows no Ray.

    capture -> alignment -> sessions -> sinks     the pipeline of `microspot watch`, below `follow`

Under Ray it is an actor. It comes up without cameras and is given them by `change`, so that one
that was started again never watches a camera that has meanwhile been taken out of the file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from microspot.engines.runtime.engine import EngineSet

from ..config import Settings
from ..errors import SourceError, UsageError
from ..meter import Figures
from ..pipeline import MakeAligner, mediapipe_aligner
from ..sinks.base import JsonRecord, Sink
from ..sources.open import Source, UnopenedSource, open_among_others
from ..watch import follow
from .changing_pipeline import ChangingPipeline
from .cluster import CameraWanted
from .settings import SupervisorSettings

LoadEngines = Callable[[], EngineSet]
OpenSinks = Callable[[], list[Sink]]


@dataclass(frozen=True)
class GroupReport:
    """What a group says of itself.

    place: where it runs, as it was told; epoch_ns: UTC at which its process began; number: of the
    last change that it took, 0 for none; cameras: as asked by it; held: names of cameras that it
    has not let go of; failure: why it no longer runs, "" while it does; closed: whether it was
    ended in order; ended: sources that came to an end, with the error that ended them or "";
    silent_s: how long ago the last round of its pipeline began, None before the first.
    """

    place: str
    epoch_ns: int
    number: int
    cameras: tuple[CameraWanted, ...]
    held: tuple[str, ...]
    failure: str
    closed: bool
    ended: dict[str, str]
    figures: Figures
    silent_s: float | None


class EndsSink(Sink):
    """Keeps which sources have ended, by name, with the error that ended them or ""."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}

    def write(self, record: JsonRecord) -> None:
        """Note the end of a source; one that is connected again has not ended."""
        if record["type"] == "end":
            self.ended[record["source"]] = record.get("error", "")
        elif record["type"] == "state":
            self.ended.pop(record["source"], None)


class CameraGroup:
    """Runs cameras in one pipeline, in a thread, from its making until `close`.

    place: where it runs, for its reports; load: gives the engines; open_sinks: where events go;
    aligner: makes the aligner of each camera; patience_s: how long a round may take, for example in
    a sink that blocks, before the group says that it failed.
    Methods may be called from one thread at a time. Raises what loading and opening sinks raise.
    """

    def __init__(
        self,
        place: str,
        load: LoadEngines,
        open_sinks: OpenSinks,
        settings: Settings,
        aligner: MakeAligner = mediapipe_aligner,
        patience_s: float = SupervisorSettings().patience_s,
    ) -> None:
        self._place = place
        self._epoch_ns = time.time_ns()
        self._number = 0
        self._cameras: tuple[CameraWanted, ...] = ()
        self._failure = ""
        self._patience_s = patience_s
        self._closed = False
        self._ends = EndsSink()
        engines = load()
        try:
            self._pipeline = ChangingPipeline(engines, settings, aligner=aligner)
            sinks = open_sinks()
        except BaseException:
            engines.close()
            raise
        self._thread = threading.Thread(
            target=self._run, args=(engines, [*sinks, self._ends]), name="cameras", daemon=True
        )
        self._thread.start()

    def change(self, cameras: Sequence[CameraWanted], number: int) -> None:
        """Have these cameras from now on: those that stay as they are are not disturbed.

        number: of this change, which reports give from now on.
        """
        before = set(self._cameras)
        after = set(cameras)
        self._cameras = tuple(cameras)
        self._number = number
        leave = {camera.name for camera in before - after}
        join = [_opened(camera) for camera in cameras if camera not in before]
        if join or leave:
            self._pipeline.change(join, leave)

    def report(self) -> GroupReport:
        """How the group stands now."""
        names = {camera.name for camera in self._cameras}
        began_s = self._pipeline.round_s
        silent_s = None if began_s is None else time.monotonic() - began_s
        stands = not self._closed and silent_s is not None and silent_s >= self._patience_s
        still = f"it has stood still for {self._patience_s:g} s" if stands else ""
        return GroupReport(
            place=self._place,
            epoch_ns=self._epoch_ns,
            number=self._number,
            cameras=self._cameras,
            held=() if self._closed else self._pipeline.names,
            failure=self._failure or still,
            closed=self._closed,
            ended={name: error for name, error in self._ends.ended.copy().items() if name in names},
            figures=self._pipeline.figures(),
            silent_s=silent_s,
        )

    def close(self) -> None:
        """End every open segment, hand its events to the sinks, and close all."""
        self._pipeline.stop()
        self._thread.join()
        self._cameras = ()
        self._closed = True

    def _run(self, engines: EngineSet, sinks: list[Sink]) -> None:
        try:
            with engines, self._pipeline:
                follow(self._pipeline, sinks)
        except Exception as error:  # whatever it is, the supervisor is told, and replaces the group
            self._failure = str(error) or type(error).__name__


def _opened(camera: CameraWanted) -> Source:
    """The source of a camera, called as the camera is; one that cannot be opened fails in turn."""
    source: Source
    try:
        source = open_among_others(camera.source, wait=True)
    except UsageError as error:  # such as an env:NAME that is not set on this host
        source = UnopenedSource(camera.name, SourceError(str(error)))
    source.name = camera.name
    return source
