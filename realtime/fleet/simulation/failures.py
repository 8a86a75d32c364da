"""What fails in a simulated fleet: machines, racks of them, processes; and drained machines.

Each kind comes at random times of a constant rate (a Poisson process).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..cluster import Node
from .events import Events
from .scenarios import Scenario
from .simulated_cluster import SimulatedCluster
from .times import Draw, Seconds

HOUR_S = 3600.0
DRAIN_LOOK_S = 1.0  # between two looks whether a drained node is empty
DRAIN_MOST_S = 600.0  # then it is started anew although it is not


def nodes_of(scenario: Scenario) -> list[Node]:
    """The machines at the start, a host each."""
    return [
        Node(f"{host}.0", host, scenario.node_cameras)
        for host in (f"host-{i:04}" for i in range(scenario.nodes))
    ]


class Failures:
    """Plans all failures of a scenario; `counts` says how many of each kind came."""

    def __init__(
        self, scenario: Scenario, cluster: SimulatedCluster, events: Events, draw: Draw
    ) -> None:
        self._scenario = scenario
        self._cluster = cluster
        self._events = events
        self._draw = draw
        self._lives: dict[str, int] = {}  # of a host, how often it came back
        self.counts = dict.fromkeys(("node", "rack", "crash", "hang", "drain"), 0)

    def plan(self, group_count: int) -> None:
        """Begin; group_count: how many groups there are about, for the rate of theirs."""
        scenario = self._scenario
        self._repeat(scenario.failing_per_hour * scenario.nodes, self._fail_node)
        self._repeat(scenario.racks_per_hour, self._fail_rack)
        self._repeat(scenario.crashes_per_hour * group_count, self._crash)
        self._repeat(scenario.hangs_per_hour * group_count, self._hang)
        self._repeat(scenario.drains_per_hour, self._drain)

    def _repeat(self, per_hour: float, action: Callable[[], None]) -> None:
        if per_hour > 0:
            delay_s = HOUR_S * self._draw.random.expovariate(per_hour)
            self._events.after(delay_s, partial(self._once, per_hour, action))

    def _once(self, per_hour: float, action: Callable[[], None]) -> None:
        action()
        self._repeat(per_hour, action)

    def _living(self) -> list[Node]:
        """Nodes that have not failed and are not drained."""
        machines = self._cluster.machines.values()
        return [m.node for m in machines if m.lives and not m.node.draining]

    def _fail_node(self) -> None:
        living = self._living()
        if living:
            self._fail(self._draw.random.choice(living), "node")
            self.counts["node"] += 1

    def _fail_rack(self) -> None:
        """A rack is so many hosts in order of their names."""
        size = self._scenario.rack_nodes
        rack = self._draw.random.randrange(-(-self._scenario.nodes // size))
        hosts = {node.host for node in nodes_of(self._scenario)[rack * size : (rack + 1) * size]}
        for node in self._living():
            if node.host in hosts:
                self._fail(node, "rack")
        self.counts["rack"] += 1

    def _fail(self, node: Node, cause: str) -> None:
        self._cluster.fail(node.id, cause)
        self._bring_back(node, self._scenario.repair_s)

    def _bring_back(self, node: Node, bounds: Seconds) -> None:
        self._events.after(self._draw.seconds(bounds), partial(self._come_back, node))

    def _come_back(self, node: Node) -> None:
        """A repaired machine is a new node of the same host; by then its old one is lost."""
        self._cluster.lose(node.id)
        self._lives[node.host] = self._lives.get(node.host, 0) + 1
        new = replace(node, id=f"{node.host}.{self._lives[node.host]}", draining=False)
        self._cluster.add(new)

    def _crash(self) -> None:
        running = self._cluster.running()
        if running:
            self._cluster.crash(self._draw.random.choice(running))
            self.counts["crash"] += 1

    def _hang(self) -> None:
        running = self._cluster.running()
        if running:
            self._cluster.hang(self._draw.random.choice(running))
            self.counts["hang"] += 1

    def _drain(self) -> None:
        living = self._living()
        if living:
            node = replace(self._draw.random.choice(living), draining=True)
            self._cluster.add(node)
            self._await_empty(node, DRAIN_MOST_S)
            self.counts["drain"] += 1

    def _await_empty(self, node: Node, left_s: float) -> None:
        """Start a drained node anew once it is empty, or its time is over."""
        machine = self._cluster.machines.get(node.id)
        if machine is None or not machine.lives:
            return  # it failed meanwhile
        if machine.groups and left_s > 0:
            later = partial(self._await_empty, node, left_s - DRAIN_LOOK_S)
            self._events.after(DRAIN_LOOK_S, later)
            return
        self._cluster.fail(node.id, "drain")
        self._cluster.lose(node.id)
        self._bring_back(node, self._scenario.reboot_s)
