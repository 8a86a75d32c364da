"""`microspot analyze`: the events of `watch`, folders that are whole, runs that go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microspot.engines.system.locks import hold
from microspot.realtime.analyze.one_video import REPORT, SCORES, SUMMARY, TABLES, VECTORS
from microspot.realtime.analyze.session_report.sink import CHANNELS, SESSION
from microspot.realtime.records import Frame
from microspot.realtime.review.frames import FileReader
from microspot.realtime.review.results import read_results
from microspot.realtime.sources.open import open_source
from tests.clips import write_clip, write_still
from tests.forked import run_python

COMMAND = (sys.executable, "-m", "microspot.realtime")
SECONDS = 9.0  # of the sample, in which the first events are
WHOLE = {*TABLES, REPORT, SCORES, SUMMARY, CHANNELS, SESSION, VECTORS}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of a synthetic sample as a file."""

    def images() -> Iterator[object]:
        with open_source("sample:synthetic:7") as source:
            for record in source:
                if isinstance(record, Frame):
                    if record.captured_ns > SECONDS * 1e9:
                        return
                    yield record.image

    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", images())


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_python(*COMMAND[1:], *arguments)
    assert done.returncode == code, done.stderr
    return done


def events_of(lines: str) -> list[dict[str, object]]:
    return [record for record in map(json.loads, lines.splitlines()) if record["type"] == "event"]


