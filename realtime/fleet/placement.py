"""Where cameras run: from what is wanted and what runs to the next actions. Pure.

    groups that stay -> cameras that they keep -> cameras left over, pinned ones first
    -> free places of running groups -> new groups on the emptiest nodes -> those that must wait

Rules, each a property in the tests:

* A node never gets more cameras than it carries, and a group no more than `group_size`.
* Nobody moves without need: a camera stays while its node lives and is not draining, its group
  answers and its wish is the same. So nothing is evened out when a node comes back: it is filled by
  what is placed next.
* A camera that some group still holds is placed nowhere else: first let go, then taken up. Else two
  groups would report its events twice, under two epochs.
* A node with a group that failed, or has been silent for too long, gets nothing until that group is
  gone, nor for `patience_s` after one failed or did not come up; then it is used last, and for
  `failed_pause_s` only where no other node has room. Else the node that was emptied by its fault
  would be the emptiest, and get the same cameras again.
* What a lost node held is free at once; a draining node is emptied even where others have no room.
* Nothing is done before groups that ran before the supervisor have told what they have, unless
  they don't answer in time.
* The same input gives the same actions, and what has been asked for is not asked for again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .cluster import CameraWanted, GroupState, Node
from .settings import SupervisorSettings

NAME = "group-"  # of a group, before its number


@dataclass(frozen=True)
class Start:
    """A new group on a node."""

    group: str
    node_id: str
    cameras: tuple[CameraWanted, ...]


@dataclass(frozen=True)
class Change:
    """What a group should have from now on."""

    group: str
    cameras: tuple[CameraWanted, ...]


@dataclass(frozen=True)
class Actions:
    """What to ask of the cluster, and which cameras wait for a place and why."""

    starts: tuple[Start, ...] = ()
    changes: tuple[Change, ...] = ()
    stops: tuple[str, ...] = ()
    waiting: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many calls they are."""
        return len(self.starts) + len(self.changes) + len(self.stops)


def place(
    wanted: Sequence[CameraWanted],
    nodes: Iterable[Node],
    groups: Iterable[GroupState],
    settings: SupervisorSettings,
    now_s: float,
) -> Actions:
    """The next actions.

    wanted: cameras with names of their own; among those that can run anywhere the first have the
    first places. now_s: on the clock of `GroupState.last_seen_s`.
    """
    planner = _Planner(wanted, nodes, settings)
    groups = list(groups)
    if planner.must_wait(groups, now_s):
        return planner.actions()
    planner.settle(groups, now_s)
    planner.fill()
    return planner.actions()


@dataclass
class _Group:
    """A group that stays, and what it will have."""

    name: str
    cameras: list[CameraWanted]
    places: int  # free ones


@dataclass
class _Space:
    """A node while cameras are placed: how many more it carries, what starts, who takes more."""

    node: Node
    free: int
    starting: int = 0
    spared: bool = False  # whether a group on it is lost, or was, for what may be its fault
    last: bool = False  # whether it comes after the others, since a group failed on it
    groups: list[_Group] = field(default_factory=list)

    @property
    def emptiness(self) -> float:
        return self.free / max(1, self.node.cameras_max)

    def note_failure(self, settings: SupervisorSettings, now_s: float) -> None:
        """Keep away from a node on which a group has failed."""
        if self.node.failed_s is not None:
            past_s = now_s - self.node.failed_s
            self.spared = past_s < min(settings.patience_s, settings.failed_pause_s)
            self.last = past_s < settings.failed_pause_s


