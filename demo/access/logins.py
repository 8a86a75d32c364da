"""Browsers that gave the password, known by a random token until they leave, or the server ends."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict

from ..limits import Limits


class Logins:
    """The password and the tokens given out for it; the oldest token goes first. For one event loop."""

    def __init__(self, password: str | None, limits: Limits) -> None:
        self._salt = secrets.token_bytes(32)
        self._wanted = None if password is None else self._digest(password)
        self._limits = limits
        self._tokens: OrderedDict[str, asyncio.Event] = (
            OrderedDict()
        )  # set once the token is forgotten

    def _digest(self, password: str) -> bytes:
        """Of equal length whatever the password's, so that comparing tells nothing."""
        return hashlib.blake2b(password.encode("utf-8", "replace"), key=self._salt).digest()

    @property
    def needed(self) -> bool:
        """Whether a password is asked for at all."""
        return self._wanted is not None

    def enter(self, password: str) -> str | None:
        """A new token for the right password, None for a wrong one. Takes microseconds: nobody waits for another."""
        if self._wanted is None or not hmac.compare_digest(self._digest(password), self._wanted):
            return None
        token = secrets.token_urlsafe(32)
        self._tokens[token] = asyncio.Event()
        while len(self._tokens) > self._limits.sessions:
            self.leave(next(iter(self._tokens)))
        return token

    def leave(self, token: str) -> None:
        """Forget a token; what is open under it ends."""
        if (gone := self._tokens.pop(token, None)) is not None:
            gone.set()

    def gone(self, token: str | None) -> asyncio.Event | None:
        """What is set when `token` is forgotten; None where it was not given out."""
        found = None
        for known, gone in self._tokens.items():
            if token is not None and hmac.compare_digest(token.encode(), known.encode()):
                found = gone
        return found

    def knows(self, token: str | None) -> bool:
        """Whether `token` was given out."""
        return self.gone(token) is not None
