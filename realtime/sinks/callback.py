"""Records handed to a Python callable."""

from __future__ import annotations

from typing import Any

from .base import Sink, Write, unwanted


class CallbackSink(Sink):
    """Hands every wanted record to a Python callable."""

    def __init__(self, call: Write, provisional: bool) -> None:
        self.wants_provisional = provisional
        self._call = call

    def write(self, record: dict[str, Any]) -> None:
        if not unwanted(record, self.wants_provisional):
            self._call(record)
