"""The main paths in a Python without fcntl, resource, select.poll, os.fork, os.getuid and the like.

What that cannot tell: whether Windows and macOS do what their names promise.
"""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.clips import write_still
from tests.demo.serving import ask
from tests.faults.rtsp_outages import Camera
from tests.portability.stripped_child import PATIENCE_S, microspot, run, start
from tests.rtsp_server import number_image, write_clip

TELL = """
import importlib, os, select, signal, sys
names = [name for module in (os, select, signal) for name in dir(module)]
wanted = {"set_blocking", "getuid", "fork", "sched_getaffinity", "poll", "SIGHUP"}
print(sorted(wanted & set(names)))
for name in ("fcntl", "resource"):
    try:
        importlib.import_module(name)
        print(name)
    except ImportError:
        pass
"""
CHILD = "import subprocess, sys; print(subprocess.run([sys.executable, '-P', '-c', {!r}], "
CHILD += "capture_output=True, text=True).stdout, end='')"


@pytest.mark.parametrize("code", [TELL, CHILD.format(TELL)], ids=["child", "its child"])
def test_the_names_are_gone(code: str) -> None:
    assert run("-c", code).stdout == "[]\n"


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_is_watched_into_every_kind_of_file(tmp_path: Path) -> None:
    outputs = ["e.csv", "e.jsonl", "e.db", "e.html", "e.mp4", "e.eaf"]
    arguments = [part for name in outputs for part in ("--out", tmp_path / name)]
    done = microspot("watch", "sample:synthetic:7", "--seconds", 5, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found = records(done.stdout)
    events = [record for record in found if record["type"] == "event"]
    assert events
    assert found[-1] | {"rejected": {}} == found[-1]
    assert found[-1]["events"] == len(events)
    assert len((tmp_path / "e.jsonl").read_text(encoding="utf-8").splitlines()) == len(found)
    with sqlite3.connect(tmp_path / "e.db") as database:
        assert database.execute("select count(*) from events").fetchone() == (len(events),)
    assert all((tmp_path / name).stat().st_size for name in outputs)
    assert json.loads((tmp_path / "e.mp4.run.json").read_text())["ends"]


def test_a_folder_is_watched(tmp_path: Path) -> None:
    for number in range(8):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), number_image(number))
    done = microspot("watch", tmp_path, "--engines", "baseline", "--json")
    assert done.returncode == 0, done.stderr
    assert records(done.stdout)[-1]["frames"] == 8


@contextmanager
def watched(*arguments: object) -> Iterator[Any]:
    """The records of a run that goes on until an interruption; then its exit code is 130."""
    child = start("-m", "microspot.realtime", "watch", *arguments, "--json")
    assert child.stdout
    guard = threading.Timer(PATIENCE_S, child.kill)  # reading has no time-out
    guard.start()
    try:
        yield map(json.loads, child.stdout)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 130, err
    finally:
        guard.cancel()
        child.kill()
        child.communicate()


def test_a_camera_that_is_killed_and_restarted_is_found_again(tmp_path: Path) -> None:
    camera = Camera(write_clip(tmp_path / "camera.mp4", 90))
    url = f"rtsp://127.0.0.1:{camera.port}/live"
    told = []
    try:
        with watched(url, "--engines", "baseline") as stream:
            for record in stream:
                told.append(record)
                state = record.get("state")
                if state == "live" and len([r for r in told if r.get("state") == "live"]) == 2:
                    break
                if state == "live":
                    camera.kill()
                if state == "lost":
                    camera.start()
    finally:
        camera.kill()
    states = [record["state"] for record in told if record["type"] == "state"]
    assert states[:3] == ["connecting", "live", "lost"]
    gaps = [record for record in told if record["type"] == "gap"]
    assert gaps[0]["reason"] == "connection lost"


def test_live_events_are_scored(tmp_path: Path) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=60, value=90)
    table = "subject,video,onset,apex,offset,type,label\n,wall.mp4,10,15,20,micro,surprise\n"
    (tmp_path / "truth.csv").write_text(table, encoding="utf-8")
    truth = ("--truth", tmp_path / "truth.csv")
    done = microspot("evaluate", clip, *truth, "--engines", "baseline", "--json")
    assert done.returncode == 0, done.stderr
    micro = json.loads(done.stdout)["micro"]
    assert (micro["tp"], micro["fp"], micro["fn"]) == (0, 0, 1)


def test_cameras_are_measured_and_memory_is_not_known(tmp_path: Path) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=60, value=90)
    done = microspot(
        "bench", clip, "--cameras", 2, "--processes", 2, "--seconds", 1, "--engines", "baseline",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["memory_mb"] is None
    assert report["cpu_ms_per_frame"] > 0


def test_what_is_installed_is_told() -> None:
    done = microspot("doctor", module="engines")
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stdout


def test_the_page_is_served() -> None:
    pytest.importorskip("gradio", reason="gradio is not installed: pip install '.[demo]'")
    child = start("-m", "microspot.demo", "--port", 0, "--source", "sample")
    assert child.stdout
    guard = threading.Timer(PATIENCE_S, child.kill)
    guard.start()
    try:
        told = re.search(r":(\d+)", child.stdout.readline())
        assert told
        port = int(told[1])
        status, _, page = ask(port, "/")
        assert (status, b"/demo/static/live.js" in page) == (200, True)
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE_S) == 130, child.stderr
    finally:
        guard.cancel()
        child.kill()
        child.communicate()


def test_a_machine_without_cameras_is_told_so_in_one_line() -> None:
    done = microspot("cameras")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "no camera was found" in done.stderr
