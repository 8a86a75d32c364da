"""A scenario from its start to its end, in rounds of the supervisor."""

from __future__ import annotations

import math
import time
from typing import Any

from ..cluster import CameraWanted
from ..settings import SupervisorSettings
from ..supervisor import Supervisor
from .events import Events
from .failures import HOUR_S, Failures, nodes_of
from .scenarios import Scenario
from .served import Served
from .simulated_cluster import SimulatedCluster
from .table import Counts, table_of
from .times import Draw, Times


def cameras_of(scenario: Scenario) -> tuple[CameraWanted, ...]:
    """All cameras; the pinned ones are spread evenly over the hosts."""
    hosts = [node.host for node in nodes_of(scenario)]
    pinned = round(scenario.pinned * scenario.cameras)
    return tuple(
        CameraWanted(
            name=f"camera-{i:06}",
            source=f"rtsp://camera-{i:06}.example/stream",
            host=hosts[i % len(hosts)] if i < pinned else None,
        )
        for i in range(scenario.cameras)
    )


def simulate(
    scenario: Scenario, times: Times | None = None, settings: SupervisorSettings | None = None
) -> dict[str, Any]:
    """Run the shipped supervisor over a scenario; a seed always gives the same table.

    But `supervisor.round_ms`, which is time of this machine. Returns the table by name, with the
    scenario, times and settings that it holds for.
    """
    times = times or Times()
    if scenario.death_seen_s is not None:
        times = times.model_copy(update={"node_death_seen_s": scenario.death_seen_s})
    settings = settings or SupervisorSettings()
    simulation = _Simulation(scenario, times, settings)
    simulation.run()
    given = {
        "scenario": scenario.model_dump(),
        "times": times.model_dump(),
        "settings": settings.model_dump(include=set(SupervisorSettings.model_fields)),
    }
    return given | simulation.table()


class _Simulation:
    def __init__(self, scenario: Scenario, times: Times, settings: SupervisorSettings) -> None:
        self._scenario = scenario
        self._settings = settings
        self._wanted = cameras_of(scenario)
        self._events = Events()
        self._served = Served(self._wanted)
        draw = Draw(times, scenario.seed)
        nodes = nodes_of(scenario)
        self._cluster = SimulatedCluster(nodes, self._events, self._served, draw, settings)
        self._failures = Failures(scenario, self._cluster, self._events, draw)
        self._round_ms: list[float] = []
        self._refused = 0  # calls
        self._waiting_most = 0  # cameras, once each has been watched
        self._draw = draw
        self._away_until_s = 0.0
        self._stops = 0

    def run(self) -> None:
        """All rounds."""
        scenario = self._scenario
        self._failures.plan(math.ceil(scenario.cameras / self._settings.group_size))
        self._plan_stop()
        supervisor = Supervisor(self._cluster, self._settings)
        # What the cluster told in a round that asked for nothing, and until when it is the same:
        # until then the next round would ask for nothing either, and is left out.
        quiet = -1
        due_s = 0.0
        stops = 0
        for number in range(math.ceil(scenario.hours * HOUR_S / scenario.round_s)):
            now_s = number * scenario.round_s
            self._events.run_until(now_s)
            if now_s < self._away_until_s:
                continue
            if stops != self._stops:
                stops = self._stops
                supervisor = Supervisor(self._cluster, self._settings)
                self._cluster.forget()
            if self._cluster.version == quiet and now_s < due_s:
                continue
            settled = self._round(supervisor, now_s)
            quiet = self._cluster.version if settled else -1
            due_s = self._cluster.due_s()
        self._events.run_until(scenario.hours * HOUR_S)
        self._cluster.finish()

    def _round(self, supervisor: Supervisor, now_s: float) -> bool:
        """One round of the supervisor; whether it asked for nothing."""
        began_s = time.perf_counter()
        round_ = supervisor.reconcile(self._wanted, now_s)
        self._round_ms.append(1e3 * (time.perf_counter() - began_s))
        self._refused += len(round_.errors)
        if self._served.all_seen_s is not None:
            self._waiting_most = max(self._waiting_most, len(round_.actions.waiting))
        return round_.settled

    def _plan_stop(self) -> None:
        """The next end of the supervisor's process."""
        per_hour = self._scenario.supervisor_stops_per_hour
        if per_hour > 0:
            self._events.after(HOUR_S * self._draw.random.expovariate(per_hour), self._stop)

    def _stop(self) -> None:
        self._stops += 1
        self._away_until_s = self._events.now_s + self._scenario.supervisor_away_s
        self._plan_stop()

    def table(self) -> dict[str, Any]:
        """What came of it."""
        counts = Counts(
            failures=self._failures.counts | {"supervisor": self._stops},
            above_capacity=self._cluster.above_capacity,
            waiting_most=self._waiting_most,
            calls=self._cluster.calls,
            reports=self._cluster.reports,
            refused=self._refused,
            round_ms=self._round_ms,
        )
        return table_of(self._served, counts, self._scenario.hours * HOUR_S)
