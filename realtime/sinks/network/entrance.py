"""Where a server of ours listens: on this machine, or elsewhere with a token and TLS.

What it serves is personal: elsewhere nobody comes in without the token, and nothing travels in the
clear. The page of the demo has the same rule (`demo/access/binding.py`).
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass

from ...errors import UsageError
from .gate import BRACKETED, Gate
from .http_server import listen
from .secret import read_secret

ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\[\]/]+):(?P<port>\d{1,5})")
MOST_PORT = 65535
WILDCARDS = ("0.0.0.0", "[::]")  # no client calls us by these


@dataclass(frozen=True)
class Needs:
    """Names of the variables that hold what a server needs beyond this machine.

    token: which may stand in a file as well (see `secret`); certificate: a file of a certificate
    and those that signed it; key: a file of its key (all PEM).
    """

    token: str
    certificate: str
    key: str


@dataclass(frozen=True)
class Entrance:
    """A socket that listens, and who may come in.

    context: of TLS, None without; local: whether this machine alone is served.
    """

    socket: socket.socket
    gate: Gate
    context: ssl.SSLContext | None
    local: bool

    @property
    def where(self) -> str:
        """Where it listens, in words."""
        return f"port {self.gate.port}" + (" of this machine" if self.local else "")


def open_entrance(asked: str, address: str, form: str, needs: Needs) -> Entrance:
    """Listen on an address, HOST:PORT; port 0 takes a free one.

    asked: the option as it was given, form: what was expected, both for messages. Raises UsageError
    for an address that is none, for one beyond this machine without a token and TLS, and for a
    token or certificate that cannot be read; DataError where the port is taken.
    """
    found = ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > MOST_PORT:
        raise UsageError(f"{asked}: expected {form}")
    host = found["host"].lower()  # as addresses have it
    if host in WILDCARDS:
        raise UsageError(f"{asked}: give the address by which clients call this machine")
    local = host in BRACKETED
    token = read_secret(needs.token)
    context = read_tls(needs)
    if not local and (token is None or context is None):
        raise UsageError(
            f"{asked}: beyond this machine (127.0.0.1) it needs {needs.token}, and TLS by "
            f"{needs.certificate} and {needs.key}, in the environment"
        )
    listening = listen(address, host.strip("[]"), int(found["port"]))
    hosts = BRACKETED if local else (host,)
    scheme = "http" if context is None else "https"
    gate = Gate(listening.getsockname()[1], token, hosts, scheme)
    return Entrance(listening, gate, context, local)


def read_tls(needs: Needs) -> ssl.SSLContext | None:
    """TLS with the certificate that the environment names; None without. Raises UsageError."""
    certificate = os.environ.get(needs.certificate)
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, os.environ.get(needs.key), password="")  # asks nobody
    except OSError as error:
        raise UsageError(
            f"{needs.certificate}, {needs.key}: no certificate and key can be read"
        ) from error
    return context
