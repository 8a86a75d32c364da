"""The connection to an MQTT broker, which comes back by itself.

paho-mqtt keeps it, in a thread of its own. It says `online` to a topic whenever it has come, and
`stopped` at the end; the broker says `offline` there, as our last will, when we vanish.
"""

from __future__ import annotations

import os
import secrets
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from microspot.engines.errors import install

from ...errors import UsageError
from ..network.secret import read_secret
from .home_assistant import OFFLINE, ONLINE, STATUS, STOPPED

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

USER = "MICROSPOT_MQTT_USER"
PASSWORD = "MICROSPOT_MQTT_PASSWORD"
PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S = 20  # after one and a half of these without a word, the broker takes us for gone
ANSWER_S = 2.0  # how long one attempt waits for the broker
LONGEST_PAUSE_S = 30  # between attempts to connect; the first is 1 s, and they double
GOODBYE_S = 2.0  # for the last words to arrive


class Message(NamedTuple):
    """What is published, and whether the broker keeps it for those who come later."""

    topic: str
    text: str
    retain: bool = False


class Broker:
    """A connection to the broker at `url`, once started; safe from any thread.

    available: the topic of online, stopped and offline; came: called from the connection's thread
    whenever it has come, and when Home Assistant has. Raises UsageError where paho-mqtt is missing,
    or for a password without a user.
    """

    def __init__(
        self, url: urllib.parse.SplitResult, available: str, came: Callable[[], None]
    ) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise UsageError(f"{url.scheme}: needs paho-mqtt: {install('mqtt')}") from error
        self.refusal = ""  # why the broker did not let us in, when last it did not
        self._up = threading.Event()
        self._available = available
        self._came = came
        self._sent: tuple[int, MQTTMessageInfo] | None = None  # what `deliver` waits for
        self._client = Client(CallbackAPIVersion.VERSION2, f"microspot-{secrets.token_hex(6)}")
        self._client.will_set(available, OFFLINE, qos=1, retain=True)
        self._client.reconnect_delay_set(1, LONGEST_PAUSE_S)
        self.log_in()
        if url.scheme == "mqtts":
            self._client.tls_set_context(ssl.create_default_context())
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._heard
        self._client.connect_async(
            url.hostname or "", url.port or PORTS[url.scheme], keepalive=KEEPALIVE_S
        )

    def log_in(self) -> None:
        """Take user and password from the environment, for the next connection.

        Raises UsageError for a password without a user.
        """
        user = os.environ.get(USER)
        password = read_secret(PASSWORD, shortest=1)
        if password is not None and not user:
            raise UsageError(f"{PASSWORD}: give the user too, as {USER}")
        if user:
            text = None if password is None else password.decode("utf-8", "surrogateescape")
            self._client.username_pw_set(user, text)

    @property
    def up(self) -> bool:
        """Whether it is connected."""
        return self._up.is_set()

    def start(self) -> None:
        """Connect, now or whenever the broker is there."""
        self._client.loop_start()

    def publish(self, message: Message, *, surely: bool = False) -> MQTTMessageInfo:
        """Publish a message; surely: again after a loss, until the broker has it."""
        return self._client.publish(
            message.topic, message.text, qos=int(surely), retain=message.retain
        )

    def deliver(self, number: int, messages: Sequence[Message]) -> bool:
        """Publish messages in order; True once the broker has them, False where it has not yet.

        After False, a call with the same `number` goes on waiting: paho-mqtt sends them again by
        itself when the connection is back. From one thread alone.
        """
        from paho.mqtt.enums import MQTTErrorCode

        if self._sent is None or self._sent[0] != number:
            if not self._up.wait(ANSWER_S):
                return False
            *_, last = [self.publish(message, surely=True) for message in messages]
            last.rc = MQTTErrorCode.MQTT_ERR_SUCCESS  # if the connection has just gone, it waits
            self._sent = (number, last)
        _, last = self._sent
        last.wait_for_publish(ANSWER_S)
        return last.is_published()

    def close(self) -> None:
        """Say goodbye and end the connection."""
        if self.up:
            last = self.publish(Message(self._available, STOPPED, retain=True), surely=True)
            if last.rc == 0:
                last.wait_for_publish(GOODBYE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            return
        self.refusal = ""
        client.subscribe(STATUS)
        self.publish(Message(self._available, ONLINE, retain=True), surely=True)
        self._up.set()
        self._came()

    def _disconnected(self, *_: Any) -> None:
        self._up.clear()

    def _heard(self, _: Any, __: Any, message: Any) -> None:
        """Home Assistant says that it has come; it may have forgotten what it knew."""
        if message.payload == ONLINE.encode():
            self._came()
