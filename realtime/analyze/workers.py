"""Who analyses videos: processes of this machine, or tasks of a Ray cluster.

Both run the same function over the same jobs, so the results are the same bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import wait as wait_for
from typing import Any, Protocol, TypeAlias

from microspot.engines.runtime.engine import EngineSet
from microspot.engines.system.processes import available_cores

from ..errors import DataError, EngineError, MicrospotError
from ..fleet.ray_start import connect, first_line
from .one_video import Analysis, Job, RunInterruptedError, analyze_video

RETRIES = 3  # of a video whose machine is lost or shut down; not from the papers

LoadEngines = Callable[[], EngineSet]
Outcome: TypeAlias = Analysis | MicrospotError
OpenWorkers = Callable[[int], AbstractContextManager["Workers"]]  # for so many videos


class Workers(Protocol):
    """Takes videos, at most `count` at once."""

    @property
    def count(self) -> int:
        """How many are worth having at work now."""

    def submit(self, job: Job, load: LoadEngines) -> Future[Outcome]:
        """Begin with a video; `load` is called by whoever analyses it."""

    def outcome(self, done: Future[Outcome]) -> Outcome:
        """What came of a video. Raises KeyboardInterrupt where a signal ended it."""

    def close(self) -> None:
        """End: what has begun is finished by processes, and given up by a cluster."""


@contextmanager
def open_workers(most: int | None, cluster: str | None, jobs: int) -> Iterator[Workers]:
    """Workers until the block ends.

    most: at once, None for as many as there are cores; cluster: the address of a Ray cluster, or
    auto; None for this machine; jobs: how many videos there are. Raises UsageError where Ray is not
    installed and EngineError where no cluster answers.
    """
    workers: Workers
    if cluster is None:
        workers = ProcessWorkers(max(1, min(most or available_cores(), jobs)))
    else:
        workers = RayWorkers(connect(cluster), most)
    try:
        yield workers
    finally:
        workers.close()


class ProcessWorkers:
    """Processes of this machine; one even where `count` is 1, for this one shows the progress."""

    def __init__(self, count: int) -> None:
        self.count = count
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(count, context, _end_with_parent)

    def submit(self, job: Job, load: LoadEngines) -> Future[Outcome]:
        """Give a video to a process that is free."""
        return self._executor.submit(analyze_job, job, load)

    def outcome(self, done: Future[Outcome]) -> Outcome:
        """What came of a video. Raises KeyboardInterrupt where a signal ended it."""
        try:
            return done.result()
        except RunInterruptedError:
            raise KeyboardInterrupt from None

    def close(self) -> None:
        """Wait for the videos that are under way."""
        self._executor.shutdown(cancel_futures=True)


class RayWorkers:
    """Tasks of a Ray cluster, one for each of its cores; machines may come and go.

    Every machine must see the videos and the folder of the results under the same paths. A video
    whose machine is lost is begun again on another. ray: the package, connected. most: at once,
    None for as many as the cluster has cores.
    """

    def __init__(self, ray: Any, most: int | None) -> None:
        self._ray = ray
        self._most = most
        self._folder = os.getcwd()
        self._under_way: dict[Future[Outcome], Any] = {}
        options = {
            "num_cpus": 1,
            "max_retries": RETRIES,
            "retry_exceptions": [RunInterruptedError],  # by a signal to that machine, not to ours
        }
        self._task = ray.remote(analyze_in).options(**options)

    @property
    def count(self) -> int:
        """As many as the cluster has cores now."""
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        return max(1, cores if self._most is None else min(cores, self._most))

    def submit(self, job: Job, load: LoadEngines) -> Future[Outcome]:
        """Make a task of a video."""
        task = self._task.remote(self._folder, job, load)
        future: Future[Outcome] = task.future()
        self._under_way[future] = task
        return future

    def outcome(self, done: Future[Outcome]) -> Outcome:
        """What came of a video; an EngineError where no machine could finish it."""
        del self._under_way[done]
        lost = "no machine of the cluster could finish it"
        try:
            return done.result()
        except RunInterruptedError:
            return EngineError(f"{lost}: each was told to stop")
        except self._ray.exceptions.RayTaskError:
            raise  # a fault of ours
        except self._ray.exceptions.RayError as error:
            return EngineError(f"{lost} ({first_line(error)})")

    def close(self) -> None:
        """Give up what is under way, and leave the cluster."""
        for task in self._under_way.values():
            self._ray.cancel(task)
        self._ray.shutdown()


def analyze_job(job: Job, load: LoadEngines) -> Outcome:
    """Analyse one video, with engines of its own; what is wrong with it is its outcome."""
    try:
        with load() as engines:
            return analyze_video(job, engines)
    except MicrospotError as error:
        return error


def analyze_in(folder: str, job: Job, load: LoadEngines) -> Outcome:
    """`analyze_job` on another machine, where relative paths begin at a folder as they do here."""
    try:
        os.chdir(folder)
    except OSError as error:
        return DataError(
            f"{folder}: {error.strerror} on a machine of the cluster; all must see this folder, "
            "the videos and the results under the same paths"
        )
    return analyze_job(job, load)


def _end_with_parent() -> None:
    """Let this process end when the one that began it is gone: nobody waits for its results."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait_for([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
