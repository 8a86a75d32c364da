"""A cluster that does what it is told when the test says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from microspot.realtime.fleet.cluster import CameraWanted, ClusterError, GroupState, Node
from microspot.realtime.fleet.placement import Actions


class ToldCluster:
    """What is asked for shows at once; that it has happened the methods below say."""

    def __init__(self, nodes: Sequence[Node] = ()) -> None:
        self.known = {node.id: node for node in nodes}
        self.states: dict[str, GroupState] = {}
        self.now_s = 0.0
        self.refuses: set[str] = set()  # names of groups
        self.asked: list[str] = []

    def nodes(self) -> Sequence[Node]:
        return list(self.known.values())

    def groups(self) -> Sequence[GroupState]:
        return list(self.states.values())

    def start(self, group: str, node_id: str, cameras: Sequence[CameraWanted]) -> None:
        self._ask("start", group)
        assert group not in self.states
        assert node_id in self.known
        self.states[group] = GroupState(group, node_id, tuple(cameras), False, self.now_s)

    def change(self, group: str, cameras: Sequence[CameraWanted]) -> None:
        self._ask("change", group)
        old = self.states[group]
        gone = {camera.name for camera in set(old.cameras).difference(cameras)}
        releasing = tuple(sorted(gone | set(old.releasing)))
        self.states[group] = replace(old, cameras=tuple(cameras), releasing=releasing)

    def stop(self, group: str) -> None:
        self._ask("stop", group)
        if self.states[group].node_id in self.known:
            self.states[group] = replace(self.states[group], stopping=True)
        else:
            del self.states[group]

    def _ask(self, what: str, group: str) -> None:
        self.asked.append(f"{what} {group}")
        if group in self.refuses:
            raise ClusterError(f"{what} {group}: not now")

    def do(self, actions: Actions) -> None:
        """All of a round, as the supervisor would ask for it."""
        for name in actions.stops:
            self.stop(name)
        for change in actions.changes:
            self.change(change.group, change.cameras)
        for start in actions.starts:
            self.start(start.group, start.node_id, start.cameras)

    def answer(self, *silent: str) -> None:
        """All groups that are not silent answer, those that stop have ended, all have let go."""
        for name, state in list(self.states.items()):
            if state.stopping:
                del self.states[name]
            elif name not in silent and not state.failed:
                alive = replace(state, alive=True, last_seen_s=self.now_s, releasing=())
                self.states[name] = alive

    def fail(self, name: str) -> None:
        """A group tells that it does not run any more."""
        state = replace(self.states[name], alive=False, failed=True)
        self.states[name] = state
        if state.node_id in self.known:
            node = self.known[state.node_id]
            self.known[state.node_id] = replace(node, failed_s=self.now_s)

    def lose(self, node_id: str) -> None:
        """A node is gone; its groups stay listed until they are stopped."""
        del self.known[node_id]

    def where(self) -> dict[str, str]:
        """The group of each camera that is asked for somewhere."""
        return {
            camera.name: state.name
            for state in self.states.values()
            if not state.stopping and state.node_id in self.known
            for camera in state.cameras
        }
