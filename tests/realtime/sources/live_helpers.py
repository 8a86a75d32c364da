"""What the tests of live sources share: options, and questions about records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from microspot.realtime.records import (
    Frame,
    Gap,
    SourceRecord,
    SourceState,
    SourceWarning,
)
from microspot.realtime.sources.open import SourceOptions
from tests import fake_cameras
from tests.fake_cameras import FakeCamera

Record = SourceRecord
QUICK: dict[str, Any] = {"open_s": 20.0, "stall_s": 3.0, "retry_s": 0.1, "retry_max_s": 0.3}


def injected(camera: Callable[..., FakeCamera], **options: Any) -> SourceOptions:
    return SourceOptions(
        camera=f"{fake_cameras.__name__}:{camera.__name__}", **{**QUICK, **options}
    )


def states(records: list[Record]) -> list[str]:
    """States and kinds of warnings, in order."""
    told = [r for r in records if isinstance(r, SourceState | SourceWarning)]
    return [r.state if isinstance(r, SourceState) else r.kind for r in told]


def frames(records: list[Record]) -> list[Frame]:
    return [r for r in records if isinstance(r, Frame)]


def until(source: Iterator[Record], stop: Callable[[Record], bool]) -> list[Record]:
    """The records up to and with the first that `stop` accepts."""
    records = []
    for record in source:
        records.append(record)
        if stop(record):
            break
    return records


def assert_covered(records: list[Record], reason: str = "connection lost") -> None:
    """Two gaps for each outage, none empty, from the last frame before it to the first after it."""
    gaps = [r for r in records if isinstance(r, Gap)]
    frames_at = [r.captured_ns for r in records if isinstance(r, Frame)]
    assert gaps
    assert len(gaps) % 2 == 0
    for told, rest in zip(gaps[::2], gaps[1::2], strict=True):
        assert (told.face, told.reason, rest.reason) == (None, reason, reason)
        assert told.start_ns < told.stop_ns == rest.start_ns < rest.stop_ns
        before = max(at for at in frames_at if at < told.stop_ns)
        after = min(at for at in frames_at if at > told.stop_ns)
        assert (told.start_ns, rest.stop_ns) == (before, after)


def is_state(name: str) -> Callable[[Record], bool]:
    return lambda record: states([record]) == [name]
