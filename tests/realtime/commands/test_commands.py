"""The commands as a user types them: exit codes, one line on stderr, JSON lines on stdout."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
import tomllib
from pathlib import Path

import pytest

from tests.clips import write_still
from tests.forked import run_python

PROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"
VERSION = tomllib.loads(PROJECT.read_text())["project"]["version"]


def microspot(*arguments, module="realtime", timeout=120):
    return run_python("-m", f"microspot.{module}", *arguments, timeout=timeout)


@pytest.mark.parametrize("module", ["realtime", "engines", "demo"])
def test_version_and_help_are_printed(module):
    done = microspot("--version", module=module)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"microspot {VERSION}\n", "")
    done = microspot("--help", module=module)
    assert done.returncode == 0, done.stderr
    assert "--version" in done.stdout


def only_line(text, *words):
    assert text.count("\n") == 1, text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["watch", "nosuch.mp4"], 3, ["nosuch.mp4"]),  # a missing file
        # An unknown option names the nearest.
        (["watch", "sample", "--thresold", "1"], 2, ["--threshold"]),
        (["watch", "sample", "--threshold", "7"], 2, ["threshold"]),  # out of range
        (["watch", "sample", "--engines", "nowhere"], 4, ["nowhere"]),  # no weights there
        (["watch", "sample", "--backend", "tensorrt"], 4, ["tensorrt"]),  # not on this machine
        (["watch", "sample", "--backend", "cuda"], 2, ["onnx"]),  # no such backend
        (["watch", "sample", "--out", "events.xyz"], 2, ["events.xyz"]),  # no such sink
        (["watch", "sample", "--out", "/nonexistent/e.jsonl"], 5, ["/nonexistent"]),  # unwritable
        (["watch", "sample", "--size", "640by480"], 2, ["640x480"]),  # malformed size
        (["watch", "sample", "--seconds", "nan"], 2, ["--seconds"]),  # not a number
        # A video shows one source.
        (["watch", "a.mp4", "b.mp4", "--out", "o.mp4"], 2, ["one source"]),
        (["watch", "sample", "--arrows"], 2, ["--out overlay.mp4"]),  # nothing draws
        (["evaluate", "sample"], 2, ["--truth"]),  # no truth known
        (["watch", "sample", "--config", "missing.toml"], 2, ["missing.toml"]),
    ],
)
def test_wrong_input_gives_one_line_and_its_exit_code(arguments, code, words):
    done = microspot(*arguments)
    assert done.returncode == code, done.stderr
    only_line(done.stderr, "microspot", *words)
    assert done.stdout == "" or json.loads(done.stdout.splitlines()[0])


def test_an_output_never_replaces_its_source(tmp_path):
    clip = write_still(tmp_path / "wall.mp4", frames=10, value=90)
    before = clip.read_bytes()
    done = microspot("watch", clip, "--engines", "baseline", "--out", clip)
    assert done.returncode == 2
    only_line(done.stderr, "is one of the sources")
    assert clip.read_bytes() == before


def test_one_bad_source_does_not_stop_the_others(tmp_path):
    clip = write_still(tmp_path / "wall.mp4", frames=10, value=90)
    done = microspot("watch", clip, tmp_path / "nosuch.mp4", "--engines", "baseline", "--json")
    assert done.returncode == 3
    assert "nosuch.mp4" in done.stderr
    ends = [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "end"]
    assert {end["source"]: end["frames"] for end in ends} == {"wall.mp4": 10, "nosuch.mp4": 0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_open_segments_and_gives_code_130(tmp_path, number):
    report = tmp_path / "report.html"
    command = [sys.executable, "-m", "microspot.realtime", "watch", "sample", "--pace"]
    command += ["--engines", "baseline", "--json", "--out", str(report)]
    # A terminal of its own: without one SIGHUP reads the settings anew.
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    assert json.loads(running.stdout.readline())["type"] == "start"
    time.sleep(2)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    os.close(ours)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["type"] == "end"
    assert "frames. Weights" in report.read_text()


INTERRUPTED = """
import signal, sys, typer, microspot.engines.commands.entry_point
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
def load() -> None:
    try:
        {act}
    except KeyboardInterrupt:
        raise {error}
sys.argv = ["load"]
microspot.engines.commands.entry_point.run_command(app, "load")
"""


def load(folder, act, error):
    """Run INTERRUPTED as a module.

    Only then does Python kill itself by an interruption that passed through code given as text.
    """
    (folder / "load.py").write_text(INTERRUPTED.format(act=act, error=error))
    return subprocess.run(
        [sys.executable, "-m", "load"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"},
    )


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "ImportError('numpy failed to import')"])
@pytest.mark.parametrize("act", ["signal.raise_signal({n})", "exec('signal.raise_signal({n})')"])
def test_an_interruption_while_loading_gives_code_130_whatever_it_raises(tmp_path, error, act):
    done = load(tmp_path, act.format(n=int(signal.SIGTERM)), error)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    act = "signal.raise_signal(signal.SIGHUP); print('on')"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        done = load(tmp_path, act, "SystemExit(1)")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")


def test_an_unknown_key_names_the_nearest(tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("treshold = 0.5\n")
    done = microspot("watch", "sample", "--config", config)
    assert done.returncode == 2
    only_line(done.stderr, "'threshold'")


def test_a_video_without_a_face_gives_a_warning_and_code_0(tmp_path):
    clip = write_still(tmp_path / "wall.mp4", frames=40, value=90)
    done = microspot("watch", clip, "--json", "--engines", "baseline")
    assert done.returncode == 0
    only_line(done.stderr, "no face")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["start", "end"]
    assert lines[-1]["frames"] == 40


def test_score_reads_tables_and_refuses_malformed_ones(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("subject,video,onset,apex,offset,type,label\n1,v,10,15,20,micro,surprise\n")
    done = microspot("score", "--truth", table, "--pred", table, "--json", module="engines")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["micro"]["f1"] == 1.0
    table.write_text("subject,video\n")
    done = microspot("score", "--truth", table, "--pred", table, module="engines")
    assert done.returncode == 5
    only_line(done.stderr, "onset" if "onset" in done.stderr else "apex")
