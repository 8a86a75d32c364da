"""How many pipelines run at once: the rest wait in line and are told where they stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from microspot.realtime.errors import UsageError


class Ticket:
    """A position in line: iterate over the positions (1 is next) until admitted."""

    def __init__(self) -> None:
        self.position = 0
        self.admitted = False
        self._changed = asyncio.Event()

    def update(self, position: int, admitted: bool) -> None:
        """Set where the holder stands now."""
        if (position, admitted) != (self.position, self.admitted):
            self.position = position
            self.admitted = admitted
            self._changed.set()

    async def __aiter__(self) -> AsyncIterator[int]:
        while not self.admitted:
            self._changed.clear()
            yield self.position
            await self._changed.wait()


class AdmissionQueue:
    """Admits `places` ticket holders at once, with `waiting` more in line. For one event loop."""

    def __init__(self, places: int, waiting: int) -> None:
        self.places = places
        self.waiting = waiting
        self._tickets: list[Ticket] = []

    @contextmanager
    def ticket(self) -> Iterator[Ticket]:
        """A ticket for the body of a with statement; leaving gives the place to the next in line.

        Raises UsageError when the line is full.
        """
        if len(self._tickets) >= self.places + self.waiting:
            raise UsageError("too many people are waiting already: try again in a few minutes")
        ticket = Ticket()
        self._tickets.append(ticket)
        self._update()
        try:
            yield ticket
        finally:
            self._tickets.remove(ticket)
            self._update()

    def _update(self) -> None:
        """Set every ticket's position; places are given in order, so the first are admitted."""
        for index, ticket in enumerate(self._tickets):
            ticket.update(max(0, index + 1 - self.places), index < self.places)
