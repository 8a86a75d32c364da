"""Records handed to a Python callable."""

from __future__ import annotations

from typing import Any

from .base import Sink, Write


class CallbackSink(Sink):
    """Calls a Python callable with every record.

    provisional: whether provisional and withdrawn events are passed on too.
    """

    tells = True

    def __init__(self, call: Write, provisional: bool) -> None:
        self.wants_provisional = provisional
        self._call = call

    def write(self, record: dict[str, Any]) -> None:
        """Call with the record."""
        self._call(record)
