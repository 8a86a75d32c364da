"""Final events POSTed to an address, each one until the other side has taken it.

What the other side answers: any 2xx, taken; 400, 410, 413, 415 or 422, refused for good, which is
told after the run; anything else, an error or no answer within POST_S, later again. Redirections
are not followed: they could lead events elsewhere.
"""

from __future__ import annotations

import http.client
import os
import ssl
import time

from .delivery import Answer
from .destination import check_destination
from .secret import read_anew, read_secret
from .signing import VARIABLE, headers
from .spool import Waiting
from .spooled import SpooledSink

POST_S = 10.0
REFUSED = (400, 410, 413, 415, 422)
TOKEN = "MICROSPOT_WEBHOOK_TOKEN"  # in the environment, sent as a bearer token


class WebhookSink(SpooledSink):
    """Sends final events to an http or https address.

    keep_days: what waits for longer is deleted. Raises UsageError for an address that is none, that
    carries a password, or that is neither on this machine nor https; DataError where the spool
    cannot be used.
    """

    def __init__(self, address: str, keep_days: float | None = None) -> None:
        self._url = check_destination(address, plain="http", secure="https", password=TOKEN)
        self._secret = read_secret(VARIABLE)
        super().__init__(address, keep_days)

    def reload(self) -> None:
        """Sign with the secret as it is now; what was signed is never sent unsigned."""
        self._secret = read_anew(VARIABLE, self._secret)

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
