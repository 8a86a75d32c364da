"""`microspot fleet run`: how it ends. Stand-ins take the place of Ray and of its rounds."""

import signal
from types import SimpleNamespace

import pytest
import typer

from microspot.engines.commands.entry_point import INTERRUPTED
from microspot.engines.system.signals import ENDINGS
from microspot.realtime.commands import fleet
from microspot.realtime.errors import EngineError
from microspot.realtime.fleet import ray_start, run, status


class RayError(Exception):
    pass


@pytest.fixture
def signals():
    """Puts the handlers back."""
    before = {number: signal.getsignal(number) for number in ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def done(monkeypatch, signals):
    """What the command did, in order; a SIGTERM ends its rounds."""
    found = []

    def rounds(ray, watched, arguments, stop, say):
        found.append("rounds")
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()

    ray = SimpleNamespace(exceptions=SimpleNamespace(RayError=RayError))
    monkeypatch.setattr(ray_start, "connect", lambda address: ray)
    monkeypatch.setattr(run, "run_fleet", rounds)
    monkeypatch.setattr(status, "stop", lambda ray, wait_s: found.append(f"stop {wait_s:g}"))
    return found


@pytest.mark.parametrize(
    ("address", "expected"),
    [("", ["rounds", "stop 7"]), ('address = "auto"', ["rounds"])],
)
def test_groups_on_a_cluster_of_its_own_are_ended_in_order(tmp_path, done, address, expected):
    path = tmp_path / "fleet.toml"
    path.write_text(f'[fleet]\nout = ["/srv/events.db"]\nstop_s = 7.0\n{address}\n')
    with pytest.raises(typer.Exit) as ended:
        fleet.run(path)
    assert ended.value.exit_code == INTERRUPTED
    assert done == expected


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_signal_that_is_ignored_stays_so(tmp_path, done):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    path = tmp_path / "fleet.toml"
    path.write_text('[fleet]\nout = ["/srv/events.db"]\n')
    with pytest.raises(typer.Exit):
        fleet.run(path)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("status", lambda: fleet.status()),
        ("drain", lambda: fleet.drain("a")),
        ("stop", lambda: fleet.stop()),
    ],
)
def test_an_error_of_ray_is_an_error_of_ours(monkeypatch, done, name, call):
    def fails(*_):
        raise RayError("no answer")

    monkeypatch.setattr(status, name, fails)
    with pytest.raises(EngineError, match="does not answer"):
        call()
