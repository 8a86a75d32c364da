"""Thousands of damaged files through what reads them.

    python -m tests.faults.fuzz --files 2000 --seed 1

Each is made from (seed, number), so a failure is made again by `--only NUMBER --keep FOLDER`. Files
are read by a pool of workers; a crash or a hang ends a worker, which is replaced, not the run. Some
go through the real commands too, which must answer with a code of the contract and lines of their
own. Ends early after `--limit` seconds, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.cases import Case, make
from tests.faults.seeds import Seed, seeds

CODES = {0, 2, 3, 4, 5}  # of the contract, but for interruption
EXPECTED = {
    "ok",
    "UsageError",
    "SourceError",
    "EngineError",
    "DataError",
    *(f"exit {code}" for code in CODES),
}
# On a machine that is busy.
HANG_S = 60.0  # a case
START_S = 300.0  # the start of a worker
PIPELINE_EVERY = 4  # files of which one goes through a pipeline, too
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """How a case went: a word of EXPECTED, or traceback, crash, hang. by: worker or command."""

    case: Case
    by: str
    outcome: str
    detail: str

    @property
    def good(self) -> bool:
        return self.outcome in EXPECTED


class Worker:
    """A child that runs `worker`, started when it is first needed and after every death.

    program: what runs in its place.
    """

    def __init__(
        self, program: Sequence[str] = ("-m", "tests.faults.worker"), hang_s: float = HANG_S
    ) -> None:
        self._program = program
        self._hang_s = hang_s
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, case: Case) -> Result:
        child = self._child or self._start()
        assert child.stdin is not None
        message = {"case": asdict(case), "pipeline": case.number % PIPELINE_EVERY == 0}
        child.stdin.write(json.dumps(message).encode() + b"\n")
        answer = self._answer(child, self._hang_s)
        if answer["outcome"] in ("crash", "hang"):
            self.close()
        return Result(case, "worker", answer["outcome"], answer["detail"])

    def close(self) -> None:
        """Kill the child, if there is one."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, *self._program],
            cwd=ROOT,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        ready = self._answer(self._child, START_S)
        if ready["outcome"] != "ready":
            raise RuntimeError(f"a fuzz worker did not start: {ready}")
        return self._child

    def _answer(self, child: subprocess.Popen[bytes], limit_s: float) -> dict[str, Any]:
        assert child.stdout is not None
        deadline = time.monotonic() + limit_s
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return {"outcome": "hang", "detail": f"no answer within {limit_s:g} s"}
            piece = os.read(child.stdout.fileno(), 1 << 16)
            if not piece:
                return {"outcome": "crash", "detail": _ended(child.wait())}
            line += piece
        found: dict[str, Any] = json.loads(line)
        return found


def _ended(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def command(case: Case) -> Result:
    """Run a case by the command that a user would run: its code, one line of error on failure."""
    module, *arguments = case.arguments
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            capture_output=True,
            timeout=START_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result(case, "command", "hang", f"still running after {START_S:g} s")
    lines = done.stderr.decode(errors="replace").splitlines()
    if done.returncode < 0:
        return Result(case, "command", "crash", _ended(done.returncode))
    told = all(line.startswith("microspot") for line in lines) and (lines or not done.returncode)
    if done.returncode not in CODES or not told:
        return Result(
            case, "command", "traceback", f"exit code {done.returncode}\n" + "\n".join(lines)
        )
    return Result(case, "command", f"exit {done.returncode}", lines[-1] if lines else "")


class Run:
    """Run `files` cases by `workers` at once, `commands` of them by the real command too."""

    def __init__(
        self, seed: int, files: int, commands: int, workers: int, limit_s: float, folder: Path
    ) -> None:
        self._seeds: list[Seed] = seeds()
        self._seed = seed
        self._folder = folder
        self._every = max(1, files // commands) if commands else 0
        self._numbers = iter(range(files))
        self._deadline = time.monotonic() + limit_s
        self._lock = threading.Lock()
        self._count = workers
        self.results: list[Result] = []

    def run(self) -> list[Result]:
        threads = [
            threading.Thread(target=self._work, name=f"fuzz {i}") for i in range(self._count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(self.results, key=lambda result: (result.case.number, result.by))

    def _work(self) -> None:
        worker = Worker()
        try:
            for number in self._next():
                case = make(self._seeds, self._seed, number, self._folder)
                found = [worker.run(case)]
                if self._every and number % self._every == 0:
                    found.append(command(case))
                with self._lock:
                    self.results += found
        finally:
            worker.close()

    def _next(self) -> Iterator[int]:
        while time.monotonic() < self._deadline:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            yield number


def fuzz(
    seed: int,
    files: int,
    commands: int,
    *,
    workers: int = 2,
    limit_s: float = 600.0,
    folder: Path | None = None,
) -> list[Result]:
    """Results of a run; `folder` keeps the files."""
    if folder is not None:
        return Run(seed, files, commands, workers, limit_s, folder).run()
    with tempfile.TemporaryDirectory(prefix="microspot-fuzz-") as own:
        return Run(seed, files, commands, workers, limit_s, Path(own)).run()


def summary(results: list[Result]) -> str:
    """Counts of outcomes by kind of file, then every failure."""
    counts = Counter((f"{r.case.kind} by {r.by}", r.outcome) for r in results)
    lines = [f"{row:24}{outcome:14}{count:6}" for (row, outcome), count in sorted(counts.items())]
    for bad in (r for r in results if not r.good):
        case = bad.case
        lines.append(
            f"\n{bad.by} {bad.outcome}: {case.number} {case.kind} .{case.ending} {case.way}"
        )
        lines += [f"    {line}" for line in bad.detail.splitlines()[-6:]]
    failed = len([r for r in results if not r.good])
    return "\n".join([*lines, f"\n{len(results)} runs, {failed} failures"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--commands", type=int, default=100, help="files that also go through the real command"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--limit", type=float, default=600.0, help="seconds after which no further file is begun"
    )
    parser.add_argument("--keep", type=Path, help="an empty folder for the files")
    parser.add_argument("--only", type=int, help="make this one file into --keep, and stop")
    asked = parser.parse_args()
    if asked.only is not None:
        print(make(seeds(), asked.seed, asked.only, asked.keep))
        return
    began = time.monotonic()
    results = fuzz(
        asked.seed,
        asked.files,
        asked.commands,
        workers=asked.workers,
        limit_s=asked.limit,
        folder=asked.keep,
    )
    print(summary(results))
    done = len({result.case.number for result in results})
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime
    wall_s = time.monotonic() - began
    print(f"{done} of {asked.files} files in {wall_s:.0f} s, {cpu_s:.0f} s of CPU")
    sys.exit(any(not result.good for result in results))


if __name__ == "__main__":
    main()
