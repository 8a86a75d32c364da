"""Command `microspot-demo`: serve the browser page. Errors are one line and an exit code; --debug tells more."""

from __future__ import annotations

import importlib.util
import logging
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from realtime.errors import UsageError

from .access import Binding, read_password
from .limits import Limits

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="See micro-expressions as they happen, in a browser."
)
SOURCES = ["sample:synthetic:7", "sample"]  # what the Camera tab offers where no source is named
EXTRA = ("gradio", "fastapi", "uvicorn", "websockets")
PING_S = 10.0  # a page that does not answer for so long is gone
FAREWELL_S = 3  # for open pages when the server ends


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one", min=0, max=65535)] = 7860,
    source: Annotated[list[str] | None, typer.Option(help="what the Camera tab offers; repeatable")] = None,
    engines: Annotated[str | None, typer.Option(help="folder of weights, or 'baseline'")] = None,
    backend: Annotated[str, typer.Option(help="auto | onnx | tensorrt | rtx | torch")] = "auto",
    labels: Annotated[int, typer.Option(help="emotion classes: 3 or 5")] = 3,
    threshold: Annotated[float | None, typer.Option(help="T_CRN, 0 to 1; default from the weights")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings")] = None,
    runs: Annotated[int, typer.Option(help="pipelines at once; further pages wait in line", min=1)] = Limits().runs,
    name: Annotated[str | None, typer.Option(help="host that people type, where it is not --host")] = None,
    password_file: Annotated[Path | None, typer.Option(help="or the variable MICROSPOT_DEMO_PASSWORD")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="certificate chain (PEM)")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="its private key (PEM)")] = None,
    behind_proxy: Annotated[bool, typer.Option("--behind-proxy", help="a proxy on this machine speaks TLS")] = False,
) -> None:
    """Serve the page on this machine alone, unless a password and TLS (or a proxy) protect it."""
    if missing := [package for package in EXTRA if importlib.util.find_spec(package) is None]:
        raise UsageError(f"the demo needs {', '.join(missing)}: pip install 'microspot[demo]'")
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("give --tls-cert and --tls-key together")
    binding = Binding(host, port, name, tls_cert is not None, behind_proxy, read_password(password_file))

    from engines.runtime.select import load_engines
    from realtime.config import Settings

    from .runs import Kit

    load = partial(load_engines, engines, backend, labels)
    kit = Kit.checked(load, Settings.load(config, threshold=threshold))
    listener = _listen(binding)
    _serve(binding, listener, kit, source or SOURCES, Limits(runs=runs), tls_cert, tls_key)


def _listen(binding: Binding) -> socket.socket:
    """A socket bound before anything slow, so that a taken port is known at once."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((binding.host, binding.port))
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {binding.host}:{binding.port} ({error.strerror}): give --port") from error
    return listener


def _serve(
    binding: Binding,
    listener: socket.socket,
    kit: object,
    sources: list[str],
    limits: Limits,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    import uvicorn

    from .app import build
    from .runs import Kit

    assert isinstance(kit, Kit)
    port = listener.getsockname()[1]
    origins = binding.origins(port)
    application = build(kit, sources, origins, password=binding.password, secure=binding.secure, limits=limits)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="microspot-demo: %(message)s")
    server = uvicorn.Server(
        uvicorn.Config(
            application, log_config=None, log_level="warning", access_log=False, server_header=False,
            ws="websockets-sansio", ws_max_size=limits.message_bytes, ws_per_message_deflate=False,
            ws_ping_interval=PING_S, ws_ping_timeout=PING_S, timeout_graceful_shutdown=FAREWELL_S, proxy_headers=False,
            ssl_certfile=tls_cert, ssl_keyfile=tls_key,
        )
    )  # fmt: skip
    typer.echo(f"microspot: open {_address(binding, port)} in a browser; ctrl-C ends")
    server.run(sockets=[listener])


def _address(binding: Binding, port: int) -> str:
    own = f"http{'s' * binding.secure}://{binding.bracketed}:{port}"
    return own if own in binding.origins(port) else min(binding.origins(port))


def main() -> None:
    """Entry point of `microspot-demo`."""
    from engines.commands import run_command

    run_command(app, "microspot-demo")


if __name__ == "__main__":
    main()
