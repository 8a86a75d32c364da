"""How long each camera of a simulated fleet was watched, and how long each outage lasted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..cluster import CameraWanted


@dataclass(eq=False)
class _Camera:
    pinned: bool
    served_s: float = 0.0
    since_s: float | None = None  # watched since then
    lost_s: float | None = None  # not watched since then, None before it was for the first time
    cause: str = ""


@dataclass(frozen=True)
class Outage:
    """A time in which a camera was not watched, from its cause to its next frame."""

    cause: str
    seconds: float
    pinned: bool


class Served:
    """Books over cameras: each is watched or not at any time."""

    def __init__(self, cameras: Iterable[CameraWanted]) -> None:
        self._cameras = {camera.name: _Camera(camera.host is not None) for camera in cameras}
        self._unseen = len(self._cameras)
        self.outages: list[Outage] = []
        self.all_seen_s: float | None = None  # when each had been watched
        self.held_twice = 0

    def begin(self, name: str, now_s: float) -> None:
        """A camera is watched from now on; counted where it is already."""
        camera = self._cameras[name]
        if camera.since_s is not None:
            self.held_twice += 1
            return
        camera.since_s = now_s
        if camera.lost_s is not None:
            self.outages.append(Outage(camera.cause, now_s - camera.lost_s, camera.pinned))
            return
        self._unseen -= 1
        if not self._unseen:
            self.all_seen_s = now_s

    def end(self, name: str, now_s: float, cause: str) -> None:
        """A camera is not watched any more."""
        camera = self._cameras[name]
        if camera.since_s is None:
            return
        camera.served_s += now_s - camera.since_s
        camera.since_s = None
        camera.lost_s = now_s
        camera.cause = cause

    def finish(self, now_s: float) -> None:
        """The end of the run; what is not watched then is an outage that lasted until now."""
        for name, camera in self._cameras.items():
            if camera.since_s is None and camera.lost_s is not None:
                self.outages.append(Outage(camera.cause, now_s - camera.lost_s, camera.pinned))
            self.end(name, now_s, "")

    def shares(self, whole_s: float, pinned: bool) -> list[float]:
        """Share of the time in which each pinned, or each other, camera was watched."""
        return [
            camera.served_s / whole_s
            for camera in self._cameras.values()
            if camera.pinned is pinned
        ]
