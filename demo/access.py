"""Who may reach the demo: which hosts and origins it answers to, and whether a password is asked for.

Decided once at start from the command line. Another machine may only come in with a password, and only where the
password does not travel in the clear.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from realtime.errors import UsageError

from .limits import Limits

PASSWORD_VARIABLE = "MICROSPOT_DEMO_PASSWORD"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WILDCARDS = ("0.0.0.0", "::")
SHORTEST_PASSWORD = 8
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Binding:
    """Where the server listens and what stands before it. `name` is the host (and port) people type, where it differs.

    Raises UsageError for an address that others reach without a password, or with one in the clear.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    name: str | None = None
    tls: bool = False
    behind_proxy: bool = False
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.password is not None and len(self.password) < SHORTEST_PASSWORD:
            raise UsageError(f"the password has {len(self.password)} characters: give at least {SHORTEST_PASSWORD}")
        if not self.open_to_others:
            return
        if self.password is None:
            raise UsageError(f"others would reach this demo: set {PASSWORD_VARIABLE} or give --password-file")
        if not (self.tls or self.behind_proxy):
            raise UsageError("a password must not travel in the clear: give --tls-cert, --tls-key or --behind-proxy")
        if self.name is None and (self.behind_proxy or self.host in WILDCARDS):
            raise UsageError("give --name, the host that people type into the browser")

    @property
    def open_to_others(self) -> bool:
        """Whether anyone but this machine can reach it."""
        return self.behind_proxy or self.bracketed not in LOOPBACK

    @property
    def bracketed(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def secure(self) -> bool:
        """Whether the browser speaks https."""
        return self.tls or self.behind_proxy

    def origins(self, port: int) -> frozenset[str]:
        """What a browser that shows this page may call its origin, listening on `port`."""
        scheme = "https" if self.secure else "http"
        own = {f"{host}:{port}" for host in ({self.bracketed} if self.open_to_others else {*LOOPBACK})}
        if self.name:
            own = {self.name} if ":" in self.name or self.behind_proxy else {f"{self.name}:{port}"} | own
        return frozenset(f"{scheme}://{_plain(netloc, scheme)}" for netloc in own)


def _plain(netloc: str, scheme: str) -> str:
    """Browsers leave a scheme's own port out."""
    return netloc.removesuffix(f":{DEFAULT_PORTS[scheme]}").lower()


def read_password(file: Path | None) -> str | None:
    """The password from `file` or the environment, never from the arguments; None when neither names one.

    Raises UsageError for a file that cannot be read or is empty.
    """
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE) or None
    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"password file {file} cannot be read ({error})") from error
    if not password:
        raise UsageError(f"password file {file} is empty")
    return password


class Logins:
    """Browsers that gave the password, known by a random token; forgotten when the server ends."""

    def __init__(self, password: str | None, limits: Limits) -> None:
        self._password, self._limits = password, limits
        self._tokens: OrderedDict[str, None] = OrderedDict()

    @property
    def needed(self) -> bool:
        """Whether a password is asked for at all."""
        return self._password is not None

    def enter(self, password: str) -> str | None:
        """A new token for the right password, None for a wrong one."""
        given, wanted = password.encode(), (self._password or "").encode()
        if not self.needed or not hmac.compare_digest(given, wanted):
            return None
        token = secrets.token_urlsafe(32)
        self._tokens[token] = None
        while len(self._tokens) > self._limits.sessions:
            self._tokens.popitem(last=False)
        return token

    def knows(self, token: str | None) -> bool:
        """Whether `token` was given out."""
        return token is not None and any(hmac.compare_digest(token.encode(), known.encode()) for known in self._tokens)
