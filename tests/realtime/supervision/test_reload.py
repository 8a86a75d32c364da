"""Settings and credentials read anew: what is open goes on; what cannot be read changes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.realtime.config import Settings
from microspot.realtime.errors import UsageError
from microspot.realtime.records import Event
from microspot.realtime.session import Session
from microspot.realtime.sinks.base import Sink
from microspot.realtime.sinks.callback import CallbackSink
from microspot.realtime.sinks.network.push import WebsocketSink
from microspot.realtime.supervision import reload as module
from microspot.realtime.supervision.reload import Reload
from microspot.realtime.watch import follow
from tests import fakes
from tests.realtime.test_watch import FakeRecords

TICKS = 400


def features() -> np.ndarray:
    return fakes.features(np.random.default_rng(3), TICKS, 0.5)


def push(session: Session, first: int, stop: int) -> list[Event]:
    found = []
    for tick in range(first, stop):
        found += session.push(fakes.crop(features()[:, tick], tick * 33_333_333, tick))
    return found


def finals(events: list[Event]) -> list[Event]:
    return [event for event in events if event.status == "final"]


def test_another_threshold_holds_from_the_next_tick_on_and_the_segment_goes_on() -> None:
    strict = Settings(threshold=0.9, proposal_threshold=0.6)
    session = Session(fakes.engine_set(), "cam", settings=Settings())
    early = push(session, 0, TICKS // 2)
    session.retune(strict)
    late = push(session, TICKS // 2, TICKS) + session.flush()
    assert session.ticks == TICKS  # no new segment began

    as_it_was = Session(fakes.engine_set(), "cam", settings=Settings())
    assert push(as_it_was, 0, TICKS // 2) == early
    lenient = finals(push(as_it_was, TICKS // 2, TICKS) + as_it_was.flush())
    middle_ns = (TICKS // 2 + 20) * 33_333_333
    new = [event for event in finals(late) if event.onset_ns > middle_ns]
    old = [event for event in lenient if event.onset_ns > middle_ns]
    assert any(event.score < 0.9 for event in old)
    assert all(event.score >= 0.9 for event in new)
    # every provisional event has exactly one end
    ends = [event.id for event in [*early, *late] if event.status != "provisional"]
    assert sorted(ends) == sorted({event.id for event in [*early, *late]})


def test_a_face_with_its_own_threshold_counts_from_the_new_one() -> None:
    session = Session(fakes.engine_set(), "cam", settings=Settings(alarms_per_min=5.0))
    push(session, 0, 30)
    before = session.personal_state()
    session.retune(Settings(alarms_per_min=5.0, threshold=0.95))
    after = session.personal_state()
    assert before is not None
    assert after is not None
    assert before.seen_s == after.seen_s > 0
    assert after.threshold > before.threshold


def write(path: Path, text: str) -> None:
    path.write_text(text)


def loader(path: Path, **options: Any) -> partial[Settings]:
    return partial(Settings.load, path, **options)


def test_what_a_run_cannot_take_up_waits_for_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    write(path, "threshold = 0.5\n")
    load = loader(path, label_floor=0.6)
    now = load()
    reload = Reload(load, (path,))
    write(path, "threshold = 0.8\nfaces = 2\nlabel_floor = 0.1\n")
    settings, said = reload.read(now)
    assert settings == now.model_copy(update={"threshold": 0.8})  # an option beats the file
    assert said == "read anew: threshold 0.8; faces change with the next start"


@pytest.mark.parametrize("text", ["treshold = 0.8\n", "threshold = \n", None])
def test_settings_that_cannot_be_read_change_nothing(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "s.toml"
    write(path, "threshold = 0.5\n")
    now = loader(path)()
    reload = Reload(loader(path), (path,))
    path.unlink()
    if text is not None:
        write(path, text)
    settings, said = reload.read(now)
    assert settings == now
    assert said.startswith("settings stay as they were: configuration")


def test_it_is_due_once_after_a_request_and_after_a_change_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    secret = tmp_path / "secret"
    monkeypatch.setenv("MICROSPOT_WEBHOOK_SECRET_FILE", str(secret))
    path = tmp_path / "s.toml"
    write(path, "threshold = 0.5\n")
    reload = Reload(loader(path), (path,))

    def due() -> list[bool]:
        clock[0] += module.EVERY_S
        return [reload.due(), reload.due()]

    assert due() == [False, False]
    reload.ask()
    assert due() == [True, False]
    write(path, "threshold = 0.\n")
    assert due() == [False, False]  # it may be half written
    write(path, "threshold = 0.25\n")
    assert due() == [False, False]
    assert due() == [True, False]
    write(secret, "x" * 20)
    assert due() + due() == [False, False, True, False]
    path.unlink()
    assert due() + due() == [False, False, True, False]
    assert due() == [False, False]


class Lasting(FakeRecords):
    """A run that gets SIGHUP in its first round."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.retuned: list[Settings] = []

    def describe(self) -> dict[str, Any]:
        return {"type": "start", "sources": [{"source": "cam"}]}

    def retune(self, settings: Settings) -> None:
        self.retuned.append(settings)

    def run(self) -> Iterator[Any]:
        signal.raise_signal(signal.SIGHUP)
        self.between_rounds()
        yield from super().run()


