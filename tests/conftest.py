"""What all tests share: no property is judged by the time an example takes, and signals arrive as at a terminal."""

import importlib.util
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """The tests are those of this checkout: another copy of microspot must not be judged by them."""
    found = importlib.util.find_spec("microspot")
    spec = importlib.util.find_spec("microspot.engines") if found else None
    if spec is None or spec.origin is None or Path(spec.origin).resolve().parents[1] != ROOT:
        where = "is not installed" if spec is None else f"is {spec.origin}"
        pytest.exit(f"microspot.engines {where}: run pip install -e '.[test]' in {ROOT}", 4)


@pytest.fixture(autouse=True, scope="session")
def _signals_of_a_terminal() -> Iterator[None]:
    """Under nohup, or in the background of a script, children would inherit that they ignore what tests send them."""
    ignored = [n for n in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
