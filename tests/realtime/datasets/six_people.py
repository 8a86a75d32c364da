"""The kit from end to end on six rendered people in the layout of CAS(ME)^2.

    python -m tests.realtime.datasets.six_people FOLDER [SECONDS]

Renders the recordings (not timed as a part of the kit), then runs the commands that a licence
holder runs, one after the other, and says what each took: `evaluate` with a cache, LOSO
fine-tuning, the same again into another folder, and the study with the folds' row. It ends with an
error where the second run of the folds differs from the first by a byte.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.realtime.datasets.stand_in import SEEDS, write_people

SECONDS = 6.0  # of a recording
SMALL = Path(__file__).parents[2] / "engines" / "training" / "fine_tuning" / "small.toml"


def timed(*command: object) -> None:
    """Run a command of ours; say its wall time and its processor time."""
    before = os.times()
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", *map(str, command)], check=True, stdout=sys.stderr)
    after = os.times()
    spent = sum(after[2:4]) - sum(before[2:4])
    took = time.monotonic() - began
    print(f"{command[0]} {command[1]}: {took:.0f} s, {spent:.0f} s of CPU", flush=True)


def same_files(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names = [
        sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        for folder in (one, other)
    ]
    return names[0] == names[1] and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names[0]
    )


def main(folder: Path, seconds: float) -> None:
    """Everything, in a folder that is new or empty."""
    data = folder / "data"
    data.mkdir(parents=True)
    write_people(data, len(SEEDS), seconds)
    of_set = ("--data", data, "--dataset", "cas-me-2")
    cache = folder / "cache"
    results = folder / "results"
    timed("microspot.realtime", "evaluate", *of_set, "--out", results / "weights", "--cache", cache)
    runs = [folder / "folds", folder / "folds-again"]
    for run in runs:
        wanted = ("--data", cache, "--out", run, "--config", SMALL)
        timed("microspot.engines", "train", "folds", *wanted)
    kept = ("--results", results, "--folds", runs[0])
    timed("microspot.realtime", "study", *of_set, "--out", folder / "study", *kept)
    print("the folds again:", "same bytes" if same_files(*runs) else "OTHER BYTES")
    if not same_files(*runs):
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS)
