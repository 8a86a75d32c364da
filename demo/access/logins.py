"""Browsers that gave the password, known by a random token until they log out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict

from ..limits import Limits


class Logins:
    """The password and the tokens given out for it; the oldest token goes first.

    For one event loop.
    """

    def __init__(self, password: str | None, limits: Limits) -> None:
        self._salt = secrets.token_bytes(32)
        self._expected = None if password is None else self._digest(password)
        self._limits = limits
        # Each token with an event that is set once the token is forgotten.
        self._tokens: OrderedDict[str, asyncio.Event] = OrderedDict()

    def _digest(self, password: str) -> bytes:
        """Of equal length whatever the password's, so that the time to compare tells nothing."""
        return hashlib.blake2b(password.encode("utf-8", "replace"), key=self._salt).digest()

    @property
    def needed(self) -> bool:
        """Whether a password is asked for at all."""
        return self._expected is not None

    def log_in(self, password: str) -> str | None:
        """A new token for the right password, None for a wrong one.

        Takes microseconds: nobody waits for another.
        """
        if self._expected is None:
            return None
        if not hmac.compare_digest(self._digest(password), self._expected):
            return None
        token = secrets.token_urlsafe(32)
        self._tokens[token] = asyncio.Event()
        while len(self._tokens) > self._limits.sessions:
            self.log_out(next(iter(self._tokens)))
        return token

    def log_out(self, token: str) -> None:
        """Forget a token; connections opened under it end."""
        if (forgotten := self._tokens.pop(token, None)) is not None:
            forgotten.set()

    def forgotten(self, token: str | None) -> asyncio.Event | None:
        """The event that is set when `token` is forgotten; None for a token not given out."""
        found = None
        for known, event in self._tokens.items():
            if token is not None and hmac.compare_digest(token.encode(), known.encode()):
                found = event
        return found

    def knows(self, token: str | None) -> bool:
        """Whether `token` was given out and is not forgotten."""
        return self.forgotten(token) is not None
