"""A broker gets every final event, in order, whatever becomes of it and of us meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import UsageError
from microspot.realtime.commands.watch_steps import check_keep
from microspot.realtime.sinks.base import announce
from microspot.realtime.sinks.mqtt import broker as broker_module
from microspot.realtime.sinks.mqtt import sink as sink_module
from microspot.realtime.sinks.mqtt.home_assistant import level
from microspot.realtime.sinks.mqtt.sink import MqttSink
from microspot.realtime.sinks.network import delivery, spool, spooled
from microspot.realtime.sinks.open import open_sink
from tests.mosquitto import Mosquitto, Subscriber, needs_mosquitto
from tests.realtime.sinks.network.test_webhook import certificate, wait_for
from tests.realtime.sinks.test_sinks import START, event

pytestmark = needs_mosquitto
PASSWORD = "not to be read"


@pytest.fixture(autouse=True)
def _spools_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 30.0)
    monkeypatch.setattr(broker_module, "LONGEST_PAUSE_S", 1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Subscriber]:
    made = Subscriber(broker.port)
    yield made
    made.close()


def opened(broker: Mosquitto, **options: Any) -> MqttSink:
    """The sink of a run that has connected."""
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/lab", **options)
    assert isinstance(sink, MqttSink)
    wait_for(lambda: sink._broker.up)
    return sink


def finals(listener: Subscriber) -> list[dict[str, Any]]:
    """The final events that were heard, in order."""
    told = [json.loads(text) for text in listener.texts("lab/events")]
    return [message["after"] for message in told if message["after"]["status"] == "final"]


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_an_event_is_new_then_an_update_then_ends_under_one_id(
    broker: Mosquitto, listener: Subscriber
) -> None:
    first, second = event("a", "provisional"), event("a", "provisional", score=0.95)
    with opened(broker) as sink:
        for record in (START, first, second, event("a"), event("b", "provisional")):
            sink.take(record)
        sink.take(event("b", "withdrawn"))
        sink.take(event("c", "withdrawn"))  # nobody was told that it began
        wait_for(lambda: len(listener.texts("lab/events")) == 5)
    told = [json.loads(text) for text in listener.texts("lab/events")]
    of_a = [message for message in told if message["after"]["id"] == "a"]
    of_b = [message for message in told if message["after"]["id"] == "b"]
    assert len(of_a) + len(of_b) == len(told)
    assert [message["type"] for message in of_a] == ["new", "update", "end"]
    assert [message["before"] for message in of_a] == [first, first, second]
    assert [message["after"] for message in of_a] == [first, second, event("a")]
    assert [message["type"] for message in of_b] == ["new", "end"]
    assert of_b[-1]["after"] == event("b", "withdrawn")


def test_what_is_retained_tells_who_comes_later_and_says_when_we_leave(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "LATELY_S", 1.0)
    with opened(broker) as sink:
        sink.take(START)
        sink.take({"type": "state", "source": "cam", "state": "live", "detail": "640x480"})
        sink.take(event("a"))
        sink.take(event("b", label=None, label_scores=None, score=0.5))
        wait_for(lambda: not len(sink._spool))
        late = Subscriber(broker.port, "lab/#")
        wait_for(lambda: len(late.newest()) == 4)
        assert all(retained for _, _, retained in late.heard)
        assert late.newest()["lab/available"] == "online"
        assert late.newest()["lab/cam/state"] == "live"
        assert late.newest()["lab/cam/micro_expression"] == "ON"
        last = json.loads(late.newest()["lab/cam/last_event"])
        assert (last["id"], last["name"]) == ("b", "micro-expression")
        wait_for(lambda: late.newest()["lab/cam/micro_expression"] == "OFF")
        sink.take(event("c"))
        sink.take({"type": "end", "source": "cam", "frames": 9, "events": 3})
    wait_for(lambda: late.newest()["lab/available"] == "stopped")
    assert late.newest()["lab/cam/state"] == "ended"
    assert late.newest()["lab/cam/micro_expression"] == "OFF", "at once, since nobody looks"
    late.close()


def test_a_later_event_keeps_a_source_seen_lately(
    broker: Mosquitto, listener: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_module, "LATELY_S", 1.0)
    with opened(broker) as sink:
        for i in range(4):
            sink.take(event(f"e{i}"))
            time.sleep(0.5)
        assert listener.texts("lab/cam/micro_expression") == ["ON"], "once: the broker keeps it"
        assert sum(isinstance(thread, threading.Timer) for thread in threading.enumerate()) <= 1
        wait_for(lambda: listener.texts("lab/cam/micro_expression")[-1] == "OFF")


def configs(listener: Subscriber) -> int:
    """How many configurations of Home Assistant's discovery were heard."""
    return sum(name.endswith("/config") for name, _, _ in listener.heard)


