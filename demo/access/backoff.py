"""Wrong passwords cost time, each address its own: answers come later and later, then guesses are not even looked at.

Nobody can spend another's time: the right password is looked at and answered at once, whatever other addresses do. An
address that may belong to many (this machine's own, a proxy that does not say whom it speaks for) is never refused,
for that would let one of them shut the others out; its wrong passwords only wait. Where no more can
wait, the passwords of all such addresses together are looked at some time apart: the right one may
need a few tries.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

from ..limits import Limits

FORWARDED = "x-forwarded-for"
NEIGHBOURS = 64  # bits of an IPv6 address that one household shares: it has all the rest to itself


class Caller(NamedTuple):
    """Who asks. `shared`: others may have the same address."""

    address: str
    shared: bool


def caller(scope: Scope, behind_proxy: bool) -> Caller:
    """Who sent a request. What it says of itself counts only where a proxy on this machine says it.

    Of several addresses the last is the one that the proxy itself has seen; the client may have made up the others.
    """
    peer, _ = scope.get("client") or ("", 0)
    network = _network(peer)
    if not behind_proxy:
        return (
            Caller(peer, True)
            if network is None or network.is_loopback
            else Caller(str(network), False)
        )
    told = Headers(scope=scope).getlist(FORWARDED)
    behind = (
        _network(told[-1].rpartition(",")[2])
        if told and network is not None and network.is_loopback
        else None
    )
    return (
        Caller(peer, True) if behind is None or behind.is_loopback else Caller(str(behind), False)
    )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The addresses that one caller may have; None where `text` is no address (with or without a port)."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    bits = NEIGHBOURS if address.version == 6 and not address.is_loopback else address.max_prefixlen
    return ipaddress.ip_network((address, bits), strict=False)


@dataclass
class Attempts:
    """Wrong passwords of one address, the last of them at a time of the clock."""

    wrong: int = 0
    at: float = -math.inf


class Backoff:
    """The times of wrong passwords. For one event loop."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._records: OrderedDict[str, Attempts] = OrderedDict()  # the longest untouched first
        self._waiting = 0
        self._looked = -math.inf  # of the clock, at a shared password while no more could wait

    def refused_s(self, who: Caller) -> float:
        """Seconds until a password of this caller is looked at again; 0 for now."""
        record = self._records.get(who.address)
        if who.shared or record is None or record.wrong < self._limits.login_tries:
            return 0.0
        return max(0.0, record.at + self._limits.login_longest_s - self._clock())

    def busy(self, who: Caller) -> bool:
        """Whether a shared address has to try again; where it has not, it is looked at now."""
        if not who.shared or self._waiting < self._limits.login_waiting:
            return False
        if (now := self._clock()) - self._looked < self._limits.shared_every_s:
            return True
        self._looked = now
        return False

    def wrong(self, who: Caller) -> float:
        """Note a wrong password: the seconds until it may be answered."""
        record = self._records.pop(who.address, None) or Attempts()
        now = self._clock()
        if now - record.at > self._limits.login_forget_s:
            record = Attempts()
        record.wrong, record.at = record.wrong + 1, now
        self._records[who.address] = record
        while len(self._records) > self._limits.login_addresses:
            self._records.popitem(last=False)
        doublings = min(
            record.wrong - 1, 32
        )  # keeps the power small; the longest is reached long before
        return min(self._limits.login_first_s * 2.0**doublings, self._limits.login_longest_s)

    def right(self, who: Caller) -> None:
        """The right password: what was wrong before is forgotten."""
        self._records.pop(who.address, None)

    async def wait(self, seconds: float) -> bool:
        """Let a wrong password wait, holding nothing but its connection; False at once where too many wait already."""
        if self._waiting >= self._limits.login_waiting:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1
        return True
