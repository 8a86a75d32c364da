"""`microspot fleet run`: rounds of the supervisor over a cluster, with a file that may change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from microspot.engines.loading import load_engines, wanted_labels
from microspot.engines.text.redaction import redact_uri

from ..errors import UsageError
from ..sinks.base import Sink
from ..sinks.open import from_environment, open_sink
from ..supervision.reload import state_of
from .fleet_file import NO_LABELS, FleetFile, FleetSettings, check_out
from .ray_cluster import RayCluster
from .ray_control import controlling
from .ray_start import cluster_errors
from .supervisor import Round, Supervisor

Say = Callable[[str], None]


class WatchedFile:
    """A fleet's file, read again when it changes; one that cannot be read changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = state_of(path)  # when it was last read
        self._seen = self._state  # and when it was last looked at
        self.file = FleetFile.read(path)

    def look(self) -> str | None:
        """What a person should know of a change; None where there was none.

        The file is read when two looks have found it the same: it may be half written before.
        """
        state = state_of(self._path)
        if not state == self._seen != self._state:
            self._seen = state
            return None
        self._state = state
        try:
            new = FleetFile.read(self._path)
        except UsageError as error:
            return f"the cameras stay as they were: {error}"
        old, self.file = self.file, new
        if (old.fleet, old.settings) == (new.fleet, new.settings):
            return f"{self._path} was read again: {len(new.camera)} cameras"
        return f"{self._path} was read again; what is not of cameras holds from the next start on"


def group_arguments(file: FleetFile) -> tuple[Any, ...]:
    """The arguments of every CameraGroup after its place: they are sent to the nodes."""
    fleet = file.fleet
    no_labels = fleet.labels == NO_LABELS
    labels = wanted_labels("3" if no_labels else fleet.labels, no_labels)
    load = partial(load_engines, fleet.engines, fleet.backend, labels)
    return load, partial(open_outs, tuple(fleet.out), fleet.keep_days), file.settings


def open_outs(outs: tuple[str, ...], keep_days: float | None) -> list[Sink]:
    """The sinks of a group. Raises UsageError where env:NAME stands for none that may be shared."""
    for out in outs:
        found = from_environment(out)
        if found.startswith("env:"):
            raise UsageError(f"fleet.out {found}: set this variable where Ray is started")
        try:
            check_out(found)
        except ValueError as error:  # the value may hold a password
            raise UsageError(f"fleet.out {redact_uri(out)}: {error}") from error
    return [open_sink(out, keep_days=keep_days) for out in outs]


def run_fleet(
    ray: Any,
    watched: WatchedFile,
    arguments: tuple[Any, ...],
    stop: threading.Event,
    say: Say,
) -> None:
    """Rounds until `stop`; the groups go on after it.

    say: takes what a person should know. Raises UsageError where another supervisor works, and
    EngineError where the cluster is gone.
    """
    settings = watched.file.fleet
    told = Told(say)
    with cluster_errors(ray), open_metrics(settings) as metrics, controlling(ray) as control:
        cluster = RayCluster(ray, settings, arguments, control.beat)
        supervisor = Supervisor(cluster, settings)
        metrics.observe(cluster.figures)
        while not stop.is_set():
            if changed := watched.look():
                say(changed)
            cluster.draining = control.beat()
            done = supervisor.reconcile(watched.file.wanted, time.monotonic())
            told.tell(done, cluster)
            stop.wait(settings.heartbeat_s)


def open_metrics(settings: FleetSettings) -> Sink:
    """The page for Prometheus; a sink that takes nothing where none is asked for."""
    return open_sink(f"metrics:{settings.metrics}") if settings.metrics is not None else Sink()


class Told:
    """Says what each round did, and what is wrong once, not in every round."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last: set[str] = set()

    def tell(self, done: Round, cluster: RayCluster) -> None:
        """Say what is new."""
        actions = done.actions
        hosts = {node.id: node.host for node in cluster.nodes()} if actions.starts else {}
        for start in actions.starts:
            self._say(f"{start.group} starts on {hosts.get(start.node_id, '?')}: {_names(start)}")
        for change in actions.changes:
            self._say(f"{change.group} has from now on: {_names(change)}")
        for name in actions.stops:
            self._say(f"{name} ends")
        wrong = set(done.errors)
        wrong |= {f"{name} failed: {why}" for name, why in cluster.failures().items()}
        wrong |= {f"{name} waits {why}" for name, why in actions.waiting.items()}
        for name, report in cluster.reports().items():
            wrong |= {f"{name}: {error}" for error in report.ended.values() if error}
        for line in sorted(wrong - self._last):
            self._say(line)
        self._last = wrong


def _names(asked: Any) -> str:
    return ", ".join(camera.name for camera in asked.cameras)
