"""The supervisor's and the commands' end of the actor that holds a Control."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import UsageError
from .control import NAME, Control
from .ray_start import NAMESPACE

ANSWER_S = 20.0  # that the actor has for an answer
# A resource of Ray's own, which the head node alone has: the actor lives as long as the cluster.
ON_HEAD = {"node:__internal_head__": 0.001}


class RayControl:
    """A supervisor at the control of its cluster, which is made where there is none.

    `beat` gives the nodes to empty. Raises UsageError where another supervisor works.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._supervisor = secrets.token_hex(8)
        self._actor = (
            ray.remote(Control)
            .options(
                name=NAME,
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                resources=ON_HEAD,
                max_restarts=-1,
                max_task_retries=0,
            )
            .remote()
        )
        self._draining: frozenset[str] = frozenset()
        self._asked: Any = None
        self._take(ray.get(self._actor.beat.remote(self._supervisor), timeout=ANSWER_S))

    def beat(self) -> frozenset[str]:
        """The nodes that should be emptied, as far as is known; waits for nothing."""
        if self._asked is not None and self._ray.wait([self._asked], timeout=0)[0]:
            answer, self._asked = self._asked, None
            try:
                self._take(self._ray.get(answer))
            except self._ray.exceptions.RayError:  # it is being started again, with no memory
                self._actor.drain.remote(self._draining)
        if self._asked is None:
            self._asked = self._actor.beat.remote(self._supervisor)
        return self._draining

    def leave(self) -> None:
        """Let another supervisor follow at once."""
        self._ray.get(self._actor.leave.remote(self._supervisor), timeout=ANSWER_S)

    def _take(self, draining: frozenset[str] | None) -> None:
        if draining is None:
            raise UsageError("another `fleet run` supervises this cluster: end that one first")
        self._draining = draining


@contextmanager
def controlling(ray: Any) -> Iterator[RayControl]:
    """A RayControl that leaves however its block ends, where there is a cluster left to be told."""
    control = RayControl(ray)
    try:
        yield control
    except ray.exceptions.RayError:
        raise
    except BaseException:
        with suppress(ray.exceptions.RayError):
            control.leave()
        raise
    control.leave()


def find_control(ray: Any) -> Any:
    """The actor of a cluster that a fleet runs on. Raises UsageError where none does."""
    try:
        return ray.get_actor(NAME, namespace=NAMESPACE)
    except ValueError:
        raise UsageError(
            "no fleet runs on this cluster: start one with `microspot fleet run FILE`"
        ) from None
