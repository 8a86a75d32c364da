"""A run without its cameras and networks: the records of a video, played again in real time.

Of a run that costs little itself, what sinks cost can be told on a busy machine as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from microspot.engines.loading import load_engines
from microspot.realtime.config import Settings
from microspot.realtime.meter import Figures
from microspot.realtime.pipeline import Pipeline, Record
from microspot.realtime.records import FrameRecord
from microspot.realtime.sinks.base import OF_FRAMES
from microspot.realtime.sources.open import open_source
from microspot.realtime.sources.options import SourceOptions

WAKE_UPS = "voluntary_ctxt_switches"


class Recorded(NamedTuple):
    """The `start` record of a run, and the records of each of its rounds."""

    start: dict[str, Any]
    rounds: list[list[Record]]


class Spent(NamedTuple):
    """CPU in s of all threads, and how often they were woken, until now."""

    cpu_s: float
    wake_ups: int


def record(source: str, seconds: float) -> Recorded:
    """Run a source as fast as it goes, and keep everything, records of frames included."""
    rounds: list[list[Record]] = [[]]
    options = SourceOptions(synthetic_s=seconds)
    with (
        load_engines() as engines,
        open_source(source, options=options) as opened,
        Pipeline([opened], engines) as pipeline,
    ):
        pipeline.wants_frames = OF_FRAMES
        pipeline.between_rounds = lambda: rounds.append([])
        start = pipeline.describe()
        for each in pipeline.run():
            rounds[-1].append(each)
    return Recorded(start, [records for records in rounds if records])


class Replayed:
    """A run of these records at `hz` rounds a second.

    spent: at the beginning, after `settle` rounds, and at the end.
    """

    draw: Any = None
    wants_frames: Collection[str] = ()

    def __init__(self, recorded: Recorded, hz: float, settle: int) -> None:
        self.settings = Settings()
        self.between_rounds: Callable[[], None] = lambda: None
        self.spent: list[Spent] = []
        self._recorded = recorded
        self._hz = hz
        self._settle = settle

    def describe(self) -> dict[str, Any]:
        return self._recorded.start

    def run(self) -> Iterator[Record]:
        began_s = time.monotonic()
        for number, records in enumerate(self._recorded.rounds):
            time.sleep(max(0.0, began_s + number / self._hz - time.monotonic()))
            if number == self._settle:
                self.spent.append(spent())
            self.between_rounds()
            for each in records:
                if not isinstance(each, FrameRecord) or each.kind in self.wants_frames:
                    yield each
        self.spent.append(spent())

    def per_round(self) -> tuple[float, float]:
        """CPU in ms and wake-ups of a round, once the run is over."""
        before, after = self.spent
        rounds = len(self._recorded.rounds) - self._settle
        wake_ups = (after.wake_ups - before.wake_ups) / rounds
        return 1e3 * (after.cpu_s - before.cpu_s) / rounds, wake_ups

    def figures(self) -> Figures:
        return Figures()

    def retune(self, settings: Settings) -> None:
        raise AssertionError("nobody has other settings")

    def stop(self) -> None:
        raise AssertionError("a sink has failed")

    def finish(self) -> Iterator[Record]:
        raise AssertionError("nothing interrupted this run")


def spent() -> Spent:
    """What this process has spent; wake-ups of threads that are there now."""
    count = 0
    for task in Path("/proc/self/task").iterdir():
        if (task / "status").exists():
            lines = (task / "status").read_text().splitlines()
            count += sum(int(line.split()[1]) for line in lines if line.startswith(WAKE_UPS))
    return Spent(time.process_time(), count)