def test_home_assistant_is_told_of_each_source_and_again_when_it_comes_back(
    broker: Mosquitto, listener: Subscriber
) -> None:
    sources = [{"source": name, "started_utc": None} for name in ("cam", "rtsp://10.0.0.5/a")]
    with opened(broker) as sink:
        sink.take(START | {"sources": sources})
        wait_for(lambda: configs(listener) == 4)
        listener.client.publish("homeassistant/status", "offline")
        listener.client.publish("homeassistant/status", "online")
        wait_for(lambda: configs(listener) == 8)
    told = {n: json.loads(t) for n, t in listener.newest().items() if n.endswith("/config")}
    assert len(told) == len({config["unique_id"] for config in told.values()}) == 4
    devices = {json.dumps(config["device"]["identifiers"]) for config in told.values()}
    assert len(devices) == 2, "one device a source"
    binary = told["homeassistant/binary_sensor/microspot_lab_cam/micro_expression/config"]
    assert binary["state_topic"] == "lab/cam/micro_expression"
    newest = told["homeassistant/sensor/microspot_lab_cam/last_event/config"]
    assert newest["json_attributes_topic"] == newest["state_topic"] == "lab/cam/last_event"
    assert all(config["availability_topic"] == "lab/available" for config in told.values())
    state = told[
        f"homeassistant/sensor/microspot_lab_{level('rtsp://10.0.0.5/a')}/last_event/config"
    ]
    assert state["device"]["name"] == "microspot rtsp://10.0.0.5/a"


def test_names_become_levels_of_a_topic_and_stay_apart() -> None:
    names = ["0", "cam", "Cam", "rtsp://h/a#b", "rtsp://h/a+b", "ü", "é", "a" * 90, "a" * 91, ""]
    levels = [level(name) for name in names]
    assert len(set(levels)) == len(names)
    assert all(set("/+#$") & set(found) == set() and found for found in levels)
    assert levels[:2] == ["0", "cam"]


