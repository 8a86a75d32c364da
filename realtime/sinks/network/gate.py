"""Who may come in: who calls the server by its name, and with a token if one is asked for.

The rule of the page (`demo/access/guard.py`), for servers that only give: the name by which a
client called us must be one that the server has, since another could be a stranger's that leads
here (DNS rebinding); a page of another origin is refused. Where servers listen: `entrance`.
"""

from __future__ import annotations

import hmac
import urllib.parse
from dataclasses import dataclass, field

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # names of this machine
BRACKETED = ("127.0.0.1", "localhost", "[::1]")  # the same as addresses have them


@dataclass(frozen=True)
class Gate:
    """The check of a request to a server on `port`.

    token: what it must carry, None for nothing; hosts: the names by which it may call the server,
    as addresses have them; scheme: of the server's own pages.
    """

    port: int
    token: bytes | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = BRACKETED
    scheme: str = "http"

    def refusal(
        self, host: str | None, origin: str | None, authorization: str | None, target: str
    ) -> tuple[int, str] | None:
        """Status and words for a request that is refused; None for one that may listen.

        target: path and query; a browser, which cannot set headers, gives the token as `?token=`.
        """
        names = {f"{name}:{self.port}" for name in self.hosts}
        origins = {f"{self.scheme}://{name}" for name in names}
        if (host or "").lower() not in names:
            return 421, "call this server by a name of its machine\n"
        if origin is not None and origin.lower() not in origins:
            return 403, "pages of other origins may not listen\n"
        if self.token is not None and not self._is_token(authorization, target):
            return 401, "a token is needed\n"
        return None

    def _is_token(self, authorization: str | None, target: str) -> bool:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
        given = [*query.get("token", ()), (authorization or "").removeprefix("Bearer ")]
        return any(
            hmac.compare_digest(each.encode("utf-8", "surrogateescape"), self.token or b"")
            for each in given
        )
