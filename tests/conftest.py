"""What all tests share: the code of this checkout, signals as at a terminal, no time limit."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Modules that use what Windows lacks: fcntl, pty, resource, os.mkfifo, SIGHUP, SIGSTOP.
POSIX_ONLY = (
    "demo/server/test_deadlines.py",
    "engines/data/test_tables.py",
    "engines/text/test_wrong_documents.py",
    "faults/*",
    "laws/test_time_ring_nms_memory.py",
    "portability/test_stripped_child.py",
    "realtime/commands/*",
    "realtime/processes/*",
    "realtime/sinks/mqtt/*",
    "realtime/sinks/test_acknowledged.py",
    "realtime/sinks/test_video_writer.py",
    "realtime/sources/test_folders.py",
    "realtime/sources/test_names.py",
    "realtime/supervision/*",
    "realtime/test_watch.py",
    "syscalls/*",
)
collect_ignore_glob = [] if hasattr(os, "mkfifo") else list(POSIX_ONLY)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Refuse to judge another copy of microspot than that of this checkout; keep LSL at home."""
    os.environ["LSLAPICFG"] = str(ROOT / "tests" / "lsl_api.cfg")
    found = importlib.util.find_spec("microspot")
    spec = importlib.util.find_spec("microspot.engines") if found else None
    if spec is None or spec.origin is None or Path(spec.origin).resolve().parents[1] != ROOT:
        where = "is not installed" if spec is None else f"is {spec.origin}"
        pytest.exit(f"microspot.engines {where}: run pip install -e '.[test]' in {ROOT}", 4)


@pytest.fixture(autouse=True, scope="session")
def _signals_of_a_terminal() -> Iterator[None]:
    """Let children take signals that nohup or a script in the background has made us ignore."""
    kinds = [signal.Signals[name] for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
    ignored = [n for n in kinds if signal.getsignal(n) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
