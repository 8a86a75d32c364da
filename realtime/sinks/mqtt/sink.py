"""Events to an MQTT broker, as Frigate and Home Assistant have them: `--out mqtt://HOST/PREFIX`.

Final events go through the spool, so that each arrives at least once, in order, also where the
broker or we were away; one that comes twice has the same id. Provisional ones go to whoever listens
now. The topics are in `home_assistant`.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.parse

from microspot.engines.text.redaction import redact_uri

from ...errors import UsageError
from ...overlay.event_text import name_and_share
from ...records import ConnectionState
from ..base import JsonRecord, json_line
from ..network.delivery import Answer
from ..network.destination import check_destination
from ..network.open_events import OpenEvents
from ..network.spool import Waiting
from ..network.spooled import SpooledSink
from ..run_log import now_utc
from .broker import PASSWORD, Broker, Message
from .home_assistant import Topics

PREFIX = "microspot"
PREFIXES = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
LATELY_S = 10.0  # how long a micro-expression counts as seen lately
ENDED = "ended"  # the state of a source that is over


class MqttSink(SpooledSink):
    """Sends events to the broker of mqtt://HOST:PORT/PREFIX, or mqtts:// with TLS.

    keep_days: what waits for longer is deleted. Raises UsageError for an address that is none, that
    carries a password, or that is neither on this machine nor mqtts; DataError where the spool
    cannot be used.
    """

    wants_provisional = True

    def __init__(self, address: str, keep_days: float | None = None) -> None:
        url = check_destination(address, plain="mqtt", secure="mqtts", password=PASSWORD)
        self._topics = Topics(_prefix(address, url))
        self._events = OpenEvents()
        self._lock = threading.RLock()  # of what is retained, and of its order
        self._retained: dict[str, str] = {}  # by topic
        self._until_s: dict[str, float] = {}  # by source, how long its last event is seen lately
        self._timers: dict[str, threading.Timer] = {}  # by source, what ends that
        self._broker = Broker(url, self._topics.available, self._came)
        super().__init__(address, keep_days)
        self._broker.start()

    def write(self, record: JsonRecord) -> None:
        """Send an event, or the state of a source."""
        kind = record["type"]
        if kind == "start":
            for entry in record["sources"]:
                self._begin(entry["source"], entry["started_utc"] is not None)
        elif kind == "state":
            self._retain(self._topics.of(record["source"], "state"), record["state"])
        elif kind == "end":
            self._retain(self._topics.of(record["source"], "state"), ENDED)
        elif kind == "event":
            self._tell(record)

    def reload(self) -> None:
        """Log in with the user and password as they are now, when next connected."""
        self._broker.log_in()

    def close(self) -> None:
        """Send what waits, for a while at most, and leave; the rest waits for the next run."""
        if not self._open:
            return
        super().close()
        with self._lock:
            for source, timer in self._timers.items():
                timer.cancel()
                self._retain(self._topics.of(source, "micro_expression"), "OFF")
        self._broker.close()
        if self._broker.refusal:
            refused = f"the broker refused us: {self._broker.refusal}"
            self.remark = "; ".join(filter(None, [self.remark, refused]))

    def _begin(self, source: str, live: bool) -> None:
        for topic, config in self._topics.discovery(source).items():
            self._retain(topic, config)
        state = ConnectionState.CONNECTING if live else ConnectionState.PLAYING
        self._retain(self._topics.of(source, "state"), state)
        self._retain(self._topics.of(source, "micro_expression"), "OFF")

    def _tell(self, record: JsonRecord) -> None:
        """Send a final event surely; others to whoever listens now, and an end to whom it began."""
        status = record["status"]
        if status == "provisional" and not self._broker.up:
            return
        change, before = self._events.change(record)
        text = (
            f'{{"type": "{change}", "recorded_utc": "{now_utc()}", '
            f'"before": {json_line(before or record)}, "after": {json_line(record)}}}'
        )
        if status == "final":
            self._send(record, text)
            self._see_lately(record["source"])
        elif status == "provisional" or before is not None:
            self._broker.publish(Message(self._topics.events, text), surely=change == "end")

    def _post(self, waiting: Waiting) -> Answer:
        message = json.loads(waiting.body)
        event = message["after"]
        name, _ = name_and_share(event)
        last = {"name": name, "recorded_utc": message["recorded_utc"]} | event
        topic = self._topics.of(event["source"], "last_event")
        messages = [
            Message(topic, json.dumps(last), retain=True),
            Message(self._topics.events, waiting.body.decode()),
        ]
        taken = self._broker.deliver(waiting.number, messages)
        return Answer.TAKEN if taken else Answer.LATER

    def _see_lately(self, source: str) -> None:
        """Say that a micro-expression was seen lately, for as long as it is."""
        with self._lock:
            self._until_s[source] = time.monotonic() + LATELY_S
            self._retain(self._topics.of(source, "micro_expression"), "ON")
            if source not in self._timers:
                self._wait_lately(source, LATELY_S)

    def _wait_lately(self, source: str, seconds: float) -> None:
        timer = threading.Timer(seconds, self._forget_lately, [source])
        timer.daemon = True
        timer.start()
        self._timers[source] = timer

    def _forget_lately(self, source: str) -> None:
        """Say that none was; where another has come since, wait for the rest of its time."""
        with self._lock:
            left_s = self._until_s[source] - time.monotonic()
            if not self._open:
                return
            if left_s > 0:
                self._wait_lately(source, left_s)
                return
            del self._timers[source]
            self._retain(self._topics.of(source, "micro_expression"), "OFF")

    def _retain(self, topic: str, text: str) -> None:
        """Publish what the broker keeps, now and whenever the connection has come anew."""
        with self._lock:
            if self._retained.get(topic) == text:
                return
            self._retained[topic] = text
            if self._broker.up:
                self._broker.publish(Message(topic, text, retain=True))

    def _came(self) -> None:
        """The broker is there, or Home Assistant: tell all that is retained, then what waits."""
        with self._lock:
            for topic, text in self._retained.items():
                self._broker.publish(Message(topic, text, retain=True))
        self._delivery.retry()


def _prefix(address: str, url: urllib.parse.SplitResult) -> str:
    """The prefix of an address. Raises UsageError for one that topics cannot have."""
    prefix = url.path.strip("/") or PREFIX
    if set("?#") & set(address) or not PREFIXES.fullmatch(prefix):
        raise UsageError(
            f"--out {redact_uri(address)}: expected {url.scheme}://HOST:PORT/PREFIX, "
            "the prefix of letters, digits, '_', '-', '.' and '/'"
        )
    return prefix
