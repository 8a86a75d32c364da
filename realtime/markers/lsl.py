"""Markers of a stream of the Lab Streaming Layer, such as PsychoPy and Presentation send.

A thread looks for the stream, which may begin after the run and end before it, and reads it. Each
sample's time is moved from its sender's clock to LSL's clock here, and from there to the host's.
"""

from __future__ import annotations

import math
import queue
import threading
from typing import Any, Self

import numpy as np

from microspot.engines.text.redaction import printable

from ..sinks.lsl.clock import LslClock, load_library, stream_name
from ..sources.capture.host_clock import host_time_ns
from .placement import Stimulus

CONNECT_S = 2.0  # that a run waits for a stream that is there already
LOOK_EVERY_S = 0.25  # for a stream that is not there
PULL_S = 0.2  # how soon the thread notices that the run has ended
ANSWER_S = 5.0  # for a sender to open a stream and say what its clock says
MOST_WAITING = 10_000  # markers that nobody has taken; further ones are counted
MOST_LETTERS = 1000  # of one marker


class LslMarkers:
    """The markers of the stream NAME of `lsl:NAME`.

    Raises UsageError where pylsl is missing or the name could not be asked for.
    """

    def __init__(self, uri: str) -> None:
        self.remark = ""
        self._name = stream_name(uri, "--markers")
        self._pylsl = load_library("--markers lsl:NAME")
        self._clock = LslClock(self._pylsl)
        self._queue: queue.Queue[Stimulus] = queue.Queue(MOST_WAITING)
        self._lost = 0
        self._stop = threading.Event()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._run, name="markers", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look for the stream; one that is there is waited for."""
        self._thread.start()
        self._connected.wait(CONNECT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if not self._connected.is_set():
            self.remark = f"no LSL stream called {self._name} was found: there are no markers"
        elif self._lost:
            self.remark = f"{self._lost} markers of {self._name} came too fast and are left out"

    def take(self) -> list[Stimulus]:
        """The markers that have come since the last call; waits for none."""
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def _run(self) -> None:
        resolver = self._pylsl.ContinuousResolver("name", self._name)
        while not self._stop.is_set():
            found = resolver.results()
            if not found:
                self._stop.wait(LOOK_EVERY_S)
                continue
            try:
                self._read(found[0])
            except RuntimeError:  # of pylsl: its sender has ended, or does not answer: look again
                self._stop.wait(LOOK_EVERY_S)

    def _read(self, info: Any) -> None:
        """Read a stream until the run ends; raises an error of pylsl where it is gone."""
        # Text comes as bytes: what a sender calls text need not be UTF-8.
        inlet = self._pylsl.StreamInlet(info, recover=False, as_numpy=True)
        inlet.open_stream(ANSWER_S)
        inlet.time_correction(ANSWER_S)  # the first takes a moment, later ones none
        self._connected.set()
        while not self._stop.is_set():
            values, sent_s = inlet.pull_sample(PULL_S)
            if values is not None:
                self._keep(values, sent_s + inlet.time_correction(ANSWER_S))

    def _keep(self, values: Any, lsl_s: float) -> None:
        known = math.isfinite(lsl_s)
        host_ns = self._clock.host_ns(lsl_s) if known else host_time_ns()
        try:
            self._queue.put_nowait(Stimulus(self._name, text_of(values), host_ns))
        except queue.Full:
            self._lost += 1


def text_of(values: Any) -> str:
    """A sample's channels as text of at most MOST_LETTERS; bytes are UTF-8."""
    texts = []
    for value in values:
        if isinstance(value, bytes):
            texts.append(value.decode("utf-8", "replace"))
        else:
            texts.append(str(value) if isinstance(value, np.integer) else f"{value:.9g}")
    return printable(", ".join(texts)[:MOST_LETTERS])
