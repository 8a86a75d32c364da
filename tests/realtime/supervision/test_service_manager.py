"""What a service manager is told: by a socket of ours, as systemd's would be."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microspot.realtime.sinks.base import Sink
from microspot.realtime.supervision import service_manager
from microspot.realtime.supervision.service_manager import ServiceManager
from microspot.realtime.watch import follow
from tests.realtime.test_watch import FakeRecords


class Manager:
    """Listens where NOTIFY_SOCKET says."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def told(self) -> list[str]:
        """What came since the last call."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(1000).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    listening = Manager(address)
    yield listening
    listening.close()


class Rounds(FakeRecords):
    """A run of `count` rounds, each of `seconds` by the clock of the service manager's module."""

    def __init__(self, clock: list[float], seconds: float, count: int) -> None:
        super().__init__()
        self._clock = clock
        self._seconds = seconds
        self._count = count

    def run(self) -> Iterator[Any]:
        for _ in range(self._count):
            self.between_rounds()
            self._clock[0] += self._seconds
        yield from super().run()


def run(monkeypatch: pytest.MonkeyPatch, seconds: float, count: int) -> None:
    clock = [100.0]
    monkeypatch.setattr(service_manager.time, "monotonic", lambda: clock[0])
    follow(Rounds(clock, seconds, count), [Sink()])


def test_a_run_tells_when_it_is_ready_works_and_ends(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    run(monkeypatch, seconds=1.0, count=60)
    told = manager.told()
    assert (told[0], told[-1]) == ("READY=1", "STOPPING=1")
    assert told[1:-1] == ["WATCHDOG=1"] * 6  # three in 30 s


def test_a_run_that_hangs_gives_no_sign(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    run(monkeypatch, seconds=1000.0, count=1)
    assert manager.told() == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}]
)
def test_who_does_not_wait_for_us_gets_no_sign(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, watchdog: dict[str, str]
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    for name, value in watchdog.items():
        monkeypatch.setenv(name, value)
    run(monkeypatch, seconds=1.0, count=60)
    assert manager.told() == ["READY=1", "STOPPING=1"]


def test_an_abstract_socket_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"microspot-test-{os.getpid()}"
    listening = Manager("\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
    with ServiceManager():
        assert listening.told() == ["READY=1"]
    listening.close()


def test_a_manager_that_is_gone_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with ServiceManager() as told:
        told.alive()
