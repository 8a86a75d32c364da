"""Workers: what came of a video, on this machine and on a cluster whose machines come and go."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from microspot.engines.runtime.engine import EngineSet
from microspot.engines.system.processes import available_cores
from microspot.realtime.analyze.one_video import Job, RunInterruptedError
from microspot.realtime.analyze.videos import Video
from microspot.realtime.analyze.workers import (
    Outcome,
    RayWorkers,
    analyze_in,
    analyze_job,
    open_workers,
)
from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError, EngineError


class RayError(Exception):
    """As Ray's: of a machine or of a task."""


class RayTaskError(RayError):
    """As Ray's: what the task raised."""


class StandIn:
    """Ray as far as RayWorkers uses it: a cluster of some cores, and tasks that the test ends."""

    def __init__(self, cores: float) -> None:
        self.cores = cores
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.options: dict[str, Any] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.cancelled: list[Any] = []
        self.left = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cores} if self.cores else {}

    def remote(self, function: Callable[..., Outcome]) -> Any:
        def called(*arguments: Any) -> Any:
            self.asked.append((function, *arguments))
            future: Future[Outcome] = Future()
            return SimpleNamespace(future=lambda: future)

        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=called)

        return SimpleNamespace(options=options)

    def cancel(self, task: Any) -> None:
        self.cancelled.append(task.future())

    def shutdown(self) -> None:
        self.left = True


def no_engines() -> EngineSet:
    raise EngineError("no weights here")


def job(out: Path) -> Job:
    return Job(Video("a.mp4", "a.mp4", ""), out, Settings())


@pytest.mark.parametrize(
    ("most", "jobs", "count"), [(5, 3, 3), (2, 3, 2), (None, 1000, available_cores()), (4, 0, 1)]
)
def test_there_are_no_more_processes_than_videos(most: int | None, jobs: int, count: int) -> None:
    with open_workers(most, None, jobs) as workers:
        assert workers.count == count


def test_as_many_are_at_work_as_the_cluster_has_cores() -> None:
    ray = StandIn(cores=12.0)
    assert RayWorkers(ray, None).count == 12
    assert RayWorkers(ray, 5).count == 5
    workers = RayWorkers(ray, 20)
    assert workers.count == 12
    ray.cores = 16.0  # a machine has joined
    assert workers.count == 16
    ray.cores = 0.0  # all have left: one waits for the next
    assert workers.count == 1


def test_a_task_runs_where_this_process_does(tmp_path: Path) -> None:
    ray = StandIn(cores=2)
    RayWorkers(ray, None).submit(job(tmp_path), no_engines)
    assert ray.asked == [(analyze_in, os.getcwd(), job(tmp_path), no_engines)]
    assert ray.options["num_cpus"] == 1
    assert ray.options["max_retries"] > 0
    assert ray.options["retry_exceptions"] == [RunInterruptedError]


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            RayError("The node died.\nTraceback"),
            r"no machine .* could finish it \(The node died\.\)",
        ),
        (RunInterruptedError(), "no machine .* each was told to stop"),
    ],
)
def test_a_video_that_no_machine_finishes_is_an_error_of_its_own(
    tmp_path: Path, raised: Exception, said: str
) -> None:
    workers = RayWorkers(StandIn(cores=2), None)
    lost = workers.submit(job(tmp_path), no_engines)
    other = workers.submit(job(tmp_path), no_engines)
    lost.set_exception(raised)
    other.set_result(DataError("full"))
    outcome = workers.outcome(lost)
    assert isinstance(outcome, EngineError)
    with pytest.raises(EngineError, match=said):
        raise outcome
    assert isinstance(workers.outcome(other), DataError)


def test_a_fault_of_ours_is_not_taken_for_a_lost_machine(tmp_path: Path) -> None:
    workers = RayWorkers(StandIn(cores=2), None)
    wrong = workers.submit(job(tmp_path), no_engines)
    wrong.set_exception(RayTaskError("KeyError"))
    with pytest.raises(RayTaskError):
        workers.outcome(wrong)


def test_only_what_is_under_way_is_given_up(tmp_path: Path) -> None:
    ray = StandIn(cores=2)
    workers = RayWorkers(ray, None)
    done, begun = (workers.submit(job(tmp_path), no_engines) for _ in range(2))
    done.set_result(DataError("full"))
    workers.outcome(done)
    workers.close()
    assert ray.cancelled == [begun]
    assert ray.left


def test_relative_paths_begin_where_they_do_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "there"
    outcome = analyze_in(str(there), job(tmp_path), no_engines)
    assert isinstance(outcome, DataError)
    assert "all must see this folder" in str(outcome)
    there.mkdir()
    assert str(analyze_in(str(there), job(tmp_path), no_engines)) == "no weights here"
    assert Path.cwd() == there


def test_what_is_wrong_with_a_video_is_its_outcome(tmp_path: Path) -> None:
    outcome = analyze_job(job(tmp_path), no_engines)
    assert isinstance(outcome, EngineError)