class Secretive(Sink):
    """A sink that counts how often it read its credentials, and cannot read them."""

    times = 0

    def reload(self) -> None:
        self.times += 1
        raise UsageError("X_FILE: gone cannot be read")


def test_sighup_without_a_terminal_reads_anew_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microspot.realtime.watch.has_terminal", lambda: False)
    path = tmp_path / "s.toml"
    write(path, "threshold = 0.5\n")
    load = loader(path)
    records = Lasting(load())
    reload = Reload(load, (path,))
    write(path, "threshold = 0.75\n")
    kept: list[dict[str, Any]] = []
    sink = Secretive()
    outcome = follow(records, [CallbackSink(kept.append, False), sink], reload=reload)
    assert outcome.code == 0
    assert [settings.threshold for settings in records.retuned] == [0.75]
    assert sink.times == 1
    (told,) = [record for record in kept if record["type"] == "warning"]
    said = "read anew: threshold 0.75; credentials stay as they were: X_FILE: gone cannot be read"
    assert (told["source"], told["kind"], told["detail"]) == ("cam", "settings", said)


def test_sighup_of_a_terminal_still_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microspot.realtime.watch.has_terminal", lambda: True)
    records = Lasting(Settings())
    assert follow(records, [Sink()], reload=Reload(Settings)).code == 130
    assert records.retuned == []


def test_a_token_is_read_anew_and_stays_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("first-first-first-first")
    monkeypatch.setenv("MICROSPOT_PUSH_TOKEN_FILE", str(file))
    with WebsocketSink("ws:127.0.0.1:0") as sink:
        host = f"127.0.0.1:{sink.port}"
        second = "Bearer second-second-second"
        assert sink.gate.refusal(host, None, second, "/") is not None
        file.write_text("second-second-second")
        sink.reload()
        assert sink.gate.refusal(host, None, second, "/") is None
        monkeypatch.delenv("MICROSPOT_PUSH_TOKEN_FILE")
        with pytest.raises(UsageError, match="gone"):
            sink.reload()
        assert sink.gate.refusal(host, None, None, "/") is not None


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_takes_another_threshold_from_its_file(tmp_path: Path, processes: int) -> None:
    config = tmp_path / "s.toml"
    config.write_text("threshold = 0.5\n")
    command = [sys.executable, "-m", "microspot.realtime", "watch", "sample", "sample:synthetic:7"]
    command += ["--pace", "--json", "--engines", "baseline", "--config", str(config)]
    command += ["--processes", str(processes)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout is not None
    assert json.loads(running.stdout.readline())["type"] == "start"
    config.write_text("threshold = 0.999999\n")
    os.kill(running.pid, signal.SIGHUP)
    told = json.loads(running.stdout.readline())
    while told["type"] != "warning":
        told = json.loads(running.stdout.readline())
    assert told["detail"].startswith("read anew: threshold 0.999999")
    time.sleep(1.0)
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    late = [record for record in map(json.loads, out.splitlines()) if record["type"] == "end"]
    assert len(late) == 2