def test_a_broker_that_is_away_gets_every_final_event_also_over_a_restart(
    broker: Mosquitto, listener: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away in the middle of a run, ours ends while it is away, and another begins.

    A minute away: AWAY_S=60 python -m pytest tests/realtime/sinks/mqtt
    """
    away_s = float(os.environ.get("AWAY_S", "4"))
    monkeypatch.setattr(spooled, "CLOSING_S", 1.0)
    sources = ("one", "two")
    sent: list[str] = []

    def take(sink: MqttSink, count: int) -> None:
        for _ in range(count):
            number = len(sent)
            sent.append(f"e{number:03}")
            sink.take(event(sent[-1], source=sources[number % 2]))

    sink = opened(broker)
    take(sink, 20)
    broker.stop()
    back_s = time.monotonic() + away_s
    take(sink, 20)
    time.sleep(away_s / 2)
    take(sink, 20)
    sink.close()
    assert "events wait for mqtt://127.0.0.1" in sink.remark
    again = open_sink(f"mqtt://127.0.0.1:{broker.port}/lab")
    assert isinstance(again, MqttSink)
    take(again, 20)
    time.sleep(max(0.0, back_s - time.monotonic()))
    broker.start()
    wait_for(lambda: set(sent) <= set(ids(finals(listener))))
    take(again, 20)
    wait_for(lambda: set(sent) <= set(ids(finals(listener))))
    again.close()
    assert again.remark == ""
    assert len(spool.Spool(f"mqtt://127.0.0.1:{broker.port}/lab")) == 0
    first_time = list(dict.fromkeys(ids(finals(listener))))  # who reads takes each id once
    for parity in (0, 1):
        assert first_time[parity::2] == sent[parity::2], sources[parity]
    assert sorted(first_time) == sent
    newest = json.loads(listener.newest()["lab/two/last_event"])
    assert newest["id"] == sent[-1]


def test_what_waits_is_sent_as_soon_as_the_broker_is_back(
    broker: Mosquitto, listener: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "ANSWER_S", 0.1)
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 600.0)
    with opened(broker) as sink:
        sink.take(START)
        broker.stop()
        wait_for(lambda: not sink._broker.up)
        sink.take(event("a"))
        time.sleep(1)  # so that the first attempt is over, and the pause begun
        heard = listener.count()["lab/cam/state"]
        broker.start()
        wait_for(lambda: ids(finals(listener)) == ["a"])
        wait_for(lambda: listener.count()["lab/cam/state"] > heard)  # the broker may have lost it
        wait_for(lambda: not len(sink._spool))


def test_an_event_waits_on_the_disk_until_the_broker_has_taken_it(
    broker: Mosquitto, listener: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "ANSWER_S", 0.1)
    with opened(broker) as sink:
        wait_for(lambda: sink._broker.up)
        with broker.hanging():
            sink.take(event("a"))
            time.sleep(1)
            assert len(sink._spool) == 1
        wait_for(lambda: not len(sink._spool))
    assert "a" in ids(finals(listener))


def test_a_broker_that_is_killed_again_and_again_loses_nothing(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """What the broker itself had not written is lost with it: who hears it must stay there."""
    with opened(broker) as sink:
        heard: list[str] = []
        for turn in range(3):
            listener = Subscriber(broker.port)
            numbers = [f"e{turn}{i}" for i in range(10)]
            for name in numbers[:5]:
                sink.take(event(name))
            wait_for(lambda: set(numbers[:5]) <= set(ids(finals(listener))))  # noqa: B023
            heard += ids(finals(listener))
            listener.client.loop_stop()
            broker.stop(signal.SIGKILL)
            for name in numbers[5:]:
                sink.take(event(name))
            assert len(sink._spool) >= 5
            broker.start()
            wait_for(lambda: not len(sink._spool))
        assert set(heard) >= {f"e{turn}{i}" for turn in range(3) for i in range(5)}


def test_the_broker_says_that_we_are_gone_when_we_vanish(
    broker: Mosquitto, listener: Subscriber
) -> None:
    code = (
        "import os, sys, time\n"
        "from microspot.realtime.sinks.open import open_sink\n"
        "sink = open_sink(sys.argv[1])\n"
        "while not sink._broker.up: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
        "os._exit(1)\n"
    )
    address = f"mqtt://127.0.0.1:{broker.port}/lab"
    subprocess.run([sys.executable, "-c", code, address], timeout=60)
    wait_for(lambda: listener.texts("lab/available")[-1:] == ["offline"])
    assert listener.texts("lab/available") == ["online", "offline"]


def test_user_and_password_come_from_the_environment_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users"
    command = ["mosquitto_passwd", "-b", "-c", str(file), "watcher", PASSWORD]
    subprocess.run(command, check=True)
    login = ("allow_anonymous false", f"password_file {file}")
    guarded = Mosquitto(tmp_path, login)
    monkeypatch.setattr(spooled, "CLOSING_S", 0.5)
    try:
        refused = open_sink(f"mqtt://127.0.0.1:{guarded.port}/lab")
        refused.take(event("a"))
        wait_for(lambda: "not authori" in guarded.log)
        refused.close()
        assert "1 events wait" in refused.remark
        assert "the broker refused us: Not authorized" in refused.remark
        monkeypatch.setenv("MICROSPOT_MQTT_USER", "watcher")
        (tmp_path / "password").write_text(f"{PASSWORD}\n")
        monkeypatch.setenv("MICROSPOT_MQTT_PASSWORD_FILE", str(tmp_path / "password"))
        listener = Subscriber(guarded.port, user="watcher", password=PASSWORD)
        with opened(guarded) as sink:
            wait_for(lambda: ids(finals(listener)) == ["a"])
        assert PASSWORD not in "".join([sink.note, sink.remark, repr(vars(sink))])
        listener.close()
    finally:
        guarded.stop()
    monkeypatch.delenv("MICROSPOT_MQTT_USER")
    with pytest.raises(UsageError, match="give the user too") as caught:
        open_sink("mqtt://127.0.0.1:1/lab")
    assert PASSWORD not in str(caught.value)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of paho-mqtt,
# which leaves the socket of a failed handshake to the garbage collector
def test_a_broker_that_cannot_prove_who_it_is_gets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = certificate(tmp_path)
    encrypted = Mosquitto(tmp_path, ("allow_anonymous true", f"certfile {chain}", f"keyfile {key}"))
    monkeypatch.setattr(spooled, "CLOSING_S", 2.0)
    address = f"mqtts://localhost:{encrypted.port}"
    try:
        with open_sink(address) as sink:
            sink.take(event("a"))
        assert "1 events wait" in sink.remark
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        monkeypatch.setattr(spooled, "CLOSING_S", 30.0)
        with open_sink(address) as sink:
            assert isinstance(sink, MqttSink)
            wait_for(lambda: not len(sink._spool))
        assert sink.remark == ""
        assert "microspot-" in encrypted.log
    finally:
        encrypted.stop()


def test_what_waits_is_forgotten_and_leaves_after_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled, "CLOSING_S", 0.05)
    address = "mqtt://127.0.0.1:1/lab"  # nobody is there
    sink = open_sink(address)
    sink.take(event("a", source="garden-cam"))
    sink.take(event("b"))
    sink.close()
    assert spool.forget({"garden-cam"}) == 1
    (file,) = (tmp_path / "state").rglob("*.spool")
    assert b"garden" not in file.read_bytes()
    with open_sink(address, keep_days=1e-9) as later:
        assert isinstance(later, MqttSink)
        wait_for(lambda: not len(later._spool))
    assert later.remark == ""
    check_keep(30, [address])


def test_pictures_say_where_events_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS", "mqtts://lab.invalid/home")
    monkeypatch.setattr(spooled, "CLOSING_S", 0.01)
    with open_sink("env:BUS") as sink, open_sink("-") as other:
        announce([sink, other])
        assert other.notes == ("sending events to mqtts://lab.invalid/home",)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mqtt://lab.example/microspot", "by mqtts alone"),
        ("mqtt://10.0.0.5:1883", "by mqtts alone"),
        ("mqtts://user:hidden@lab.example", "MICROSPOT_MQTT_PASSWORD"),
        ("mqtts:///lab", "no host"),
        ("mqtts://lab.example:port/lab", "--out"),
        ("mqtts://lab.example/a/#", "the prefix of letters"),
        ("mqtts://lab.example/a/+/b", "the prefix of letters"),
        ("mqtts://lab.example/$SYS", "the prefix of letters"),
        ("mqtts://lab.example/a?b=c", "the prefix of letters"),
    ],
)
def test_an_address_that_events_may_not_go_to_is_refused(address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_sink(address)
    assert "hidden" not in str(caught.value)
