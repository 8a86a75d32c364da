"""RayGroup: the supervisor's end of an actor that holds a CameraGroup."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from .camera_group import GroupReport
from .cluster import CameraWanted, GroupState


class RayGroup:
    """An actor, what was asked of it, and what it said last.

    Never waits for the actor: at most one report is under way, looked for by `look`. An actor that
    Ray has started again reports another number than that of the last change, and is told anew.
    report: the last one; failure: why it does not run, "" where nothing is known. Times are those
    of `time.monotonic`.
    """

    def __init__(
        self, ray: Any, name: str, actor: Any, node_id: str, cameras: tuple[CameraWanted, ...]
    ) -> None:
        self.name = name
        self.node_id = node_id
        self.failure = ""
        self.report: GroupReport | None = None
        self._ray = ray
        self._actor = actor
        self._cameras = cameras
        self._number = 0
        self._left: set[str] = set()  # names of cameras that it may still hold
        self._alive = False
        self._died = False  # whether its last answer was that it is dead
        self._failed = False
        self._seen_s = time.monotonic()
        self._asked: Any = None  # the report under way
        self._closing: Any = None  # the call of `close` under way
        self._kill_s: float | None = None  # when it is killed

    @classmethod
    def adopted(cls, ray: Any, name: str, actor: Any, report: GroupReport) -> RayGroup:
        """An actor that an earlier supervisor started, as it reports itself."""
        group = cls(ray, name, actor, report.place, report.cameras)
        group._number = report.number
        group._hear(report)
        return group

    def state(self) -> GroupState:
        """How it stands, for the supervisor."""
        return GroupState(
            name=self.name,
            node_id=self.node_id,
            cameras=self._cameras,
            alive=self._alive,
            last_seen_s=self._seen_s,
            releasing=tuple(sorted(self._left)),
            stopping=self._kill_s is not None,
            failed=self._failed,
        )

    def change(self, cameras: tuple[CameraWanted, ...]) -> None:
        """Pass on which cameras it has from now on."""
        gone = {camera.name for camera in self._cameras if camera not in cameras}
        self._left = (self._left | gone) - {camera.name for camera in cameras}
        self._cameras = cameras
        self._number += 1
        self._tell()

    def stop(self, limit_s: float) -> None:
        """Ask it to end in order; `ended` says when it has, or its time is up."""
        if self._kill_s is None:
            self._kill_s = time.monotonic() + limit_s
            self._closing = self._call("close")

    def ended(self) -> bool:
        """Whether it was asked to end, and has, or has had its time."""
        if self._kill_s is None:
            return False
        if time.monotonic() >= self._kill_s:
            return True
        if self._closing is None:  # too many calls waited
            self._closing = self._call("close")
            return False
        return bool(self._ray.wait([self._closing], timeout=0)[0])

    def look(self) -> None:
        """Take the report that has come, if one has, and ask for the next."""
        if self._asked is not None:
            ready, _ = self._ray.wait([self._asked], timeout=0)
            if not ready:
                return
            answer, self._asked = self._asked, None
            self._take(answer)
        self._asked = self._call("report")

    def kill(self) -> None:
        """End it for good, so that Ray does not start it again."""
        kill(self._ray, self._actor)

    def _take(self, answer: Any) -> None:
        try:
            self._hear(self._ray.get(answer))
        except self._ray.exceptions.ActorDiedError as error:  # it could not be made, for example
            self._alive = False
            self.failure = _cause(error)
            self._failed |= self._died  # one call may die with a process that is started again
            self._died = True
        except self._ray.exceptions.RayError:  # it is being started again
            self._alive = False
            self._died = False

    def _hear(self, report: GroupReport) -> None:
        self.report = report
        self.failure = report.failure
        self._alive = not report.failure and report.silent_s is not None
        self._failed = bool(report.failure)
        self._died = False
        if self._alive:
            self._seen_s = time.monotonic()
        if report.number == self._number:
            self._left = set(report.held) - {camera.name for camera in self._cameras}
        elif self._kill_s is None:
            self._tell()
        if report.closed:  # by a supervisor that ended before it could kill it
            self.stop(0.0)

    def _tell(self) -> None:
        self._call("change", self._cameras, self._number)

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the actor; None where too many calls wait for it, which comes again."""
        try:
            return getattr(self._actor, method).remote(*arguments)
        except self._ray.exceptions.PendingCallsLimitExceeded:
            return None


def kill(ray: Any, actor: Any) -> None:
    """End an actor for good; one that has ended already stays so."""
    with suppress(ray.exceptions.RayError, ValueError):
        ray.kill(actor, no_restart=True)


def _cause(error: Exception) -> str:
    """The last line of what Ray says, which is the error of ours where there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
