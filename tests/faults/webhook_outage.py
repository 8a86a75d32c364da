"""What a webhook gets whose server goes away, and whose sender is killed meanwhile.

    python -m tests.faults.webhook_outage [--away 60]

Our side is a process of its own with the sink of `--out http://…`, its pauses as they ship. It is
killed while the server is away, and another one goes on, which is given some events again as one
that watches the same file is. The server takes one event whose answer is lost, then refuses
connections for as long as asked. Exit code 1 where an event is lost, or events of a source come in
another order, or an event comes under another key, or any is left.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from microspot.realtime.sinks.network import delivery
from microspot.realtime.sinks.open import open_sink
from tests.realtime.sinks.network.test_webhook import Receiver, ids, wait_for
from tests.realtime.sinks.test_sinks import event

SOURCES = ("one", "two")
BATCH = 20  # events at a time
GIVEN_AGAIN = 5  # to the second process, of those that wait already
KILLED_AFTER = 0.4  # of the time that the server is away
PATIENCE_S = 300.0  # after the server is back; the longest pause is a minute
Pauses = tuple[float, float]  # first and longest, in s


class Sender:
    """A process that sends events to an address. pauses: between attempts; None as they ship."""

    def __init__(self, address: str, state: Path, pauses: Pauses | None) -> None:
        words = [str(pause) for pause in pauses or ()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.webhook_outage", "--sender", address, *words],
            env=os.environ | {"XDG_STATE_HOME": str(state)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def take(self, first: int, count: int) -> None:
        """Give it events by their numbers; returns when the sink has them on the disk."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{first} {count}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "taken\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)

    def end(self) -> str:
        """Close its sink and wait for its end; the sink's remark."""
        remark, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return remark.strip()


def send(address: str, pauses: list[float]) -> None:
    """What a Sender runs: a line with first number and count, answered when they are taken."""
    if pauses:
        delivery.FIRST_PAUSE_S, delivery.LONGEST_PAUSE_S = pauses
    with open_sink(address) as sink:
        for line in sys.stdin:
            first, count = map(int, line.split())
            for number in range(first, first + count):
                sink.take(event(name_of(number), source=SOURCES[number % len(SOURCES)]))
            print("taken", flush=True)
    print(sink.remark)


def name_of(number: int) -> str:
    return f"e{number:04}"


@dataclass
class Outcome:
    """What came of it. faults: what was not as promised; others in events, requests and s."""

    sent: int
    came: int  # requests with an event that was taken
    away_s: float
    first_s: float  # from the server's return until it had the first event that waited
    last_s: float  # and the last one
    faults: list[str] = field(default_factory=list)


def run(away_s: float, pauses: Pauses | None = None) -> Outcome:
    """Let the server be away for `away_s`; pauses: between attempts, None as they ship."""
    receiver = Receiver()
    port, address = receiver.port, receiver.address
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with Sender(address, state, pauses) as first:
            first.take(0, BATCH)
            wait_for(lambda: len(receiver.taken) == BATCH)
            receiver.answers = [-1]
            first.take(BATCH, 1)
            wait_for(lambda: len(receiver.taken) > BATCH)
            receiver.close()
            left_s = time.monotonic()
            first.take(BATCH + 1, BATCH)
            time.sleep(KILLED_AFTER * away_s)
            first.take(2 * BATCH + 1, BATCH)
            first.kill()
        sent = 3 * BATCH + 1
        with Sender(address, state, pauses) as second:
            second.take(BATCH + 1, GIVEN_AGAIN)
            second.take(sent, BATCH)
            sent += BATCH
            time.sleep(max(0.0, left_s + away_s - time.monotonic()))
            back = Receiver(port)
            back_s = time.monotonic()
            first_s = last_s = 0.0
            while len(set(ids(back.taken))) < sent - BATCH:
                first_s = first_s or (time.monotonic() - back_s if back.taken else 0.0)
                if time.monotonic() > back_s + PATIENCE_S:
                    break
                time.sleep(0.01)
            last_s = time.monotonic() - back_s
            second.take(sent, BATCH)
            sent += BATCH
            remark = second.end()
        back.close()
    came = ids(receiver.taken + back.taken)
    keys = [headers["Idempotency-Key"] for headers, _, _ in receiver.requests + back.requests]
    found = Outcome(sent, len(came), back_s - left_s, first_s or last_s, last_s)
    found.faults = list(faults(sent, came, keys, remark))
    return found


def faults(sent: int, came: list[str], keys: list[str], remark: str) -> list[str]:
    """What was not as promised. came: ids in order; keys: of the same requests."""
    found = []
    names = [name_of(number) for number in range(sent)]
    once = list(dict.fromkeys(came))  # who reads takes each id once
    if lost := set(names) - set(once):
        found.append(f"lost: {', '.join(sorted(lost))}")
    for place, source in enumerate(SOURCES):
        mine = names[place :: len(SOURCES)]
        order = [name for name in once if name in set(mine)]
        if order != [name for name in mine if name in set(order)]:
            found.append(f"another order of {source}: {' '.join(order)}")
    if came != keys:
        found.append("keys are not the ids of their events")
    if remark:
        found.append(remark)
    return found


def show(found: Outcome, say: Callable[[str], None]) -> None:
    say(f"{found.sent} events, the server away for {found.away_s:.1f} s, our process killed once")
    again = found.came - found.sent
    say(f"  {found.came} came, {again} of them again under the same id")
    say(f"  {found.first_s:.1f} s after its return the first, {found.last_s:.1f} s all that waited")
    for words in found.faults:
        say(f"  WRONG: {words}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--away", type=float, default=60.0)
    parser.add_argument("--sender", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sender:
        send(asked.sender[0], [float(word) for word in asked.sender[1:]])
        return
    found = run(asked.away)
    show(found, print)
    sys.exit(bool(found.faults))


if __name__ == "__main__":
    main()
