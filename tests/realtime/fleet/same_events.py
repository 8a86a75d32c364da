"""The same recordings through `watch`, a Pipeline of all and a fleet: are the events identical?

    python -m tests.realtime.fleet.same_events [--clips 8] [--seconds 6]

With the weights that ship. The fleet is `microspot fleet run`, on a Ray of its own on this machine.
Exit code 1 where an event differs in anything.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from microspot.engines.loading import load_engines
from microspot.realtime.config import Settings
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Frame
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.sources.open import open_source
from microspot.realtime.watch import follow, watch
from tests.clips import write_clip

PATIENCE_S = 300.0


def clips(folder, count, seconds):
    """The first seconds of so many synthetic clips, by the names that events have of them."""
    found = {}
    for seed in range(count):
        with open_source(f"sample:synthetic:{seed}") as source:
            frames = (record for record in source if isinstance(record, Frame))
            images = [frame.image for frame in itertools.islice(frames, int(seconds * 30))]
        path = write_clip(folder / f"face{seed}.mp4", images)
        found[path.name] = str(path)
    return found


def by_watch(files):
    kept = []
    with load_engines(backend="onnx") as engines:
        for path in files.values():
            watch([open_source(path)], engines, [open_sink(kept.append)], Settings())
    return kept


def by_pipeline(files):
    kept = []
    sources = [open_source(path) for path in files.values()]
    with load_engines(backend="onnx") as engines, Pipeline(sources, engines) as pipeline:
        follow(pipeline, [open_sink(kept.append)])
    return kept


def by_fleet(files, folder):
    database = folder / "events.db"
    lines = ["[fleet]", f'out = ["{database}"]', 'backend = "onnx"', "group_size = 3"]
    for name, path in files.items():
        lines += ["[[camera]]", f'name = "{name}"', f'source = "{path}"']
    (folder / "fleet.toml").write_text("\n".join(lines))
    command = [sys.executable, "-m", "microspot.realtime", "fleet", "run"]
    process = subprocess.Popen([*command, str(folder / "fleet.toml")], env=os.environ)
    deadline = time.monotonic() + PATIENCE_S
    try:
        while ended(database) < len(files) and time.monotonic() < deadline:
            time.sleep(0.5)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT record FROM events").fetchall()
    return [json.loads(row) for (row,) in rows]


def ended(database):
    """How many sources have ended."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        try:
            query = "SELECT count(*) FROM sources WHERE ended_utc IS NOT NULL"
            return connection.execute(query).fetchone()[0]
        except sqlite3.OperationalError:  # its tables are not there yet
            return 0


def events(records):
    return sorted((r for r in records if r["type"] == "event"), key=lambda event: event["id"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = clips(folder, options.clips, options.seconds)
        ways = {
            "watch": events(by_watch(files)),
            f"Pipeline of {len(files)}": events(by_pipeline(files)),
            "fleet": events(by_fleet(files, folder)),
        }
    first = ways["watch"]
    same = all(found == first for found in ways.values())
    print({name: len(found) for name, found in ways.items()}, "identical" if same else "DIFFERENT")
    for name, found in ways.items():
        for one, other in zip(first, found, strict=False):
            if one != other:
                changed = {k: (v, other[k]) for k, v in one.items() if v != other[k]}
                print(f"watch and {name} differ: {changed}")
    return 0 if same and first else 1


if __name__ == "__main__":
    sys.exit(main())
