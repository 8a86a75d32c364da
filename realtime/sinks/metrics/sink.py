"""A page of metrics that Prometheus asks for: `http://127.0.0.1:9108/metrics`.

The rule of the demo's page: this machine alone, by its own names and no other origin's pages.
Elsewhere a token and TLS are needed. Nobody is waited for: each request has a thread and a few
seconds, and there are only so many at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

from microspot.engines.errors import install

from ...errors import UsageError
from ...meter import Figures
from ..base import Sink
from ..network.entrance import Needs, open_entrance
from ..network.http_server import answer, on_socket
from ..network.secret import read_anew
from .families import FiguresCollector

NEEDS = Needs("MICROSPOT_METRICS_TOKEN", "MICROSPOT_METRICS_CERT", "MICROSPOT_METRICS_KEY")
FORM = "HOST:PORT, such as 127.0.0.1:9108"
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
        entrance = open_entrance(f"--metrics {shown}", shown, FORM, NEEDS)
        self._figures: Callable[[], Figures] = Figures
        self.gate = entrance.gate
        self.port: int = self.gate.port
        self._server = on_socket(
            entrance.socket,
            entrance.context,
            self._reply,
            timeout_s=REQUEST_S,
            most=MOST_REQUESTS,
            request_s=REQUEST_S,
        )
        self.note = f"serving figures on {entrance.where}"
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
        self.gate = replace(self.gate, token=read_anew(NEEDS.token, self.gate.token))

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
