"""What the pipeline says of an RTSP camera that goes away, against the numbers in its pictures.

    python -m tests.faults.rtsp_outages [--stops 1 6 30] [--kills 10] [--flaps 8] [--every 25]

The camera is a process of its own (tests/rtsp_server.py): it shows the face of the packaged sample
in a circle, whether or not anybody looks, and its pictures carry their numbers. It is killed, and
started again after a while. Of every outage the joined gaps must equal, within a frame, the span
between the numbers in the last picture used before and the first one used after it. Exit code 1
where one does not, or where a hole or a gap has no counterpart.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from microspot.engines.alignment.aligner import Aligner, Alignment
from microspot.engines.clips import SECOND_NS
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.specs import SpotterSpec
from microspot.realtime.config import Settings
from microspot.realtime.gaps import joined
from microspot.realtime.pipeline import Pipeline, mediapipe_aligner
from microspot.realtime.records import Frame, Gap
from microspot.realtime.sources.open import Source, open_source
from microspot.realtime.sources.synthetic_clip import sample_clip
from tests.clips import write_clip
from tests.rtsp_server import read_number, stamp_number

HZ = 25  # of the sample
FRAME_NS = SECOND_NS // HZ
BRIDGED_NS = 160_000_000  # holes up to this may be bridged and not told
SETTLED_S = 3.0  # between the first picture used and the next outage
PATIENCE_S = 90.0


def numbered_sample(path: Path, most: int) -> int:
    """Write the sample's first frames with their numbers drawn in; how many there are."""

    def images() -> Iterator[Any]:
        with open_source(str(sample_clip())) as source:
            for record in source:
                if isinstance(record, Frame):
                    image = record.image.copy()
                    stamp_number(image, record.index)
                    yield image

    shown = list(itertools.islice(images(), most))
    write_clip(path, shown, HZ, preset="veryfast", g="12")
    return len(shown)


class Camera:
    """The camera's process.

    `kill` is kill -9; `start` brings it back on the same port, its clock running on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._born = time.monotonic()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.rtsp_server",
            str(self._path),
            str(self.port),
            str(self._born),
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert self._process.stdout
        self._process.stdout.readline()  # it listens

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class Log:
    """What was delivered (monotonic s, stream ns, number), what was used of it, and the gaps.

    Used frames are (stream ns, number).
    """

    delivered: list[tuple[float, int, int]] = field(default_factory=list)
    used: list[tuple[int, int]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class Noted:
    """A source whose frames are noted as they come."""

    def __init__(self, source: Source, log: Log) -> None:
        self._source = source
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[Any]:
        for record in self._source:
            if isinstance(record, Frame):
                self._log.delivered.append(
                    (time.monotonic(), record.captured_ns, read_number(record.image))
                )
            yield record


class NotedAligner:
    """An aligner that notes the pictures in which it found the face: those that are used."""

    def __init__(self, aligner: Aligner, log: Log) -> None:
        self._aligner = aligner
        self._log = log

    def __call__(self, image: Any, captured_ns: int) -> Alignment:
        found = self._aligner(image, captured_ns)
        if found.faces:
            self._log.used.append((captured_ns, read_number(image)))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._aligner, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aligner.close()


class Watch:
    """The pipeline over the camera, in a thread of its own. A context manager."""

    def __init__(self, url: str, engines: EngineSet) -> None:
        self.log = Log()
        self._error: list[BaseException] = []

        def aligner(spec: SpotterSpec, settings: Settings) -> Any:
            return NotedAligner(mediapipe_aligner(spec, settings), self.log)

        self._source: Any = Noted(open_source(url, wait=True), self.log)
        self._pipeline = Pipeline([self._source], engines, aligner=aligner)
        self._thread = threading.Thread(target=self._run, name="watch")

    def _run(self) -> None:
        try:
            for record in self._pipeline.run():
                if isinstance(record, Gap):
                    self.log.gaps.append(record)
        except BaseException as error:  # told by `wait`
            self._error.append(error)

    def __enter__(self) -> Self:
        self._pipeline.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipeline.stop()
        self._thread.join()
        self._pipeline.__exit__(None, None, None)

    @property
    def connection(self) -> int:
        """Which connection it is; changes with the first picture of another."""
        return int(self._source.epoch)

    def wait_for_picture(self, after: int) -> None:
        """Until a picture of a connection later than `after` is used. Raises what the pipeline
        raised, or TimeoutError."""
        self._wait(lambda: self.connection > after)
        seen = len(self.log.used)
        self._wait(lambda: len(self.log.used) > seen + 1)

    def _wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            if self._error:
                raise self._error[0]
            if time.monotonic() > deadline:
                raise TimeoutError(f"no picture was used within {PATIENCE_S:g} s")
            time.sleep(0.02)


@dataclass(frozen=True)
class Outage:
    """Seconds into the stream, the span of the pictures' numbers, and of the joined gaps if any."""

    at_s: float
    span_s: float
    told_s: float | None
    reason: str = ""

    @property
    def right(self) -> bool:
        return self.told_s is not None and abs(self.told_s - self.span_s) <= 1.001 / HZ


