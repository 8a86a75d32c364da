"""What the project's commands share: exit codes, errors of one line, --debug for the traceback."""

from __future__ import annotations

import atexit
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from ..errors import DataError, MicrospotError, UsageError, missing_library
from ..system.signals import ENDINGS
from ..telemetry import switch_off
from ..tensorrt.cache import cache_folder
from ..text.redaction import redact, redact_uri, shown
from .version import installed_version

INTERRUPTED = 130  # exit code
# Errors of a write, whose exceptions have no file name.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

_received: list[int] = []  # signals


def interrupted() -> bool:
    """Whether this command was told to end.

    Native code that runs while modules load may swallow the KeyboardInterrupt.
    """
    return bool(_received)


def version_option() -> Any:
    """The option --version of every command: prints name and version of the project, code 0."""
    import typer

    return typer.Option(
        "--version", callback=_print_version, is_eager=True, help="print the version and end"
    )


def _print_version(wanted: bool) -> None:
    """Print the version of the installed package and end the command."""
    import typer

    if not wanted:
        return
    typer.echo(f"microspot {installed_version()}")
    raise typer.Exit


def run_command(application: Callable[..., Any], name: str) -> None:
    """Run a typer application with the exit codes of the contract, then exit."""
    _contain_libraries()
    argv = [arg for arg in sys.argv[1:] if arg != "--debug"]
    debug = len(argv) < len(sys.argv) - 1
    closed = _open_what_is_closed()
    if not debug:
        _quiet_native_libraries()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a name with a letter that the terminal lacks is no reason to fail
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _end_as_by_ctrl_c()
        if closed:
            raise DataError("standard output is closed: send it to a file, or to /dev/null")
        code = application(args=argv, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except (SystemExit, BrokenPipeError) as error:
        code = _reader_left(error)
    except Exception as error:
        code = _exit_code(error, name, debug)
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()
    sys.exit(code or 0)


def _contain_libraries() -> None:
    """Keep libraries from sending anything to their makers, and their files in our cache."""
    switch_off()
    # mediapipe imports matplotlib, which writes a list of fonts
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))


def _exit_code(error: Exception, name: str, debug: bool) -> int:
    """Print `error` unless the command was told to end; the exit code."""
    if interrupted():  # an interrupted import may raise any error
        return INTERRUPTED
    explained = explain(error)
    if explained is None:
        return _bug()
    return _report(name, *explained, debug)


def explain(error: Exception) -> tuple[str, int] | None:
    """The line and the exit code of an error that a person can mend; None for a bug."""
    if isinstance(error, MicrospotError):
        return str(error), error.exit_code
    format_message = getattr(error, "format_message", None)  # of the command-line library
    if format_message is not None:
        return format_message(), UsageError.exit_code
    missing = missing_library(error)
    if missing is not None:
        return str(missing), missing.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", DataError.exit_code
    if isinstance(error, OSError) and error.errno in FULL:
        return f"cannot write its output: {error.strerror}", DataError.exit_code
    return None


def _end_as_by_ctrl_c() -> None:
    """Raise KeyboardInterrupt for every signal of ENDINGS, as for ctrl-C.

    A signal that is ignored (nohup) stays so. A child that was forked, and so inherits this, ends
    as a program without it would.
    """
    owner = os.getpid()

    def interrupt(number: int, _: FrameType | None) -> None:
        if os.getpid() == owner:
            _received.append(number)
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    atexit.register(_keep_code)


def _keep_code() -> None:
    """Exit with 130 after an interruption.

    Where it went through code given as text, Python would kill itself by SIGINT instead.
    """
    if interrupted():
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(INTERRUPTED)


def _open_what_is_closed() -> bool:
    """Open the null device for those of descriptors 0 to 2 that are closed; whether stdout was.

    Otherwise the next file that is opened would get what is printed.
    """
    closed = sys.stdout is None
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (stays open)
    return closed


def _reader_left(error: BaseException) -> int:
    """Exit code 0 where the reader of stdout went away (`| head`); raises any other error.

    typer and rich make SystemExit of a BrokenPipeError.
    """
    if not any(isinstance(e, BrokenPipeError) for e in (error, error.__context__)):
        raise error
    _drop_stdout()
    return 0


def _drop_stdout() -> None:
    """Discard what Python still holds for stdout, which would fail again at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _quiet_native_libraries() -> None:
    """Discard what C++ libraries write to stderr past any setting, and keep Python's own."""
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _report(name: str, message: str, code: int, debug: bool) -> int:
    if debug:
        import traceback

        print(redact(_without_arguments(traceback.format_exc())), file=sys.stderr)
    with suppress(OSError):  # where stderr fails, the exit code remains
        print(f"{name}: {shown(_without_arguments(message))}", file=sys.stderr)
    return code


def _bug() -> int:
    """Print the traceback of an unexpected error, redacted; the exit code."""
    import traceback

    print(redact(_without_arguments(traceback.format_exc())), file=sys.stderr)
    return MicrospotError.exit_code


def _without_arguments(text: str) -> str:
    """`text` with the URIs of the command line redacted.

    Only the command line shows where a URI ends that holds blanks.
    """
    for argument in sys.argv[1:]:
        for uri in (argument, argument.partition("=")[2]):
            if "://" in uri:
                text = text.replace(uri, redact_uri(uri))
    return text
