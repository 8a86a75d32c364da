"""What all outputs together cost: CPU a frame with every sink but those that draw, and with none.

    python -m tests.realtime.sinks.cost [--seconds 30] [--repeats 3] [--replayed] [--each]

A face at 30 Hz is watched in real time, alternately without sinks and with all of them, one client
each. The clients (mosquitto, a web server, listeners that ask for scores, an LSL recorder and a
reader of the metrics) are other processes and do not count. CPU is that of all threads of ours, of
a long run less that of a short one. With --replayed the records of the run are played again without
its networks, whose CPU varies by more than all sinks cost where a machine is shared; wake-ups of
threads are counted besides. With --each every sink is measured alone as well.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from websockets.sync.client import connect

from microspot.engines.loading import load_engines
from microspot.realtime.config import Settings
from microspot.realtime.sinks.open import SINKS, kind_of, open_sink
from microspot.realtime.sources.open import open_source
from microspot.realtime.sources.options import SourceOptions
from microspot.realtime.watch import follow, watch
from tests.lsl import unique
from tests.mosquitto import Mosquitto, Subscriber, free_port
from tests.realtime.sinks.network.test_webhook import Receiver
from tests.realtime.sinks.replayed import Recorded, Replayed, record

SOURCE = "sample:synthetic:7"
RATE_HZ = 30
SHORT_S = 8.0  # of the run whose CPU is taken off
POLL_S = 1.0  # between two readings of the metrics
LSL_STREAMS = 3
CLIENTS = ("ws", "sse", "metrics", "http", "mqtt", "lsl")


def outputs(folder: Path, ports: dict[str, int], name: str) -> list[str]:
    """The `--out` of one sink of each kind that draws nothing and needs no other machine."""
    files = [f"{folder}/events{kind}" for kind in SINKS if kind.startswith(".") and kind != ".mp4"]
    served = [f"{kind}:127.0.0.1:{ports[kind]}" for kind in ("ws", "sse", "metrics")]
    sent = [f"http://127.0.0.1:{ports['http']}/hook", f"mqtt://127.0.0.1:{ports['mqtt']}/microspot"]
    return [*files, *served, *sent, f"lsl:{name}"]


class Listeners:
    """One client of each output that has any; counts what each takes in `taken`."""

    def __init__(self, ports: dict[str, int], name: str, taken: MutableMapping[str, int]) -> None:
        self._ports = ports
        self._name = name
        self._taken = taken

    def run(self) -> None:
        """All of them, for ever; each begins again until its server is there."""
        listeners = (
            self.websocket,
            self.event_stream,
            self.metrics,
            self.lsl,
            self.webhook,
            self.mqtt,
        )
        for listener in listeners:
            threading.Thread(target=self._patiently, args=(listener,), daemon=True).start()
        threading.Event().wait()

    def _patiently(self, listener: Callable[[], None]) -> None:
        while True:
            try:
                listener()
            except OSError:
                time.sleep(0.1)

    def _count(self, kind: str) -> None:
        self._taken[kind] = self._taken.get(kind, 0) + 1

    def websocket(self) -> None:
        address = f"ws://127.0.0.1:{self._ports['ws']}/?scores=1"
        with connect(address, open_timeout=30) as server:
            for _ in server:
                self._count("ws")

    def event_stream(self) -> None:
        address = f"http://127.0.0.1:{self._ports['sse']}/events?scores=1"
        with urllib.request.urlopen(address) as answer:
            for _ in answer:
                self._count("sse")

    def metrics(self) -> None:
        while True:
            address = f"http://127.0.0.1:{self._ports['metrics']}/metrics"
            with urllib.request.urlopen(address) as answer:
                answer.read()
            self._count("metrics")
            time.sleep(POLL_S)

    def lsl(self) -> None:
        import pylsl

        found = pylsl.resolve_bypred(f"starts-with(name,'{self._name}')", LSL_STREAMS, 60)
        if len(found) < LSL_STREAMS:
            raise OSError("the streams are not there yet")
        inlets = [pylsl.StreamInlet(stream) for stream in found]
        while True:
            for inlet in inlets:
                if inlet.pull_sample(0.01)[0] is not None:
                    self._count("lsl")

    def webhook(self) -> None:
        receiver = Receiver(self._ports["http"])
        while True:
            time.sleep(POLL_S)
            self._taken["http"] = len(receiver.taken)

    def mqtt(self) -> None:
        subscriber = Subscriber(self._ports["mqtt"])
        while True:
            time.sleep(POLL_S)
            self._taken["mqtt"] = len(subscriber.heard)


def listen(ports: dict[str, int], name: str, taken: MutableMapping[str, int]) -> None:
    """All listeners, in a process of their own."""
    Listeners(ports, name, taken).run()


@contextmanager
def clients(folder: Path) -> Iterator[tuple[list[str], dict[str, int]]]:
    """The outputs for which clients wait, and what these have taken."""
    broker = Mosquitto(folder)
    ports = {kind: free_port() for kind in ("ws", "sse", "metrics", "http")}
    ports["mqtt"] = broker.port
    name = unique("cost")
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        taken = manager.dict()
        process = context.Process(target=listen, args=(ports, name, taken), daemon=True)
        process.start()
        counted: dict[str, int] = {}
        try:
            yield outputs(folder, ports, name), counted
            counted |= dict(taken)
        finally:
            process.kill()
            process.join()
            broker.stop()


def cpu_s(outs: Sequence[str], seconds: float) -> float:
    """CPU of a run of so many seconds with these outputs, from open to closed."""
    options = SourceOptions(synthetic_s=seconds)
    with load_engines() as engines, open_source(SOURCE, pace=True, options=options) as source:
        began = time.process_time()
        watch([source], engines, [*map(open_sink, outs)], Settings())
        return time.process_time() - began


def ms_per_frame(outs: Sequence[str], seconds: float) -> float:
    """CPU a frame, without what begins and ends a run: a long run less a short one."""
    longer = cpu_s(outs, seconds + SHORT_S) - cpu_s(outs, SHORT_S)
    return 1e3 * longer / (seconds * RATE_HZ)


def replayed_ms(outs: Sequence[str], recorded: Recorded) -> float:
    """CPU of a frame of a run that is played again; prints how often threads were woken."""
    run = Replayed(recorded, RATE_HZ, round(SHORT_S * RATE_HZ))
    follow(run, [*map(open_sink, outs)])
    ms, wake_ups = run.per_round()
    print(f"{len(outs)} sinks: {ms:.3f} ms, {wake_ups:.2f} wake-ups a frame", flush=True)
    return ms


def main() -> None:
    """Print the CPU of each run, and the difference of the medians."""
    parser = argparse.ArgumentParser(description="CPU a frame of all sinks that draw nothing")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--replayed", action="store_true")
    parser.add_argument("--each", action="store_true")
    chosen = parser.parse_args()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name  # the spools of the webhook and of MQTT
        os.environ["LSLAPICFG"] = str(Path(__file__).parents[2] / "lsl_api.cfg")
        with clients(Path(name)) as (outs, taken):
            measure = partial(ms_per_frame, seconds=chosen.seconds)
            if chosen.replayed:
                measure = partial(replayed_ms, recorded=record(SOURCE, chosen.seconds + SHORT_S))
            else:
                cpu_s((), SHORT_S)  # what is compiled once
            measured = {"none": [], "all": outs}
            measured |= {kind_of(out): [out] for out in outs if chosen.each}
            for which in [*measured] * chosen.repeats:
                found.setdefault(which, []).append(measure(measured[which]))
        kinds = len(outs)
    if idle := sorted(kind for kind in CLIENTS if not taken.get(kind)):
        parser.exit(1, f"no client took anything of {', '.join(idle)}: the figures are too low\n")
    ms = {which: statistics.median(values) for which, values in found.items()}
    print(json.dumps({"ms_per_frame": found, "taken": taken, "sinks": kinds}))
    for which in [*ms][2:]:
        print(f"{which} alone: {ms[which] - ms['none']:.3f} ms")
    print(f"{kinds} sinks: {ms['all'] - ms['none']:.2f} ms of CPU a frame more than without")


if __name__ == "__main__":
    main()
