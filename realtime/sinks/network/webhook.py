"""Final events POSTed to an address, each one until the other side has taken it.

A `write` that has returned has put the event into the spool on the disk; a thread sends it. What
the other side answers: any 2xx, taken; 400, 410, 413, 415 or 422, refused for good, which is told
after the run; anything else, an error or no answer within POST_S, later again. Redirections are not
followed: they could lead events elsewhere.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.parse
from functools import partial

from microspot.engines.text.redaction import redact_uri

from ...errors import UsageError
from ..base import JsonRecord, Sink
from ..database.keeper import Keeper
from .delivery import Answer, Delivery
from .gate import LOOPBACK
from .secret import read_secret
from .signing import VARIABLE, headers
from .spool import Spool, Waiting, drop_older

POST_S = 10.0
CLOSING_S = 5.0  # that the end of a run goes on sending
REFUSED = (400, 410, 413, 415, 422)
TOKEN = "MICROSPOT_WEBHOOK_TOKEN"  # in the environment, sent as a bearer token


class WebhookSink(Sink):
    """Sends final events to an http or https address.

    keep_days: what waits for longer is deleted. Raises UsageError for an address that is none, that
    carries a password, or that is neither on this machine nor https; DataError where the spool
    cannot be used.
    """

    stores = True

    def __init__(self, address: str, keep_days: float | None = None) -> None:
        self._address = address
        self._url = check_address(address)
        shown = redact_uri(address)
        self.note = f"sending events to {shown}"
        self.notes = (self.note,)
        self._shown = shown
        self._secret = read_secret(VARIABLE)
        self._spool = Spool(address)
        self._keeper: Keeper | None = None
        if keep_days is not None:
            self._keeper = Keeper(partial(drop_older, self._spool.path, keep_days))
        self._delivery = Delivery(self._spool, self._post, CLOSING_S)
        self._open = True

    def write(self, record: JsonRecord) -> None:
        """Put an event into the spool."""
        if record["type"] != "event":
            return
        if self._keeper is not None:
            self._keeper.raise_failure()
        self._spool.add(record)
        self._delivery.wake()

    def close(self) -> None:
        """Send what waits, for a while at most; the rest waits for the next run."""
        if not self._open:
            return
        self._open = False
        self._delivery.close()
        if self._keeper is not None:
            self._keeper.close()
        waiting = len(self._spool)
        self._spool.close()
        remarks = []
        if waiting:
            remarks.append(f"{waiting} events wait for {self._shown}: the next run sends them")
        if self._delivery.refused:
            remarks.append(f"{self._shown} refused {self._delivery.refused} events for good")
        self.remark = "; ".join(remarks)

    def _post(self, waiting: Waiting) -> Answer:
        sent = {
            "Content-Type": "application/json",
            "Idempotency-Key": waiting.id,
            "User-Agent": "microspot",
        }
        if token := os.environ.get(TOKEN):
            sent["Authorization"] = f"Bearer {token}"
        sent |= headers(self._secret, int(time.time()), waiting.body)
        connection = self._connect()
        try:
            connection.request("POST", self._target(), waiting.body, sent)
            response = connection.getresponse()
            response.read(1)
        except (OSError, http.client.HTTPException):
            return Answer.LATER
        finally:
            connection.close()
        if 200 <= response.status < 300:
            return Answer.TAKEN
        return Answer.NEVER if response.status in REFUSED else Answer.LATER

    def _connect(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, self._url.port, timeout=POST_S)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, self._url.port, timeout=POST_S, context=context)

    def _target(self) -> str:
        path = self._url.path or "/"
        return f"{path}?{self._url.query}" if self._url.query else path


def check_address(address: str) -> urllib.parse.SplitResult:
    """The parts of an address to which events may go. Raises UsageError."""
    shown = redact_uri(address)
    try:
        url = urllib.parse.urlsplit(address)
        url.port  # noqa: B018 (raises where it is no number)
    except ValueError as error:
        raise UsageError(f"--out {shown}: {error}") from error
    if not url.hostname:
        raise UsageError(f"--out {shown}: no host is named")
    if url.username is not None or url.password is not None:
        raise UsageError(f"--out {shown}: give the password as {TOKEN} in the environment")
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise UsageError(
            f"--out {shown}: events are personal and leave this machine by https alone"
        )
    return url
