"""Wrong passwords cost time, each address its own.

Answers to one address come later and later; after many wrong passwords, further ones are not even
checked for a while. Nobody can use up another's time: the right password is checked and answered at
once, whatever other addresses do.

An address that may belong to many (this machine's own, or a proxy that does not say for whom it
speaks) is never refused, for that would let one of them shut the others out; its wrong passwords
only wait. Where no more can wait, the passwords of all such addresses together are checked some
time apart: the right one may need a few tries.
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
IPV6_PREFIX_BITS = 64  # one household has all IPv6 addresses with the same prefix
MAX_DOUBLINGS = 32  # keeps the power small; the longest wait is reached long before

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Caller(NamedTuple):
    """Who sent a request. `shared`: others may have the same address."""

    address: str
    shared: bool


def caller(scope: Scope, behind_proxy: bool) -> Caller:
    """Who sent a request.

    The header that forwards an address counts only where a proxy on this machine sends it. Of
    several addresses the last is the one that the proxy itself has seen; the client may have made
    up the others.
    """
    peer, _ = scope.get("client") or ("", 0)
    network = _network(peer)
    if behind_proxy:
        network = _forwarded(scope) if network is not None and network.is_loopback else None
    if network is None or network.is_loopback:
        return Caller(peer, True)
    return Caller(str(network), False)


def _forwarded(scope: Scope) -> Network | None:
    """The address that the proxy has seen; None where it names none."""
    lines = Headers(scope=scope).getlist(FORWARDED)
    return _network(lines[-1].rpartition(",")[2]) if lines else None


def _network(text: str) -> Network | None:
    """The addresses that one caller may have; None where `text` is no address.

    The address may be followed by a port.
    """
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
    bits: int = address.max_prefixlen
    if address.version == 6 and not address.is_loopback:
        bits = IPV6_PREFIX_BITS
    return ipaddress.ip_network((address, bits), strict=False)


@dataclass
class Attempts:
    """How many wrong passwords one address gave, and when (by the clock) it gave the last."""

    wrong: int = 0
    last_s: float = -math.inf


class LoginBackoff:
    """How long wrong passwords wait for their answers. For one event loop."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._attempts: OrderedDict[str, Attempts] = OrderedDict()  # the longest untouched first
        self._waiting = 0
        # When (by the clock) a shared address's password was checked while no more could wait.
        self._checked_shared_s = -math.inf

    def refused_s(self, who: Caller) -> float:
        """Seconds until a password of this caller is checked again; 0 for now."""
        attempts = self._attempts.get(who.address)
        if who.shared or attempts is None or attempts.wrong < self._limits.login_tries:
            return 0.0
        return max(0.0, attempts.last_s + self._limits.login_longest_s - self._clock())

    def busy(self, who: Caller) -> bool:
        """Whether a shared address has to try again; where it has not, it is checked now."""
        if not who.shared or self._waiting < self._limits.login_waiting:
            return False
        now = self._clock()
        if now - self._checked_shared_s < self._limits.shared_every_s:
            return True
        self._checked_shared_s = now
        return False

    def count_wrong(self, who: Caller) -> float:
        """Count a wrong password; returns the seconds until it may be answered."""
        attempts = self._attempts.pop(who.address, None) or Attempts()
        now = self._clock()
        if now - attempts.last_s > self._limits.login_forget_s:
            attempts = Attempts()
        attempts.wrong += 1
        attempts.last_s = now
        self._attempts[who.address] = attempts
        while len(self._attempts) > self._limits.login_addresses:
            self._attempts.popitem(last=False)
        doublings = min(attempts.wrong - 1, MAX_DOUBLINGS)
        return min(self._limits.login_first_s * 2.0**doublings, self._limits.login_longest_s)

    def forget(self, who: Caller) -> None:
        """Forget the wrong passwords of a caller that gave the right one."""
        self._attempts.pop(who.address, None)

    async def wait(self, seconds: float) -> bool:
        """Let a wrong password wait, holding nothing but its connection.

        Returns False at once where too many wait already.
        """
        if self._waiting >= self._limits.login_waiting:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1
        return True
