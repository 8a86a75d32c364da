"""The supervisor: keeps what runs in step with what is wanted. No thread, no clock, no memory.

Everything that it knows it reads from the cluster, so one that is started again goes on at once,
and one that is slow only acts later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from .cluster import CameraWanted, Cluster, ClusterError
from .placement import Actions, place
from .settings import SupervisorSettings


@dataclass(frozen=True)
class Round:
    """What a round asked of the cluster, and the errors of calls that it did not take."""

    actions: Actions
    errors: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing was left to ask."""
        return not self.actions.count


class Supervisor:
    """Compares what a cluster runs with what is wanted, and asks for the difference."""

    def __init__(self, cluster: Cluster, settings: SupervisorSettings) -> None:
        self._cluster = cluster
        self._settings = settings

    def reconcile(self, wanted: Sequence[CameraWanted], now_s: float) -> Round:
        """One round; call it every second or so.

        now_s: on the clock of `GroupState.last_seen_s`. A call that the cluster does not take is
        told and does not keep the others from being made.
        """
        nodes = self._cluster.nodes()
        groups = self._cluster.groups()
        actions = place(wanted, nodes, groups, self._settings, now_s)
        errors = []
        for ask in self._calls(actions):
            try:
                ask()
            except ClusterError as error:
                errors.append(str(error))
        return Round(actions, tuple(errors))

    def _calls(self, actions: Actions) -> Iterator[Callable[[], None]]:
        """Stops first: what they free is placed sooner."""
        for name in actions.stops:
            yield partial(self._cluster.stop, name)
        for change in actions.changes:
            yield partial(self._cluster.change, change.group, change.cameras)
        for start in actions.starts:
            yield partial(self._cluster.start, start.group, start.node_id, start.cameras)
