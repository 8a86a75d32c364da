"""Who may reach the demo: under which addresses it is called, and whether it needs a password.

Decided once at start from the command line. Another machine may only come in with a password, and
only where the password does not travel in the clear.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from microspot.realtime.errors import UsageError

PASSWORD_VARIABLE = "MICROSPOT_DEMO_PASSWORD"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WILDCARDS = ("0.0.0.0", "::")
SHORTEST_PASSWORD = 8
DEFAULT_PORTS = {"http": 80, "https": 443}
NAME = re.compile(
    r"([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?(/[a-z0-9_~-][a-z0-9_~.-]*)*/?", re.IGNORECASE
)
PORT = re.compile(r":\d+$")
# First parts of the page's own paths.
OWN_PATHS = {"assets", "config", "demo", "gradio_api", "static", "svelte"}


@dataclass(frozen=True)
class Binding:
    """Where the server listens and what stands before it.

    `name` is the address that people type, where it differs: a host, with a port where one is
    typed, and behind a proxy with the path under which the page lies. Raises UsageError for an
    address that others reach without a password, or with one in the clear, and for a name that no
    browser would ever call.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    name: str | None = None
    tls: bool = False
    behind_proxy: bool = False
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.password is not None and len(self.password) < SHORTEST_PASSWORD:
            raise UsageError(
                f"the password has {len(self.password)} characters: "
                f"give at least {SHORTEST_PASSWORD}"
            )
        self._check_name()
        if not self.open_to_others:
            return
        if self.password is None:
            raise UsageError(
                f"others would reach this demo: set {PASSWORD_VARIABLE} or give --password-file"
            )
        if not (self.tls or self.behind_proxy):
            raise UsageError(
                "a password must not travel in the clear: "
                "give --tls-cert, --tls-key or --behind-proxy"
            )
        if self.name is None and (self.behind_proxy or self.host in WILDCARDS):
            raise UsageError("give --name, the host that people type into the browser")

    def _check_name(self) -> None:
        if self.name is None:
            return
        if not NAME.fullmatch(self.name):
            raise UsageError(
                f"--name {self.name!r}: "
                "give HOST, HOST:PORT or, behind a proxy, HOST/PATH in plain letters"
            )
        first = self.root.split("/")[1] if self.root else ""
        if first and not self.behind_proxy:
            raise UsageError(
                f"--name {self.name!r} has a path, which only --behind-proxy serves: leave it out"
            )
        if first in OWN_PATHS:
            raise UsageError(
                f"--name {self.name!r}: the page has a /{first} of its own, choose another path"
            )

    @property
    def netloc(self) -> str | None:
        """The host of the name, with its port if it has one."""
        return None if self.name is None else self.name.partition("/")[0]

    @property
    def root(self) -> str:
        """The path under which people find the page, "" or "/like/this"."""
        return "/".join(["", *(self.name or "").strip("/").split("/")[1:]])

    @property
    def public(self) -> str | None:
        """The page's address behind a proxy, known without asking the proxy; None without one."""
        return f"{min(self.origins(self.port))}{self.root}" if self.behind_proxy else None

    @property
    def strict(self) -> bool:
        """Whether browsers are told to come by https alone.

        Not where a proxy decides that, and not on localhost, which other programs use as well.
        """
        return self.tls and self.open_to_others

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
        hosts = (self.bracketed,) if self.open_to_others else LOOPBACK
        netlocs = {f"{host}:{port}" for host in hosts}
        name = self.netloc
        if name and (PORT.search(name) or self.behind_proxy):
            netlocs = {name}
        elif name:
            netlocs.add(f"{name}:{port}")
        return frozenset(f"{scheme}://{_as_browsers(netloc, scheme)}" for netloc in netlocs)


def _as_browsers(netloc: str, scheme: str) -> str:
    """The host and port as browsers write them: without a scheme's own port."""
    return netloc.removesuffix(f":{DEFAULT_PORTS[scheme]}").lower()


def read_password(file: Path | None) -> str | None:
    """The password from `file` or the environment; None when neither gives one.

    Never from the arguments, which anyone on the machine may list.

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
