"""`microspot analyze --cluster`: a real Ray cluster of two nodes gives the bytes of one machine.

    python -m pytest -n 0 -m ray tests/realtime/fleet

Nothing here imports Ray: it reads its variables when it is imported (see `test_on_ray`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from microspot.engines.telemetry import RAY
from microspot.realtime.records import Frame
from microspot.realtime.sources.open import open_source
from tests.clips import write_clip, write_still

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(200),
    pytest.mark.skipif(find_spec("ray") is None, reason="no Ray: pip install '.[fleet]'"),
]

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 9.0  # of the sample, in which the first events are
HEALTH = {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "4"}
VARIABLES = RAY | HEALTH | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a token that is long"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three videos: a face twice, and a wall."""
    folder = tmp_path_factory.mktemp("videos")
    images = []
    with open_source("sample:synthetic:7") as source:
        for record in source:
            if isinstance(record, Frame):
                if record.captured_ns > SECONDS * 1e9:
                    break
                images.append(record.image)
    write_clip(folder / "a.mp4", images)
    write_clip(folder / "b.mp4", images[::-1])
    write_still(folder / "wall.mp4", frames=40, value=90)
    return folder


@pytest.fixture(scope="module")
def variables():
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | VARIABLES | {"PYTHONPATH": path}


@pytest.fixture(scope="module")
def cluster(variables):
    """The process of the cluster, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.realtime.fleet.two_nodes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=variables,
    )
    yield process, process.stdout.readline().strip()
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def analyze(folder, out, variables, *more):
    """Begin to analyse a folder, whose path and that of the results are relative."""
    return subprocess.Popen(
        [sys.executable, "-m", "microspot.realtime", "analyze", folder.name, "--out", out, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
        env=variables,
    )


def end_of(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out, errors


def files_of(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


def test_a_cluster_that_loses_a_node_gives_the_same_bytes(folder, variables, cluster):
    process, address = cluster
    here = folder.parent
    end_of(analyze(folder, "local", variables))
    running = analyze(folder, "far", variables, "--cluster", address)
    until_s = time.monotonic() + 60
    while len(list((here / "far").rglob("*.part"))) < 2:  # both nodes are at work
        assert time.monotonic() < until_s
        assert running.poll() is None
        time.sleep(0.02)
    process.stdin.write("kill\n")
    process.stdin.flush()
    assert process.stdout.readline() == "killed\n"
    end_of(running)
    far = files_of(here / "far")
    assert far == files_of(here / "local")
    events = [content for name, content in far.items() if name.endswith("events.jsonl")]
    assert len(events) == 3
    assert any(events)


def test_what_is_done_is_not_done_again(folder, variables, cluster):
    _, address = cluster
    _, said = end_of(analyze(folder, "far", variables, "--cluster", address))
    assert "3 of 3 are analysed already" in said


def test_a_cluster_that_is_not_there_is_one_line(folder, variables):
    process = analyze(folder, "nowhere", variables, "--cluster", "127.0.0.1:1")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 4
    assert "no Ray cluster answers at 127.0.0.1:1" in errors.splitlines()[-1]
