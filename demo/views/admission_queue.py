"""Places for pipelines: so many at once, the rest wait in line and are told where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from microspot.realtime.errors import UsageError


class Ticket:
    """A place in line. Iterate over the positions (1 is next) until the place is there."""

    def __init__(self) -> None:
        self.position = 0
        self.seated = False
        self._moved = asyncio.Event()

    def move(self, position: int, seated: bool) -> None:
        """Tell the holder where it stands now."""
        if (position, seated) != (self.position, self.seated):
            self.position, self.seated = position, seated
            self._moved.set()

    async def __aiter__(self) -> AsyncIterator[int]:
        while not self.seated:
            self._moved.clear()
            yield self.position
            await self._moved.wait()


class AdmissionQueue:
    """`admission` at once, `waiting` in line. For one event loop."""

    def __init__(self, admission: int, waiting: int) -> None:
        self.admission, self.waiting = admission, waiting
        self._tickets: list[Ticket] = []

    @contextmanager
    def ticket(self) -> Iterator[Ticket]:
        """A ticket for the body of a with statement; leaving gives the place to the next in line.

        Raises UsageError when the line is full.
        """
        if len(self._tickets) >= self.admission + self.waiting:
            raise UsageError("too many people are waiting already: try again in a few minutes")
        ticket = Ticket()
        self._tickets.append(ticket)
        self._call()
        try:
            yield ticket
        finally:
            self._tickets.remove(ticket)
            self._call()

    def _call(self) -> None:
        for place, ticket in enumerate(
            self._tickets
        ):  # places are given in order, so the seated are the first
            ticket.move(max(0, place + 1 - self.admission), place < self.admission)
