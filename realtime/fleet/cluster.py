"""What the supervisor of a fleet sees of its machines, and what it asks of them. Knows no Ray.

A group is a process (under Ray an actor) that captures and watches a few cameras on one node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import MicrospotError


class ClusterError(MicrospotError):
    """A cluster did not take an action; the next round asks again where it is still needed."""


@dataclass(frozen=True)
class CameraWanted:
    """A camera that should be watched. Two that are equal need no change.

    name: unique in the fleet; host: the only host it may run on, None for any.
    """

    name: str
    source: str
    host: str | None = None


@dataclass(frozen=True)
class Node:
    """A machine, or a part of one, that groups run on.

    id: never used again once the node has gone; host: what cameras are pinned by, several nodes may
    share it; cameras_max: how many cameras it carries; draining: whether it should be emptied.
    failed_s: when a group last failed on it or did not come up, on the clock of `now_s` in
    `Supervisor.reconcile`; None where none has, as far as this cluster has seen.
    """

    id: str
    host: str
    cameras_max: int
    draining: bool = False
    failed_s: float | None = None


@dataclass(frozen=True)
class GroupState:
    """A group as the cluster knows it.

    node_id: where it runs; empty while the cluster does not know, and not what it has either,
    because the supervisor was started again. cameras: as asked of it last, whether it has them
    already or not; releasing: names of cameras that it was asked to leave and may still hold;
    stopping: whether it was asked to stop. alive: whether its process has answered since it was
    started, for the first time or again. last_seen_s: when it last answered, of one that never has
    when it was asked to start, or was found, on the clock of `now_s` in `Supervisor.reconcile`.
    failed: whether it has said that it does not run any more, or could not be made.
    """

    name: str
    node_id: str
    cameras: tuple[CameraWanted, ...]
    alive: bool
    last_seen_s: float
    releasing: tuple[str, ...] = ()
    stopping: bool = False
    failed: bool = False


class Cluster(Protocol):
    """Machines and the groups on them.

    Nothing here waits for a group: an action is passed on, and what was asked shows in `groups`
    from its return on, also for a supervisor that starts later. Two groups never hold one camera:
    the supervisor places a camera when no group has it in `cameras` or `releasing`, so a group must
    stay in `groups` until it has let go of its cameras, and a node in `nodes` until the cluster is
    sure that nothing runs on it.
    """

    def nodes(self) -> Sequence[Node]:
        """All nodes that live, draining ones too."""

    def groups(self) -> Sequence[GroupState]:
        """All groups that have not ended, wherever they run.

        Those of a node that has gone stay until `stop` or are left out at once, as is easier.
        """

    def start(self, group: str, node_id: str, cameras: Sequence[CameraWanted]) -> None:
        """Start a group of a new name on a node. Raises ClusterError."""

    def change(self, group: str, cameras: Sequence[CameraWanted]) -> None:
        """Let a group have these cameras from now on: those that stay are not disturbed.

        Raises ClusterError.
        """

    def stop(self, group: str) -> None:
        """End a group: it flushes open segments and closes its sinks.

        One that does not answer is killed after a limit of the cluster's own. Raises ClusterError.
        """
