"""What the project's commands share: exit codes of the contract, one line an error, --debug for the traceback."""

from __future__ import annotations

import atexit
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from types import FrameType
from typing import Any

from ..errors import DataError, MicrospotError, UsageError, missing_library
from ..redaction import redact, redact_uri, shown
from ..telemetry import switch_off
from ..tensorrt.cache import cache_folder

ENDINGS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
)  # ctrl-C, a supervisor, a terminal that closes
INTERRUPTED = 130
FULL = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
)  # what a write meets, without the name of its file

_received: list[int] = []  # signals that came


def interrupted() -> bool:
    """Whether this command was told to end. Native code that is called while modules load may swallow it."""
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
    try:
        installed = version("microspot")
    except PackageNotFoundError:
        installed = "(not installed: a bare checkout)"
    typer.echo(f"microspot {installed}")
    raise typer.Exit


def run_command(application: Callable[..., Any], name: str) -> None:
    """Run a typer application under the exit codes of the contract; used by every command of the project."""
    _keep_to_ourselves()
    argv = [arg for arg in sys.argv[1:] if arg != "--debug"]
    debug = len(argv) < len(sys.argv) - 1
    closed = _open_what_is_closed()
    if not debug:
        _quiet_native_libraries()
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # a terminal that lacks a letter of a name is no reason to fail
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
        told = explain(error)
        if interrupted():  # amid an import, that comes out as any error
            code = INTERRUPTED
        elif told is None:
            code = _bug()
        else:
            code = _report(name, *told, debug)
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()
    sys.exit(code or 0)


def _keep_to_ourselves() -> None:
    """Nothing is sent to the makers of what we build on, and what they keep on the disk lies in our cache."""
    switch_off()
    os.environ.setdefault(
        "MPLCONFIGDIR", str(cache_folder() / "matplotlib")
    )  # mediapipe imports it: a list of fonts


def explain(error: Exception) -> tuple[str, int] | None:
    """The line and the exit code of an error that a person can mend; None for a bug."""
    if isinstance(error, MicrospotError):
        return str(error), error.exit_code
    if (
        explain := getattr(error, "format_message", None)
    ) is not None:  # a usage error of the command-line library
        return explain(), UsageError.exit_code
    if (missing := missing_library(error)) is not None:
        return str(missing), missing.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", DataError.exit_code
    if isinstance(error, OSError) and error.errno in FULL:
        return f"cannot write its output: {error.strerror}", DataError.exit_code
    return None


def _end_as_by_ctrl_c() -> None:
    """What ends a program from outside raises KeyboardInterrupt here, as ctrl-C does; what is ignored (nohup) stays so.

    A child that was forked, and so inherits this, ends as a program does that knows nothing of it.
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
    """Where an interruption went through code given as text, Python kills itself by SIGINT instead of returning 130."""
    if interrupted():
        with suppress(OSError):
            sys.stderr.flush()
        os._exit(INTERRUPTED)


def _open_what_is_closed() -> bool:
    """Put the null device where descriptors 0 to 2 are closed, or the next file opened would take what is printed.

    True where standard output was closed.
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
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (lives as long as the process)
    return closed


def _reader_left(error: BaseException) -> int:
    """Exit code 0 where the reader of stdout went away (`| head`); typer and rich make SystemExit of that."""
    if not isinstance(error, BrokenPipeError) and not isinstance(
        error.__context__, BrokenPipeError
    ):
        raise error
    _drop_stdout()
    return 0


def _drop_stdout() -> None:
    """What Python still holds for stdout would fail again, noisily, when the interpreter exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


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
    with suppress(OSError):  # the exit code tells, where stderr cannot
        print(f"{name}: {shown(_without_arguments(message))}", file=sys.stderr)
    return code


def _bug() -> int:
    """Print the traceback of what nobody expected; what it quotes may hold a password."""
    import traceback

    print(redact(_without_arguments(traceback.format_exc())), file=sys.stderr)
    return MicrospotError.exit_code


def _without_arguments(text: str) -> str:
    """`text` with the URIs of the command line redacted. Only here it is known where one ends that holds blanks."""
    for argument in sys.argv[1:]:
        for uri in (argument, argument.partition("=")[2]):
            text = text.replace(uri, redact_uri(uri)) if "://" in uri else text
    return text
