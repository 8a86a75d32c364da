"""Places are given in order, and what is left is given on."""

import asyncio

import pytest

from microspot.demo.views.admission_queue import AdmissionQueue
from microspot.realtime.errors import UsageError


async def settle():
    """Let everyone who can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_places_are_given_in_order_and_the_line_has_an_end():
    async def story():
        admission = AdmissionQueue(1, 2)
        told = []

        async def guest(name, leave):
            with admission.ticket() as ticket:
                async for position in ticket:
                    told.append((name, position))
                told.append((name, "in"))
                await leave.wait()

        leave = [asyncio.Event() for _ in range(3)]
        tasks = []
        for name, event in zip("abc", leave, strict=True):
            tasks.append(asyncio.create_task(guest(name, event)))
            await asyncio.sleep(0)
        with pytest.raises(UsageError, match="waiting"), admission.ticket():
            pass
        assert told == [("a", "in"), ("b", 1), ("c", 2)]
        tasks[1].cancel()  # who leaves the line is not missed
        await settle()
        assert told[3:] == [("c", 1)]
        leave[0].set()
        await settle()
        assert told[4:] == [("c", "in")]
        leave[2].set()
        await asyncio.gather(*tasks, return_exceptions=True)
        with admission.ticket() as ticket:
            assert ticket.admitted

    asyncio.run(story())
