"""A sink whose events wait on the disk until the other side has taken each of them.

A `write` that has returned has put the event into the spool; the thread of a Delivery sends it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial

from microspot.engines.text.redaction import redact_uri

from ..base import JsonRecord, Sink, json_line
from ..database.keeper import Keeper
from .delivery import Answer, Delivery
from .spool import Spool, Waiting, drop_older

CLOSING_S = 5.0  # that the end of a run goes on sending


class SpooledSink(Sink, ABC):
    """Sends events to `address`, each until `_post` says that it was taken or refused for good.

    keep_days: what waits for longer is deleted. The thread that sends starts with this class's
    `__init__`, so a subclass calls it last. Raises DataError where the spool cannot be used.
    """

    stores = True

    def __init__(self, address: str, keep_days: float | None = None) -> None:
        self._shown = redact_uri(address)
        self.note = f"sending events to {self._shown}"
        self.notes = (self.note,)
        self._spool = Spool(address)
        self._keeper: Keeper | None = None
        if keep_days is not None:
            self._keeper = Keeper(partial(drop_older, self._spool.path, keep_days))
        self._delivery = Delivery(self._spool, self._post, CLOSING_S)
        self._open = True

    @abstractmethod
    def _post(self, waiting: Waiting) -> Answer:
        """Send the oldest event, from the thread of the delivery; what the other side answers."""

    def write(self, record: JsonRecord) -> None:
        """Put an event into the spool."""
        if record["type"] == "event":
            self._send(record, json_line(record))

    def _send(self, event: JsonRecord, body: str) -> None:
        """Put an event into the spool, to be sent as `body`."""
        if self._keeper is not None:
            self._keeper.raise_failure()
        self._spool.add(event, body)
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