def outages(log: Log, total: int) -> list[Outage]:
    """Every hole in what was used, beside the joined gap that begins where it begins."""
    told = {gap.start_ns: gap for gap in joined(log.gaps)}
    found = []
    for (before_ns, first), (after_ns, last) in itertools.pairwise(log.used):
        frames = (last - first) % total
        bridged = (
            before_ns not in told and max(after_ns - before_ns, frames * FRAME_NS) <= BRIDGED_NS
        )
        if frames == 1 or bridged:
            continue
        turns = round(
            (after_ns - before_ns - frames * FRAME_NS) / (total * FRAME_NS)
        )  # the sample is 53 s long
        gap = told.pop(before_ns, None)
        told_s = (
            (gap.stop_ns - gap.start_ns) / SECOND_NS if gap and gap.stop_ns == after_ns else None
        )
        span_s = (frames + turns * total) / HZ
        found.append(Outage(before_ns / SECOND_NS, span_s, told_s, gap.reason if gap else ""))
    inside = [gap for gap in told.values() if log.used[0][0] <= gap.start_ns < log.used[-1][0]]
    return [
        *found,
        *(
            Outage(
                gap.start_ns / SECOND_NS, 0.0, (gap.stop_ns - gap.start_ns) / SECOND_NS, gap.reason
            )
            for gap in inside
        ),
    ]


def timing(log: Log, total: int) -> dict[str, float]:
    """How far stream times stray from the camera's own (p95), and the jitter of delivery; ms."""
    zero_ns, zero = log.delivered[0][1:]
    strays = []
    delays = []
    for at_s, captured_ns, number in log.delivered:
        true_ns = (number - zero) * FRAME_NS
        circle_ns = total * FRAME_NS
        stray_ns = (captured_ns - zero_ns - true_ns + circle_ns // 2) % circle_ns - circle_ns // 2
        strays.append(abs(stray_ns) / 1e6)
        delays.append(at_s * 1e3 - captured_ns / 1e6)
    cuts = statistics.quantiles(delays, n=20)
    return {
        "stray_p50": statistics.median(strays),
        "stray_p95": statistics.quantiles(strays, n=20)[-1],
        "stray_max": max(strays),
        "jitter_p95_p5": cuts[-1] - cuts[0],
        "jitter_max": max(delays) - min(delays),
    }


def trial(
    watch: Watch, camera: Camera, down_s: list[float], every_s: float = SETTLED_S
) -> list[float]:
    """Outages one after the other; how long each lasted, from the kill until a picture is used."""
    blind = []
    for seconds in down_s:
        time.sleep(every_s)
        began = time.monotonic()
        connection = watch.connection
        camera.kill()
        time.sleep(seconds)
        camera.start()
        watch.wait_for_picture(connection)
        blind.append(time.monotonic() - began)
    return blind


def run(
    tests: dict[str, tuple[list[float], float]],
    say: Callable[[str], None] = print,
    frames: int = 10**6,
) -> bool:
    """All trials, each with a camera and a pipeline of its own; whether every gap was right."""
    from microspot.engines.loading import load_engines

    good = True
    with tempfile.TemporaryDirectory() as folder, load_engines(None, "auto", 3) as engines:
        path = Path(folder) / "camera.mp4"
        total = numbered_sample(path, frames)
        for name, (down_s, every_s) in tests.items():
            camera = Camera(path)
            try:
                with Watch(f"rtsp://127.0.0.1:{camera.port}/live", engines) as watch:
                    watch.wait_for_picture(0)
                    began = time.monotonic()
                    blind = trial(watch, camera, down_s, every_s)
                    time.sleep(SETTLED_S)
                    took_s = time.monotonic() - began
            finally:
                camera.kill()
            good &= _tell(
                name, outages(watch.log, total), timing(watch.log, total), blind, took_s, say
            )
    return good


def _tell(
    name: str,
    found: list[Outage],
    times: dict[str, float],
    blind: list[float],
    took_s: float,
    say: Callable[[str], None],
) -> bool:
    blind_share = sum(outage.span_s for outage in found) / took_s
    say(f"{name}: {took_s:.0f} s, {len(blind)} outages, blind {blind_share:.1%} of the time")
    say("  until a picture was used again, s: " + " ".join(f"{seconds:.1f}" for seconds in blind))
    say("  " + ", ".join(f"{key} {value:.1f} ms" for key, value in times.items()))
    for outage in found:
        told = "nothing" if outage.told_s is None else f"{outage.told_s:.3f} s"
        mark = "" if outage.right else "  WRONG"
        say(
            f"  at {outage.at_s:7.2f} s: span {outage.span_s:6.2f} s, "
            f"told {told} ({outage.reason}){mark}"
        )
    return all(outage.right for outage in found) and len(found) >= len(blind)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stops", nargs="*", type=float, default=[1.0, 6.0, 30.0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--flaps", type=int, default=8)
    parser.add_argument("--every", type=float, default=25.0)
    asked = parser.parse_args()
    tests = {
        "stopped": (asked.stops, SETTLED_S),
        "killed": ([0.0] * asked.kills, SETTLED_S),
        "flapping": ([0.0] * asked.flaps, asked.every),
    }
    sys.exit(not run({name: plan for name, plan in tests.items() if plan[0]}))


if __name__ == "__main__":
    main()
