"""Debian's mosquitto as a child of a test: a broker that goes away and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_mosquitto = pytest.mark.skipif(
    PROGRAM is None and os.environ.get("CI") != "true", reason="mosquitto is missing"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Mosquitto:
    """A broker on a free port of the loopback, which keeps sessions while it is away.

    more: lines of its configuration, by which others than everybody may be let in.
    """

    def __init__(self, folder: Path, more: tuple[str, ...] = ("allow_anonymous true",)) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "user root",  # else it could not read what only we may
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            *more,
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert PROGRAM is not None, "mosquitto is missing"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-v", "-c", str(self._config)], stdout=log, stderr=log
            )
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, self.log
                time.sleep(0.02)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Connections stay within, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")


class Subscriber:
    """A client that hears everything below a topic, also what came while it was away."""

    def __init__(self, port: int, topic: str = "#", **login: str) -> None:
        self.heard: list[tuple[str, str, bool]] = []  # topic, text, whether it was retained
        self._ready = threading.Event()
        self._topic = topic
        self.client = Client(CallbackAPIVersion.VERSION2, "subscriber", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._message
        if login:
            self.client.username_pw_set(login["user"], login["password"])
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(30)

    def _connected(self, *_: Any) -> None:
        self.client.subscribe(self._topic, qos=1)

    def _message(self, _: Any, __: Any, message: MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload.decode(), message.retain))

    def texts(self, topic: str) -> list[str]:
        """What was heard of a topic, in order."""
        return [text for name, text, _ in self.heard.copy() if name == topic]

    def newest(self) -> dict[str, str]:
        """The newest of every topic."""
        return {name: text for name, text, _ in self.heard.copy()}

    def count(self) -> Counter[str]:
        return Counter(name for name, _, _ in self.heard.copy())

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