def files_of(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, the second a wall."""
    folder = tmp_path_factory.mktemp("videos")
    shutil.copy2(clip, folder / "a.mp4")
    write_still(folder / "wall.mp4", frames=40, value=90)
    return folder


@pytest.fixture(scope="module")
def analysed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "deep" / "results"
    done = run("analyze", folder, "--out", out, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["video"], line["group"]) for line in lines] == [
        ("a.mp4", folder.name),
        ("wall.mp4", folder.name),
    ]
    assert lines[0]["events"] >= 2
    assert lines[0]["seconds"] == pytest.approx(SECONDS, abs=0.1)
    assert lines[0]["seen_s"] == pytest.approx(SECONDS, abs=0.3)
    assert (lines[1]["events"], lines[1]["seen_s"]) == (0, 0)
    assert "no face was used" in done.stderr
    return out


def test_every_video_has_its_folder_and_the_events_of_watch(folder: Path, analysed: Path) -> None:
    assert {path.name for path in analysed.iterdir()} == {"a.mp4", "wall.mp4", "index.html"}
    for name in ("a.mp4", "wall.mp4"):
        assert {path.name for path in (analysed / name).iterdir()} == WHOLE
    watched = events_of(run("watch", folder / "a.mp4", "--json").stdout)
    assert events_of((analysed / "a.mp4" / "events.jsonl").read_text()) == watched


def test_the_results_can_be_reviewed(folder: Path, analysed: Path) -> None:
    video = read_results(analysed)[0]
    assert video.address == str(folder / "a.mp4")
    reader = FileReader(Path(video.address), video.frames)  # by key frames: the count is right
    assert [frame.index for frame in reader.read(3, 5)] == [3, 4]
    reader.close()


def test_a_second_run_does_only_what_has_changed(
    folder: Path, analysed: Path, tmp_path: Path
) -> None:
    before = files_of(analysed)
    kept = (analysed / "a.mp4" / SUMMARY).stat().st_ino
    shutil.rmtree(analysed / "wall.mp4")
    done = run("analyze", folder, "--out", analysed)
    assert "1 of 2 are analysed already" in done.stderr
    assert files_of(analysed) == before
    (tmp_path / "c.csv").write_text("video,subject,condition\na.mp4,s1,stress\n")
    done = run("analyze", folder, "--out", analysed, "--conditions", tmp_path / "c.csv")
    assert "2 of 2 are analysed already" in done.stderr
    assert "<td>s1</td><td>stress</td>" in (analysed / "index.html").read_text()
    assert (analysed / "a.mp4" / SUMMARY).stat().st_ino == kept
    run("analyze", folder / "wall.mp4", "--out", analysed, "--threshold", "0.9")
    changed = json.loads((analysed / "wall.mp4" / SUMMARY).read_text())
    assert changed["made_from"]["settings"]["threshold"] == 0.9


def test_markers_of_a_table_are_among_the_events(
    folder: Path, analysed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    table = tmp_path / "stimuli.csv"
    table.write_text("video,at_s,value\na,2,spider\na,4,table\nwall,1,spider\n")
    run("analyze", folder / "a.mp4", "--out", out, "--markers", table, "--window", "3")
    lines = (out / "a.mp4" / "events.jsonl").read_text()
    markers = [r for r in map(json.loads, lines.splitlines()) if r["type"] == "marker"]
    assert [(r["value"], r["at_s"], r["frame"]) for r in markers] == [
        ("spider", 2, 60),
        ("table", 4, 120),
    ]
    assert events_of(lines) == events_of((analysed / "a.mp4" / "events.jsonl").read_text())
    told = json.loads((out / "a.mp4" / SESSION).read_text())
    assert [c["seen_s"] for c in told["responses"]["conditions"]] == pytest.approx([2, 3], abs=0.1)
    assert {each["condition"] for each in told["responses"]["latencies_s"]} == {"spider", "table"}
    assert told["blinks"]["count"] == 2, "as many as the sample has in its first 9 s"
    report = (out / "a.mp4" / REPORT).read_text()
    assert "marker spider at 2.00 s" in report
    assert "Responses to markers" in report
    rows = (out / "a.mp4" / CHANNELS).read_text().splitlines()
    summary = json.loads((out / "a.mp4" / SUMMARY).read_text())
    assert len(rows) == 1 + summary["analysis"]["frames"], "a row for each, under the header"


def test_other_markers_give_other_results(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "stimuli.csv"
    for markers in ("1,spider", "1,table"):
        table.write_text(f"at_s,value\n{markers}\n")
        run("analyze", folder / "wall.mp4", "--out", tmp_path / "out", "--markers", table)
        told = json.loads((tmp_path / "out" / "wall.mp4" / SESSION).read_text())
        (only,) = told["responses"]["conditions"]
        assert markers == f"1,{only['condition']}"
        assert (only["seen_s"], only["per_min"]) == (0, None), "no face in it"


def test_a_run_that_is_killed_goes_on_to_the_same_bytes(
    folder: Path, analysed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [*COMMAND, "analyze", str(folder), "--out", str(out), "--workers", "1"],
        stderr=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 120
        while not (out / ".a.mp4.part" / "events.jsonl").exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (out / "a.mp4").exists()
    run("analyze", folder, "--out", out)
    again = files_of(out)
    fresh = tmp_path / "fresh"
    run("analyze", folder, "--out", fresh)
    assert again == files_of(fresh)


def test_an_interrupted_run_keeps_no_half_video(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [*COMMAND, "analyze", str(folder), "--out", str(out), "--workers", "1"],
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        until = time.monotonic() + 120
        while not (out / ".a.mp4.part" / "events.jsonl").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert b"Traceback" not in said, said
    assert list(out.iterdir()) == []


def test_a_video_that_cannot_be_read_keeps_no_other_from_it(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    done = run("analyze", broken, folder / "wall.mp4", "--out", tmp_path / "out", code=3)
    assert str(broken) in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"wall.mp4", "index.html"}


def test_wrong_use_is_said_in_a_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    others = tmp_path / "others.csv"
    others.write_text("video,at_s,value\nother,1,spider\n")
    cases = (
        (("analyze", folder, "--out", tmp_path / "o", "--markers", others), 2, "of other videos"),
        (("analyze", "0", "--out", tmp_path), 2, "microspot watch"),
        (("analyze", folder, "--out", tmp_path, "--arrows"), 2, "--overlay"),
        (("analyze", folder, "--out", tmp_path, "--magnify", "4"), 2, "--stills"),
        (("analyze", folder, "--out", tmp_path, "--stills", "--magnify", "9"), 2, "2 to 8"),
        (("analyze", folder, "--out", tmp_path, "--stills", "--magnify-by", "x"), 2, "eulerian"),
        (("analyze", folder, "--out", tmp_path, "--conditions", "no.csv"), 5, "no such file"),
        (("analyze", folder, "--out", tmp_path / "file"), 5, "cannot write"),
        (("analyze", folder, "--out", tmp_path), 5, "another run"),
    )
    held = hold(tmp_path, new=False)
    for arguments, code, words in cases:
        said = run(*arguments, code=code).stderr
        assert words in said
        assert len(said.splitlines()) == 1, said
    os.close(held)


def test_frames_are_stored_where_they_are_asked_for(folder: Path, tmp_path: Path) -> None:
    run("analyze", folder / "wall.mp4", "--out", tmp_path / "out", "--overlay")
    names = {path.name for path in (tmp_path / "out" / "wall.mp4").iterdir()}
    assert names == WHOLE | {"overlay.mp4", "overlay.mp4.run.json"}
    with open_source(str(tmp_path / "out" / "wall.mp4" / "overlay.mp4")) as source:
        assert sum(isinstance(record, Frame) for record in source) == 40


def test_faces_are_shown_where_they_are_asked_for(
    folder: Path, analysed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(analysed / "a.mp4", out / "a.mp4")  # analysed without pictures
    events = events_of((out / "a.mp4" / "events.jsonl").read_text())
    assert "<img" not in (out / "a.mp4" / REPORT).read_text()
    run("analyze", folder / "a.mp4", "--out", out, "--stills", "--magnify", "4")
    text = (out / "a.mp4" / REPORT).read_text()
    said = text.count("movement x4")
    assert said == 4 * len(events), "of loop and paper: alternative text, and below it"
    assert text.count("<img") == 6 * len(events)
    assert events_of((out / "a.mp4" / "events.jsonl").read_text()) == events
    assert {path.name for path in (out / "a.mp4").iterdir()} == WHOLE
