"""RayCluster: groups of cameras as detached, named actors of Ray.

An actor is bound to the node that the placement chose. Ray starts one whose process died again, on
its node and without cameras, and is given those that were asked of it; a node that died takes its
actors along, and the placement moves their cameras.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ..meter import Figures
from ..pipeline import nothing
from .camera_group import CameraGroup, GroupReport
from .cluster import CameraWanted, ClusterError, GroupState, Node
from .fleet_file import FleetSettings
from .placement import is_fault
from .ray_group import RayGroup, kill
from .ray_start import NAMESPACE

PREFIX = "cameras "  # of the names of our actors
HOST_LABEL = "microspot.host"
ADOPT_S = 30.0  # that actors of an earlier supervisor have for their first report
STEP_S = 1.0  # between two signs of life of ours while they are waited for


class RayCluster:
    """A Cluster over the Ray that this process is connected to.

    settings: numbers of the file; arguments: of every CameraGroup, after its place. Actors of an
    earlier supervisor are adopted; those that do not report within ADOPT_S are killed, since nobody
    knows which cameras they have. meanwhile: called while they are waited for. draining: ids of the
    nodes that should be emptied.
    """

    def __init__(
        self,
        ray: Any,
        settings: FleetSettings,
        arguments: tuple[Any, ...] = (),
        meanwhile: Callable[[], object] = nothing,
    ) -> None:
        self.draining: frozenset[str] = frozenset()
        self._ray = ray
        self._settings = settings
        self._arguments = arguments
        self._failed_s: dict[str, float] = {}  # by node, when a group last failed on it
        self._groups = self._adopted(meanwhile)

    def nodes(self) -> Sequence[Node]:
        """All nodes that live."""
        return [
            Node(
                id=node["NodeID"],
                host=host_of(node),
                cameras_max=int(
                    node["Resources"].get("CPU", 0.0) * self._settings.cameras_per_core
                ),
                draining=node["NodeID"] in self.draining,
                failed_s=self._failed_s.get(node["NodeID"]),
            )
            for node in living_nodes(self._ray)
        ]

    def groups(self) -> Sequence[GroupState]:
        """All groups that have not ended, with what they said until now."""
        living = {node["NodeID"] for node in living_nodes(self._ray)}
        for group in list(self._groups.values()):
            if group.node_id in living and not group.ended():
                group.look()
            else:
                group.kill()
                self._groups = {n: g for n, g in self._groups.items() if g is not group}
        states = [group.state() for group in self._groups.values()]
        now_s = time.monotonic()
        for state in states:
            if is_fault(state, self._settings, now_s):
                self._failed_s[state.node_id] = now_s
        return states

    def start(self, group: str, node_id: str, cameras: Sequence[CameraWanted]) -> None:
        """Start an actor on a node, and give it its cameras."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options = {
            "name": PREFIX + group,
            "namespace": NAMESPACE,
            "lifetime": "detached",
            "num_cpus": 0,  # the placement counts cameras itself
            "num_gpus": self._settings.gpus_per_group,
            "max_restarts": -1,
            "max_task_retries": 0,
            "max_pending_calls": self._settings.pending_calls,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False),
        }
        try:
            made = self._ray.remote(CameraGroup).options(**options)
            patience_s = self._settings.patience_s
            actor = made.remote(node_id, *self._arguments, patience_s=patience_s)
        except (ValueError, self._ray.exceptions.RayError) as error:
            raise ClusterError(f"group {group} was not started: {error}") from error
        new = RayGroup(self._ray, group, actor, node_id, ())
        new.change(tuple(cameras))
        self._groups = {**self._groups, group: new}

    def change(self, group: str, cameras: Sequence[CameraWanted]) -> None:
        """Pass on which cameras a group has from now on."""
        self._known(group).change(tuple(cameras))

    def stop(self, group: str) -> None:
        """Ask a group to end; it is killed when it has, or after `stop_s`."""
        self._known(group).stop(self._settings.stop_s)

    def figures(self) -> Figures:
        """What all groups had counted when they reported last; may be called from any thread."""
        return Figures.joined(report.figures for report in self.reports().values())

    def reports(self) -> dict[str, GroupReport]:
        """What each group that has reported said last, by its name."""
        found = ((name, group.report) for name, group in self._groups.items())
        return {name: report for name, report in found if report is not None}

    def failures(self) -> dict[str, str]:
        """Why groups do not run, by their names."""
        return {name: group.failure for name, group in self._groups.items() if group.failure}

    def _known(self, group: str) -> RayGroup:
        if group not in self._groups:
            raise ClusterError(f"group {group} has ended")
        return self._groups[group]

    def _adopted(self, meanwhile: Callable[[], object]) -> dict[str, RayGroup]:
        """The actors that run already, by the names of their groups."""
        groups = {}
        for name, (actor, report) in running_groups(self._ray, ADOPT_S, meanwhile).items():
            if report is not None:
                groups[name] = RayGroup.adopted(self._ray, name, actor, report)
            else:
                kill(self._ray, actor)
        return groups


def running_groups(
    ray: Any, wait_s: float, meanwhile: Callable[[], object] = nothing
) -> dict[str, tuple[Any, GroupReport | None]]:
    """The actors that run and their reports, None where none comes within `wait_s`; by group.

    meanwhile: called every STEP_S.
    """
    actors: dict[str, Any] = {}
    for entry in ray.util.list_named_actors(all_namespaces=True):
        if entry["namespace"] == NAMESPACE and entry["name"].startswith(PREFIX):
            with suppress(ValueError):  # it has just ended
                actor = ray.get_actor(entry["name"], namespace=NAMESPACE)
                actors[entry["name"].removeprefix(PREFIX)] = actor
    asked = {name: actor.report.remote() for name, actor in actors.items()}
    left = list(asked.values())
    until_s = time.monotonic() + wait_s
    while left and (left_s := until_s - time.monotonic()) > 0:
        meanwhile()
        _, left = ray.wait(left, num_returns=len(left), timeout=min(STEP_S, left_s))
    found: dict[str, tuple[Any, GroupReport | None]] = {}
    for name, answer in asked.items():
        try:
            found[name] = actors[name], ray.get(answer, timeout=0)
        except ray.exceptions.RayError:
            found[name] = actors[name], None
    return found


def living_nodes(ray: Any) -> list[dict[str, Any]]:
    """The nodes that Ray takes to live, as it describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def host_of(node: dict[str, Any]) -> str:
    """What cameras are pinned by: the label of a node of Ray, else its host's name."""
    labels: dict[str, str] = node.get("Labels") or {}
    return labels.get(HOST_LABEL) or str(node["NodeManagerHostname"])
