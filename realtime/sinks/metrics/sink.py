"""A page of metrics that Prometheus asks for: `http://127.0.0.1:9108/metrics`.

The rule of the demo's page: this machine alone, by its own names and no other origin's pages.
Elsewhere a token and TLS are needed. Nobody is waited for: each request has a thread and a few
seconds, and there are only so many at once.
"""

from __future__ import annotations

import os
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from microspot.engines.errors import install

from ...errors import UsageError
from ...meter import Figures
from ..base import Sink
from ..network.gate import BRACKETED, Gate, host_and_port
from ..network.http_server import answer, cut, listen, on_socket
from ..network.secret import read_anew, read_secret
from .families import FiguresCollector

TOKEN = "MICROSPOT_METRICS_TOKEN"
CERTIFICATE = "MICROSPOT_METRICS_CERT"  # file of a certificate, and those that signed it
KEY = "MICROSPOT_METRICS_KEY"  # file of its key
WILDCARDS = ("0.0.0.0", "[::]")
PATH = "/metrics"
REQUEST_S = 5.0  # from connecting to the end of the answer
MOST_REQUESTS = 8  # at once
TEXT = "text/plain; charset=utf-8"


class MetricsSink(Sink):
    """Serves the figures of a run on `metrics:HOST:PORT`; port 0 takes a free one.

    port: where it listens. Raises UsageError where prometheus-client is missing, or for an address
    beyond this machine without a token and TLS; DataError where the port is taken.
    """

    def __init__(self, uri: str) -> None:
        try:
            import prometheus_client  # noqa: F401 (raises where it is missing)
        except ImportError as error:
            raise UsageError(f"--metrics needs prometheus-client: {install('metrics')}") from error
        shown = uri.removeprefix("metrics:")
        host, port = _host_and_port(shown)
        local = host in BRACKETED
        token = read_secret(TOKEN)
        context = _tls()
        if not local and (token is None or context is None):
            raise UsageError(
                f"--metrics {shown}: beyond this machine (127.0.0.1) it needs {TOKEN}, and TLS by "
                f"{CERTIFICATE} and {KEY}, in the environment"
            )
        self._figures: Callable[[], Figures] = Figures
        listening = listen(shown, host.strip("[]"), port)
        self.port: int = listening.getsockname()[1]
        hosts = BRACKETED if local else (host,)
        self.gate = Gate(self.port, token, hosts, "http" if context is None else "https")
        self._server = on_socket(_Server, listening, self._reply, REQUEST_S)
        self._server.context = context
        self.note = f"serving figures on port {self.port}" + (" of this machine" if local else "")
        self.notes = (self.note,)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def observe(self, figures: Callable[[], Figures]) -> None:
        """Serve these figures."""
        self._figures = figures

    def reload(self) -> None:
        """Ask for the token as it is now; where one was needed it stays needed."""
        self.gate = replace(self.gate, token=read_anew(TOKEN, self.gate.token))

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _reply(self, client: BaseHTTPRequestHandler) -> None:
        """Answer a request: with the metrics, or a refusal."""
        headers = client.headers
        refusal = self.gate.refusal(
            headers.get("Host"), headers.get("Origin"), headers.get("Authorization"), client.path
        )
        if refusal is None and client.path.partition("?")[0] != PATH:
            refusal = (404, f"the metrics are at {PATH}\n")
        if refusal is not None:
            code, words = refusal
            answer(client, code, TEXT, words.encode())
            return
        answer(client, 200, *self._page(headers.get("Accept", "")))

    def _page(self, accept: str) -> tuple[str, bytes]:
        """Type and text of the metrics, in the format that a client asks for."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        registry = CollectorRegistry()
        registry.register(FiguresCollector(self._figures))
        encode, kind = choose_encoder(accept)
        return kind, encode(registry)


class _Server(ThreadingHTTPServer):
    """Each request in a thread, cut off after REQUEST_S; those that are too many at once."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.context: ssl.SSLContext | None = None
        self._places = threading.BoundedSemaphore(MOST_REQUESTS)

    def get_request(self) -> tuple[Any, Any]:
        """The next connection. Its own thread shakes hands for TLS."""
        connection, caller = super().get_request()
        if self.context is not None:
            connection = self.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, caller

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread, unless there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, within REQUEST_S."""
        timer = threading.Timer(REQUEST_S, cut, [request])
        timer.daemon = True
        timer.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that is cut off or gone."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _host_and_port(text: str) -> tuple[str, int]:
    """Host and port to listen on. Raises UsageError."""
    found = host_and_port(text)
    if found is None:
        raise UsageError(f"--metrics {text}: expected HOST:PORT, such as 127.0.0.1:9108")
    if found[0] in WILDCARDS:
        raise UsageError(f"--metrics {text}: give the address by which Prometheus calls us")
    return found


def _tls() -> ssl.SSLContext | None:
    """TLS with the certificate that the environment names; None without. Raises UsageError."""
    certificate = os.environ.get(CERTIFICATE)
    if not certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, os.environ.get(KEY), password="")  # asks nobody
    except OSError as error:
        raise UsageError(f"{CERTIFICATE}, {KEY}: no certificate and key can be read") from error
    return context
