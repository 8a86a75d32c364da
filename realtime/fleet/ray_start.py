"""Ray as this project uses it: joined or started without telemetry, without a dashboard."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from microspot.engines.errors import install
from microspot.engines.telemetry import RAY, switch_off

from ..errors import EngineError, UsageError

NAMESPACE = "microspot"
LOOPBACK = "127.0.0.1"
# Bytes of the object store of a cluster that we start: frames never pass through it.
OBJECT_STORE = 100 << 20
AUTH_MODE = "RAY_AUTH_MODE"  # of Ray, which reads it when it is imported


def import_ray() -> Any:
    """The package, its telemetry off before it loads. Raises UsageError where it is missing."""
    switch_off(RAY)
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"a fleet needs Ray: {install('fleet')}") from error
    return ray


def connect(address: str | None) -> Any:
    """Join the cluster at an address, or start one on this machine's loopback where it is None.

    One that is started here checks a token, unless the environment says otherwise. Gives the
    package. Raises EngineError where no cluster answers.
    """
    if address is None:
        os.environ.setdefault(AUTH_MODE, "token")
    ray = import_ray()
    common = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=OBJECT_STORE,
                _node_ip_address=LOOPBACK,
                **common,
            )
        else:
            ray.init(address=address, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = "on this machine" if address in (None, "auto") else f"at {address}"
        raise EngineError(
            f"no Ray cluster answers {where} ({first_line(error)}); "
            "start one with `ray start --head`, and check address and token"
        ) from error
    return ray


@contextmanager
def cluster_errors(ray: Any) -> Iterator[None]:
    """Make an EngineError of one line of any error of Ray's."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise EngineError(
            f"the Ray cluster is gone or does not answer ({first_line(error)}); "
            "see `ray status` on its head"
        ) from error


def first_line(error: Exception) -> str:
    """What an error of Ray's says first: the rest is a traceback."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
