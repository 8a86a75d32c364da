"""Command `microspot-demo`: serve the browser page.

An error is one line and an exit code; --debug adds the traceback.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from microspot.engines.commands.entry_point import run_command, version_option
from microspot.engines.errors import install
from microspot.realtime.errors import UsageError

from .access.binding import Binding, read_password
from .limits import Limits

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="See micro-expressions as they happen, in a browser.",
)
SOURCES = ["sample:synthetic:7", "sample"]  # what the Camera tab offers where no source is named
EXTRA = ("gradio", "fastapi", "uvicorn", "websockets")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one", min=0, max=65535)] = 7860,
    source: Annotated[
        list[str] | None, typer.Option(help="what the Camera tab offers; repeatable")
    ] = None,
    engines: Annotated[str | None, typer.Option(help="folder of weights, or 'baseline'")] = None,
    backend: Annotated[str, typer.Option(help="auto | onnx | tensorrt | rtx | torch")] = "auto",
    labels: Annotated[
        str, typer.Option(help="3 | 5 | units: emotion classes, or action units without an emotion")
    ] = "3",
    no_labels: Annotated[
        bool, typer.Option("--no-labels", help="movement only: no emotion class is computed")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help="T_CRN, 0 to 1; default from the weights")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings")] = None,
    runs: Annotated[
        int, typer.Option(help="pipelines at once; further pages wait in line", min=1)
    ] = Limits().runs,
    name: Annotated[
        str | None,
        typer.Option(help="address that people type: HOST, with :PORT and /PATH where needed"),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="or the variable MICROSPOT_DEMO_PASSWORD")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="certificate chain (PEM)")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="its private key (PEM)")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="a proxy on this machine speaks TLS")
    ] = False,
    version: Annotated[bool, version_option()] = False,
) -> None:
    """Serve the page on this machine alone, unless a password and TLS (or a proxy) protect it."""
    if missing := [package for package in EXTRA if importlib.util.find_spec(package) is None]:
        raise UsageError(f"the demo needs {', '.join(missing)}: {install('demo')}")
    if (tls_cert is None) != (tls_key is None):
        raise UsageError("give --tls-cert and --tls-key together")
    binding = Binding(
        host, port, name, tls_cert is not None, behind_proxy, read_password(password_file)
    )

    from microspot.engines.loading import load_engines, wanted_labels
    from microspot.realtime.config import Settings

    from .app import build
    from .server.serve import address, listen, server
    from .views.pipeline_run import PipelineSetup

    with listen(binding) as listener:
        port = listener.getsockname()[1]
        setup = PipelineSetup.checked(
            partial(load_engines, engines, backend, wanted_labels(labels, no_labels)),
            Settings.load(config, threshold=threshold),
        )
        limits = Limits(runs=runs)
        application = build(setup, source or SOURCES, binding, port, limits=limits)
        serving = server(application, limits, (tls_cert, tls_key) if tls_cert and tls_key else None)
        logging.basicConfig(
            level=logging.WARNING, stream=sys.stderr, format="microspot-demo: %(message)s"
        )
        typer.echo(f"microspot: open {address(binding, port)} in a browser; ctrl-C ends")
        serving.run(sockets=[listener])


def main() -> None:
    """Entry point of `microspot-demo`."""
    run_command(app, "microspot-demo")


if __name__ == "__main__":
    main()
