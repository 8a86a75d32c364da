"""What the project's commands share: exit codes of the contract, one line an error, --debug for the traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

from .errors import MicrospotError, UsageError, missing_library
from .redaction import redact, redact_uri, shown
from .runtime.cache import cache_folder
from .telemetry import switch_off


def run_command(application: Callable[..., Any], name: str) -> None:
    """Run a typer application under the exit codes of the contract; used by every command of the project."""
    _keep_to_ourselves()
    argv = [arg for arg in sys.argv[1:] if arg != "--debug"]
    debug = len(argv) < len(sys.argv) - 1
    if not debug:
        _quiet_native_libraries()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a letter of a name is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = application(args=argv, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except MicrospotError as error:
        code = _report(name, str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        code = 130
    except (SystemExit, BrokenPipeError) as error:
        code = _reader_left(error)
    except Exception as error:
        explain = getattr(error, "format_message", None)  # a usage error of the command-line library
        if explain is not None:
            code = _report(name, explain(), UsageError.exit_code, debug)
        elif (missing := missing_library(error)) is not None:
            code = _report(name, str(missing), missing.exit_code, debug)
        else:
            raise
    sys.exit(code or 0)


def _keep_to_ourselves() -> None:
    """Nothing is sent to the makers of what we build on, and what they keep on the disk lies in our cache."""
    switch_off()
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))  # mediapipe imports it: a list of fonts


def _reader_left(error: BaseException) -> int:
    """Exit code 0 where the reader of stdout went away (`| head`); typer and rich make SystemExit of that."""
    if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
        raise error
    # what Python still holds for stdout would fail again, noisily, when the interpreter exits
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _quiet_native_libraries() -> None:
    """Point file descriptor 2 at nothing and keep Python's stderr: C++ libraries chat there past any setting."""
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _report(name: str, message: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        print(redact(_without_arguments(traceback.format_exc())), file=sys.stderr)
    print(f"{name}: {shown(_without_arguments(message))}", file=sys.stderr)
    return code


def _without_arguments(text: str) -> str:
    """`text` with the URIs of the command line redacted. Only here it is known where one ends that holds blanks."""
    for argument in sys.argv[1:]:
        for uri in (argument, argument.partition("=")[2]):
            text = text.replace(uri, redact_uri(uri)) if "://" in uri else text
    return text
