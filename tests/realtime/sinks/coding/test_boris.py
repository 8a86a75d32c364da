"""BORIS itself opens our projects; skipped where it is not installed.

It is not installed by us: with what it needs it has 518 MB. `BORIS_PYTHON` names a Python that has
`boris-behav-obs`; the system has libmpv and libpulse then.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.data.coded.reading import read_coded
from microspot.realtime.sinks.coding.boris import COLUMNS
from tests.realtime.sinks.coding.read_by_boris import UNUSABLE
from tests.realtime.sinks.coding.test_coded_markers import markers
from tests.realtime.sinks.coding.test_coding import END, EVENTS, SOURCE, START, written

NAMED = os.environ.get("BORIS_PYTHON", "")
SCRIPT = Path(__file__).with_name("read_by_boris.py")
pytestmark = pytest.mark.skipif(
    not NAMED and importlib.util.find_spec("boris") is None,
    reason="BORIS is not installed: name a Python with boris-behav-obs in BORIS_PYTHON",
)


def read_by_boris(path: Path) -> dict[str, Any]:
    """What the script of that name says of a project."""
    done = subprocess.run(
        [NAMED or sys.executable, str(SCRIPT), str(path), str(path.parent)],
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen", "MPLCONFIGDIR": str(path.parent)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode == UNUSABLE and not NAMED:
        pytest.skip(f"BORIS cannot be used: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_boris_opens_a_project_without_a_fault_and_exports_the_same_truth(tmp_path: Path) -> None:
    (tmp_path / SOURCE).write_bytes(b"")  # it looks whether media are there
    shown = markers()[:-1]
    path = written(tmp_path, "e.boris", [START, *EVENTS, *shown, END])
    found = read_by_boris(path)
    assert (found["error"], found["faults"]) == ("", [])
    marks = found["events"][SOURCE]
    kinds = [mark[-1] for mark in marks]
    apices = [event for event in EVENTS if event["apex_s"] is not None]
    assert kinds.count("START") == kinds.count("STOP") == len(EVENTS)
    assert kinds.count("POINT") == len(apices) + len(shown) - 1  # one is early
    (table,) = (Path(name) for name in found["tables"])
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter="\t")
        assert tuple(reader.fieldnames or ()) == COLUMNS
        said = [row["Comment"] for row in reader if row["Behavior"] == "marker"]
    assert said == [mark[4] for mark in marks if mark[2] == "marker"]
    assert read_coded(table) == read_coded(path)
    assert len(read_coded(path) or []) == len(EVENTS)


def test_boris_opens_a_project_of_a_camera_and_one_without_events(tmp_path: Path) -> None:
    camera = START | {"sources": [{"source": "cam", "started_utc": "2026-01-05T10:00:00+00:00"}]}
    for records in ([camera], [camera, *(event | {"source": "cam"} for event in EVENTS)]):
        found = read_by_boris(written(tmp_path, "live.boris", records))
        assert (found["error"], found["faults"]) == ("", [])
        assert len(found["events"]["cam"]) == (0 if len(records) == 1 else 3 * len(EVENTS) - 1)
