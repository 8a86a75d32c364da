"""Machines and groups as a Cluster: what is asked for happens after the time that it takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ..cluster import CameraWanted, ClusterError, GroupState, Node
from ..placement import is_fault
from ..settings import SupervisorSettings
from .events import Events
from .served import Served
from .times import Draw


@dataclass(eq=False)
class Machine:
    """A node: `lives` is the truth, whether it is listed what the cluster knows."""

    node: Node
    lives: bool = True
    groups: set[str] = field(default_factory=set)
    serving: int = 0  # cameras


@dataclass(eq=False)
class _Group:
    name: str
    machine: Machine
    cameras: tuple[CameraWanted, ...]
    seen_s: float  # its last answer, while it does not answer
    life: int = 0  # of its process; what was planned for an earlier one is void
    runs: bool = False  # the truth
    hangs: bool = False
    alive: bool = False  # what the cluster knows
    known: bool = True  # whether this supervisor has heard of it
    stopping: bool = False
    releasing: set[str] = field(default_factory=set)
    serving: set[str] = field(default_factory=set)

    @property
    def answers(self) -> bool:
        """Whether it would if it were asked now, as far as it has answered before."""
        return self.alive and self.known and not self.hangs and self.machine.lives


class SimulatedCluster:
    """A Cluster in simulated time.

    Whatever changes what it would tell raises `version`. `calls` counts starts, changes and stops
    by second, `reports` what groups told of themselves.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        events: Events,
        served: Served,
        draw: Draw,
        settings: SupervisorSettings,
    ) -> None:
        self.version = 0
        self.calls: Counter[int] = Counter()
        self.reports = 0.0
        self.above_capacity = 0  # cameras that a node was given beyond what it carries
        self.machines = {node.id: Machine(node) for node in nodes}  # those that are listed
        self._groups: dict[str, _Group] = {}
        self._counted_s = 0.0
        self._events = events
        self._served = served
        self._draw = draw
        self._times = draw.times
        self._settings = settings
        self._failed_s: dict[str, float] = {}  # by node, when a group last failed on it

    # What the supervisor sees and asks.

    def nodes(self) -> Sequence[Node]:
        """Those not known to be dead."""
        return [
            replace(machine.node, failed_s=self._failed_s.get(machine.node.id))
            for machine in self.machines.values()
        ]

    def groups(self) -> Sequence[GroupState]:
        """All groups, those of lost nodes too until they are stopped."""
        now_s = self._events.now_s
        states = [_state(group, now_s) for group in self._groups.values()]
        for state in states:
            if is_fault(state, self._settings, now_s):
                self._failed_s[state.node_id] = now_s
        return states

    def start(self, group: str, node_id: str, cameras: Sequence[CameraWanted]) -> None:
        """Start a group; a node that died unnoticed never answers."""
        self._call()
        machine = self.machines.get(node_id)
        if machine is None or group in self._groups:
            raise ClusterError(f"group {group} cannot be started on node {node_id}")
        new = _Group(group, machine, tuple(cameras), self._events.now_s)
        self._count_reports()
        self._groups[group] = new
        machine.groups.add(group)
        if machine.lives:
            self._begin(new)

    def change(self, group: str, cameras: Sequence[CameraWanted]) -> None:
        """Take cameras from a group and give it others."""
        self._call()
        known = self._known(group)
        left = set(known.cameras).difference(cameras)
        added = set(cameras).difference(known.cameras)
        known.cameras = tuple(cameras)
        known.releasing |= {camera.name for camera in left} & known.serving
        if known.runs:
            delay_s = self._draw.seconds(self._times.change_s)
            names = sorted(camera.name for camera in added)
            act = partial(self._act_on_change, known, known.life, names)
            self._events.after(delay_s, act)

    def stop(self, group: str) -> None:
        """End a group; the cameras of a lost node were let go when it was lost."""
        self._call()
        known = self._known(group)
        known.stopping = True
        if known.machine.node.id not in self.machines:
            self._remove(known)
            return
        bounds = self._times.stop_s if known.answers else self._times.kill_s
        self._events.after(self._draw.seconds(bounds), partial(self._remove, known))

    # What happens to machines and groups.

    def running(self) -> list[str]:
        """Names of the groups that run and answer."""
        return [group.name for group in self._groups.values() if group.runs]

    def fail(self, node_id: str, cause: str) -> None:
        """A machine dies with all that runs on it; the cluster sees it later."""
        machine = self.machines[node_id]
        for name in machine.groups:
            group = self._groups[name]
            if group.answers:
                group.seen_s = self._events.now_s
            self._die(group, cause)
        machine.lives = False
        self.version += 1
        seen_s = self._draw.seconds(self._times.node_death_seen_s)
        self._events.after(seen_s, partial(self.lose, node_id))

    def lose(self, node_id: str) -> None:
        """The cluster knows that a machine is gone."""
        machine = self.machines.pop(node_id, None)
        if machine is not None:
            for name in machine.groups:
                self._groups[name].known = True
            self.version += 1

    def add(self, node: Node) -> None:
        """A machine joins, or what is known of it changes."""
        known = self.machines.get(node.id)
        if known is None:
            self.machines[node.id] = Machine(node)
        else:
            known.node = node
        self.version += 1

    def crash(self, name: str) -> None:
        """A process dies; the cluster starts it again where it was."""
        group = self._groups[name]
        self._die(group, "crash")
        group.seen_s = self._events.now_s
        seen_s = self._draw.seconds(self._times.group_death_seen_s)
        self._events.after(seen_s, partial(self._silent, group, group.life))
        self._events.after(seen_s, partial(self._again, group, group.life))

    def hang(self, name: str) -> None:
        """A process does nothing any more, which only its silence tells."""
        group = self._groups[name]
        self._die(group, "hang")
        group.hangs = True
        group.seen_s = self._events.now_s
        self.version += 1

    def forget(self) -> None:
        """A new supervisor: what groups have is known when they have answered."""
        late_s = self._draw.seconds(self._times.heartbeat_s)
        for group in self._groups.values():
            group.known = False
            group.seen_s = self._events.now_s
        self._events.after(late_s, self._recall)
        self.version += 1

    def finish(self) -> None:
        """The end of the run."""
        self._count_reports()
        self._served.finish(self._events.now_s)

    def due_s(self) -> float:
        """Until when waiting alone cannot change what the supervisor does."""
        settings = self._settings
        now_s = self._events.now_s
        failed = [self._failed_s[node] for node in self.machines if node in self._failed_s]
        pauses = [
            at_s + pause_s
            for at_s in failed
            for pause_s in (settings.patience_s, settings.failed_pause_s)
            if at_s + pause_s > now_s
        ]
        return min(
            [*pauses, *(_due_s(group, settings) for group in self._groups.values())],
            default=math.inf,
        )

    def _recall(self) -> None:
        """Those that answer have; one that hangs stays unknown for as long as it is there."""
        for group in self._groups.values():
            silent = group.hangs or not group.machine.lives
            if (group.alive and not silent) or group.machine.node.id not in self.machines:
                group.known = True
        self.version += 1

    def _begin(self, group: _Group) -> None:
        """A new process of a group, which runs after its start."""
        group.life += 1
        delay_s = self._draw.seconds(self._times.group_start_s)
        self._events.after(delay_s, partial(self._up, group, group.life))

    def _again(self, group: _Group, life: int) -> None:
        if group.life == life and group.machine.lives and not group.stopping:
            self._begin(group)

    def _up(self, group: _Group, life: int) -> None:
        if group.life != life:
            return
        group.runs = True
        late_s = self._draw.seconds(self._times.heartbeat_s)
        self._events.after(late_s, partial(self._heard, group, life))
        self._open(group, [camera.name for camera in group.cameras])

    def _heard(self, group: _Group, life: int) -> None:
        if group.life == life:
            group.alive = True
            group.known = True
            self.version += 1

    def _silent(self, group: _Group, life: int) -> None:
        if group.life == life:
            group.alive = False
            self.version += 1

    def _act_on_change(self, group: _Group, life: int, added: list[str]) -> None:
        if group.life != life:
            return
        wanted = {camera.name for camera in group.cameras}
        self._release(group, sorted((group.serving - wanted) | set(added)), "moved")
        group.releasing.clear()
        self.version += 1
        self._open(group, added)

    def _open(self, group: _Group, names: Iterable[str]) -> None:
        for name in names:
            delay_s = self._draw.seconds(self._times.camera_open_s)
            self._events.after(delay_s, partial(self._serve, group, group.life, name))

    def _serve(self, group: _Group, life: int, name: str) -> None:
        """The first frame of a camera; a machine that is full cannot keep up with one more."""
        if group.life != life or name not in {camera.name for camera in group.cameras}:
            return
        if group.machine.serving >= group.machine.node.cameras_max:
            self.above_capacity += 1
            return
        group.machine.serving += 1
        group.serving.add(name)
        self._served.begin(name, self._events.now_s)

    def _release(self, group: _Group, names: Iterable[str], cause: str) -> None:
        for name in names:
            if name in group.serving:
                group.serving.remove(name)
                group.machine.serving -= 1
                self._served.end(name, self._events.now_s, cause)

    def _die(self, group: _Group, cause: str) -> None:
        group.life += 1
        group.runs = False
        group.releasing.clear()
        self._release(group, sorted(group.serving), cause)

    def _remove(self, group: _Group) -> None:
        """A group has ended, and its name is free."""
        if self._groups.get(group.name) is group:
            self._die(group, "moved")
            self._count_reports()
            del self._groups[group.name]
            group.machine.groups.discard(group.name)
            self.version += 1

    def _known(self, name: str) -> _Group:
        if name not in self._groups:
            raise ClusterError(f"group {name} has ended")
        return self._groups[name]

    def _call(self) -> None:
        self.calls[int(self._events.now_s)] += 1
        self.version += 1

    def _count_reports(self) -> None:
        """Those since the last count; call it before the number of groups changes."""
        passed_s = self._events.now_s - self._counted_s
        self.reports += len(self._groups) * passed_s / self._times.heartbeat_s[1]
        self._counted_s = self._events.now_s


def _state(group: _Group, now_s: float) -> GroupState:
    """A group as it is told; one that answers was last seen now."""
    return GroupState(
        name=group.name,
        node_id=group.machine.node.id if group.known else "",
        cameras=group.cameras if group.known else (),
        alive=group.alive and group.known,
        last_seen_s=now_s if group.answers else group.seen_s,
        releasing=tuple(sorted(group.releasing)) if group.releasing else (),
        stopping=group.stopping,
    )


def _due_s(group: _Group, settings: SupervisorSettings) -> float:
    if group.answers:
        return math.inf
    starts = group.known and not group.alive
    return group.seen_s + (settings.start_s if starts else settings.patience_s)
