"""A pipeline whose sources come and go while it runs."""

from __future__ import annotations

import queue
import time
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Any

from ..feed import End
from ..pipeline import Pipeline, Record, SourcesChanged
from ..sources.open import Source

Change = tuple[Sequence[Source], Collection[str]]  # who joins, and the names of who leaves


class ChangingPipeline(Pipeline):
    """A Pipeline that begins without sources and runs until `stop`, also while it has none.

    The others notice nothing of a change: they only share batches with more sources, or with fewer.
    round_s: when the last round began, on the clock of `time.monotonic`; None before the first.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__((), *args, **options)
        self.round_s: float | None = None
        self._changes: queue.SimpleQueue[Change] = queue.SimpleQueue()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while not self._changes.empty():
            for source in self._changes.get()[0]:
                self._open.callback(source.close)
        super().__exit__(kind, error, trace)

    def change(self, join: Sequence[Source] = (), leave: Collection[str] = ()) -> None:
        """End the sources called `leave`, then run those of `join`, from the next round on.

        What is open of those that leave ends as at the end of a source. May be called from any
        thread. A name that is taken makes `run` raise UsageError.
        """
        self._changes.put((join, leave))
        self._ready.set()

    @property
    def names(self) -> tuple[str, ...]:
        """The sources that it holds, also while they leave; may be called from any thread."""
        return tuple(run.feed.source.name for run in self._runs)

    def _runs_on(self) -> bool:
        return True

    def _take_changes(self) -> Iterator[Record]:
        self.round_s = time.monotonic()
        while not self._changes.empty():
            join, leave = self._changes.get()
            yield from self._let_leave(leave)
            for run in self._add(join):
                run.feed.start(self._ready)
            yield SourcesChanged(self.describe())

    def _let_leave(self, names: Collection[str]) -> Iterator[Record]:
        leaving = [run for run in self._runs if run.feed.source.name in names]
        yield from self._round([(run, End()) for run in leaving if not run.over])
        for run in leaving:
            run.feed.close()
        self._runs = [run for run in self._runs if run not in leaving]
