"""What all tests share: the code of this checkout, signals as at a terminal, no time limit."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

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
    ignored = [n for n in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