class _Planner:
    def __init__(
        self, wanted: Sequence[CameraWanted], nodes: Iterable[Node], settings: SupervisorSettings
    ) -> None:
        self._settings = settings
        self._wishes = {camera.name: camera for camera in wanted}
        in_order = sorted(nodes, key=lambda node: node.id)
        self._spaces = {node.id: _Space(node, node.cameras_max) for node in in_order}
        self._held: set[str] = set()  # names of cameras that some group has or has not let go
        self._kept: set[str] = set()  # names of cameras that stay where they are
        self._changed: dict[str, _Group] = {}
        self._starts: list[Start] = []
        self._stops: list[str] = []
        self._emptied = 0  # groups of draining nodes
        self._names: list[str] = []  # of groups
        self._waiting: dict[str, str] = {}

    def must_wait(self, groups: Iterable[GroupState], now_s: float) -> bool:
        """Whether a group has not told yet where it runs and what it has, and may still tell."""
        if all(group.node_id or is_lost(group, self._settings, now_s) for group in groups):
            return False
        self._waiting = dict.fromkeys(self._wishes, "until groups from before have answered")
        return True

    def settle(self, groups: Iterable[GroupState], now_s: float) -> None:
        """Divide groups into those that stay and those that end, and count what they hold."""
        for known in self._spaces.values():
            known.note_failure(self._settings, now_s)
        for group in sorted(groups, key=lambda group: (not group.alive, group.name)):
            self._names.append(group.name)
            space = self._spaces.get(group.node_id)
            if space is None:  # the node has gone, and with it what the group held
                if not group.stopping:
                    self._stops.append(group.name)
                continue
            names = [camera.name for camera in group.cameras]
            self._count(group, names, space)
            lost = is_lost(group, self._settings, now_s)
            space.spared |= lost
            if group.stopping:
                continue
            if lost:
                self._stops.append(group.name)
            elif space.node.draining:
                self._empty(group)
            else:
                self._keep(group, names, space)

    def _count(self, group: GroupState, names: list[str], space: _Space) -> None:
        """Note the places that a group takes; what it should leave counts until it has."""
        held = {*names, *group.releasing}
        self._held |= held
        space.free -= len(held)
        space.starting += not group.alive

    def _empty(self, group: GroupState) -> None:
        """End a group of a draining node, unless enough end in this round."""
        if self._emptied < self._settings.starts_per_round:
            self._emptied += 1
            self._stops.append(group.name)

    def _keep(self, group: GroupState, names: list[str], space: _Space) -> None:
        """Let a group go on with those of its cameras that are still wanted there."""
        stay = self._staying(names, space.node.host)
        if not stay:
            self._stops.append(group.name)
            return
        places = self._settings.group_size - len(group.cameras) - len(group.releasing)
        changed = tuple(stay) != group.cameras
        if not changed and places <= 0:
            return
        kept = _Group(group.name, stay, places)
        if changed:
            self._changed[group.name] = kept
        if group.alive and places > 0:
            space.groups.append(kept)

    def _staying(self, names: list[str], host: str) -> list[CameraWanted]:
        """Those of a group's cameras that stay in it, as they are wanted now."""
        wishes = [self._wishes.get(name) for name in names]
        stay = [
            wish
            for wish in wishes
            if wish is not None and wish.host in (None, host) and wish.name not in self._kept
        ]
        self._kept.update([wish.name for wish in stay])
        return stay

    def fill(self) -> None:
        """Place the cameras that nobody holds: the pinned ones first, since they have no choice."""
        pinned: defaultdict[str, list[CameraWanted]] = defaultdict(list)
        free = []
        left = [camera for name, camera in self._wishes.items() if name not in self._kept]
        for camera in left:
            if camera.name in self._held:
                self._waiting[camera.name] = "until the group that it leaves has let it go"
            elif camera.host is not None:
                pinned[camera.host].append(camera)
            else:
                free.append(camera)
        usable = [
            space for space in self._spaces.values() if not space.node.draining and not space.spared
        ]
        for host, cameras in sorted(pinned.items()):
            spaces = [space for space in usable if space.node.host == host]
            self._pour(cameras, spaces, f"for host {host}")
        self._pour(free, usable, "for a node")

    def _pour(self, cameras: list[CameraWanted], spaces: list[_Space], whom: str) -> None:
        """Place cameras on these nodes; those left over wait.

        Where pinned ones wait for their turn to start, nobody takes their places meanwhile: other
        cameras cannot start there either, and running groups are filled with pinned ones first.
        While a node on which nothing failed has room, its turn is waited for too.
        """
        left = cameras[::-1]  # the first is popped first
        sound = [space for space in spaces if not space.last]
        for part in (sound, [space for space in spaces if space.last]):
            if left and (part is sound or not any(space.free > 0 for space in sound)):
                self._into_groups(left, part)
                self._into_new_groups(left, part)
        if not left:
            return
        room = sum(max(0, space.free) for space in spaces)
        for i, camera in enumerate(reversed(left)):
            why = "for its turn to start" if i < room else f"{whom} that is there and has room"
            self._waiting[camera.name] = why

    def _into_groups(self, left: list[CameraWanted], spaces: list[_Space]) -> None:
        """Into free places of groups that run, which is done in a moment."""
        for space in sorted(spaces, key=lambda space: (-space.emptiness, space.node.id)):
            for group in space.groups:
                taken = _pop(left, min(group.places, space.free))
                if taken:
                    space.free -= len(taken)
                    group.places -= len(taken)
                    group.cameras.extend(taken)
                    self._changed[group.name] = group

    def _into_new_groups(self, left: list[CameraWanted], spaces: list[_Space]) -> None:
        """Into new groups, each on the node that is the emptiest then."""
        most = self._settings.starts_per_node
        number = max(map(_number, self._names), default=0)
        while left and len(self._starts) < self._settings.starts_per_round:
            open_ = [space for space in spaces if space.free > 0 and space.starting < most]
            if not open_:
                return
            space = max(open_, key=lambda space: space.emptiness)  # the first of equals
            taken = _pop(left, min(self._settings.group_size, space.free))
            space.free -= len(taken)
            space.starting += 1
            number += 1
            self._names.append(f"{NAME}{number}")
            self._starts.append(Start(f"{NAME}{number}", space.node.id, tuple(taken)))

    def actions(self) -> Actions:
        """What was found."""
        changes = [Change(group.name, tuple(group.cameras)) for group in self._changed.values()]
        return Actions(tuple(self._starts), tuple(changes), tuple(self._stops), self._waiting)


def is_lost(group: GroupState, settings: SupervisorSettings, now_s: float) -> bool:
    """Whether a group failed or has been silent for too long; one that starts has longer."""
    starts = not group.alive and group.node_id
    limit_s = settings.start_s if starts else settings.patience_s
    return group.failed or now_s - group.last_seen_s >= limit_s


def is_fault(group: GroupState, settings: SupervisorSettings, now_s: float) -> bool:
    """Whether a group failed, or did not come up, for what may be a fault of its node."""
    return group.failed or (
        not group.alive and bool(group.node_id) and is_lost(group, settings, now_s)
    )


def _number(group: str) -> int:
    found = re.fullmatch(f"{NAME}([0-9]+)", group)
    return int(found[1]) if found else 0


def _pop(left: list[CameraWanted], count: int) -> list[CameraWanted]:
    """Take the next cameras; they stand in reverse."""
    return [left.pop() for _ in range(min(count, len(left)))]
