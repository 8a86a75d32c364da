"""Numbers, paths and outputs of every wrong kind, in both commands.

Each gives an exit code of the contract and one line. Most run in this process, since a start costs
a second; descriptors and devices need a process of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer

from microspot.engines.commands.app import app as engines
from microspot.engines.commands.entry_point import explain
from microspot.engines.data.annotations import read_table
from microspot.engines.errors import DataError, EngineError, MicrospotError, SourceError, UsageError
from microspot.engines.manifest import Weights
from microspot.realtime.commands.app import app as microspot
from microspot.realtime.config import Settings
from microspot.realtime.sinks.html_report import ReportSink
from microspot.realtime.sinks.text_files import LineFile
from microspot.realtime.sources.open import open_source
from tests.clips import write_still

NOBODY = 65_534
ODD_NUMBERS = ["nan", "inf", "-inf", "-1", "1e300", "1e-320", "x", ""]
# Where 0 is allowed, 1e-320 is too.
ODD_FROM_ZERO = [number for number in ODD_NUMBERS if number != "1e-320"]
ODD_COUNTS = ["0", "-1", "9" * 30, "9" * 5000, "1.5", "x"]
ODD_SIZES = ["0x0", "-1x5", "9", "x", f"{'9' * 30}x1", f"{'9' * 5000}x1", ""]
SCORE = ["score", "--truth", "t.csv", "--pred", "t.csv"]
SYNTHESIZE = ["synthesize", "--faces", "empty", "--out", "set"]
CALIBRATE = ["calibrate", "--engines", "baseline", "--faces", "empty"]
TRAIN = ["train", "spotter", "--data", "empty", "--out", "run"]
ABLATE = ["ablate", "--data", "empty", "--out", "run"]
NUMBERS: list[tuple[typer.Typer, list[str], list[str]]] = [
    (microspot, ["watch", "wall.mp4", "--seconds"], ODD_NUMBERS),
    (microspot, ["watch", "images", "--fps"], ["0", *ODD_NUMBERS]),
    (microspot, ["watch", "images", "--threshold"], ODD_FROM_ZERO),
    (microspot, ["watch", "images", "--faces"], ODD_COUNTS),
    (microspot, ["watch", "images", "--labels"], ODD_COUNTS),
    (microspot, ["watch", "images", "--processes"], [n for n in ODD_COUNTS if n[0] != "9"]),
    (microspot, ["watch", "0", "--size"], ODD_SIZES),
    (microspot, ["evaluate", "sample:synthetic", "--iou"], ODD_FROM_ZERO),
    (microspot, ["evaluate", "images", "--truth", "t.csv", "--fps"], ["0", *ODD_NUMBERS]),
    (microspot, ["bench", "sample", "--cameras"], ODD_COUNTS),
    (microspot, ["bench", "sample", "--cameras", "1", "--seconds"], ODD_NUMBERS),
    (engines, [*SCORE, "--iou"], ODD_FROM_ZERO),
    (engines, [*SYNTHESIZE, "--clips"], ODD_COUNTS),
    (engines, [*SYNTHESIZE, "--seconds"], ODD_NUMBERS),
    (engines, [*SYNTHESIZE, "--carrier-share"], ODD_FROM_ZERO),
    (engines, [*SYNTHESIZE, "--seed"], [n for n in ODD_COUNTS if n[0] not in "09"]),
    (engines, [*SYNTHESIZE, "--workers"], ODD_COUNTS),
    (engines, [*CALIBRATE, "--alarms"], ODD_FROM_ZERO),
    (engines, [*CALIBRATE, "--t-crn"], ODD_FROM_ZERO),
    (engines, [*CALIBRATE, "--clips"], ODD_COUNTS),
    (engines, [*CALIBRATE, "--workers"], ODD_COUNTS),
    (engines, [*TRAIN, "--minutes"], ODD_FROM_ZERO),
    (engines, [*TRAIN, "--threads"], ODD_COUNTS),
    (engines, [*ABLATE, "--minutes"], ODD_FROM_ZERO),
    (engines, [*ABLATE, "--threads"], ODD_COUNTS),
    (engines, ["verify", "--sm"], ["-1", "x", "9" * 5000, "8.6", ""]),
    (engines, ["exam", "heldout", "--faces", "empty", "--clips"], ODD_COUNTS),
]


def named(value: Any) -> str:
    """The part of a test's name that stands for a parameter."""
    if isinstance(value, list):
        return " ".join(value)[:40]
    return value if isinstance(value, str) else ""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip, a folder of images, one without, and a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "empty").mkdir()
    for i in range(3):
        cv2.imwrite(f"images/{i}.png", np.full((24, 32, 3), 90, np.uint8))
    write_still(tmp_path / "wall.mp4", frames=3, value=90)
    Path("t.csv").write_text(
        "subject,video,onset,apex,offset,type,label\n1,images,0,1,2,micro,surprise\n"
    )
    return tmp_path


def run_in_process(app: typer.Typer, arguments: list[str]) -> tuple[int, str]:
    """Exit code and line of a command; raises what is no expected error."""
    try:
        code = app(args=arguments, prog_name="command", standalone_mode=False)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        return line[1], line[0]
    return code or 0, ""


@pytest.mark.parametrize(("app", "arguments", "values"), NUMBERS, ids=named)
def test_odd_numbers_are_usage_errors(
    app: typer.Typer, arguments: list[str], values: list[str]
) -> None:
    for value in values:
        code, line = run_in_process(app, [*arguments[:-1], f"{arguments[-1]}={value}"])
        assert (code, bool(line)) == (2, True), (arguments, value[:40], line)
        assert len(line) < 6000


PATHS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "empty": Path.touch,
    "loop": lambda path: path.symlink_to(path),
    "deep": lambda path: path.write_text("a = " + "[" * 100_000),
}
COMMANDS: list[tuple[typer.Typer, list[str], str, int]] = [
    (microspot, ["watch", "wall.mp4", "--engines", "baseline", "--config"], "my.toml", 2),
    (microspot, ["watch", "wall.mp4", "--engines"], "weights", 4),
    (microspot, ["watch", "--engines", "baseline"], "clip.mp4", 3),
    (microspot, ["evaluate", "images", "--engines", "baseline", "--truth"], "truth.csv", 5),
    (engines, ["score", "--pred", "t.csv", "--truth"], "truth.csv", 5),
    (engines, ["score", "--labels"], "labels.csv", 5),
    (engines, ["train", "spotter", "--data", "empty", "--out", "run", "--config"], "my.toml", 2),
    (engines, ["train", "recognizer", "--data", "empty", "--out", "run", "--config"], "my.toml", 2),
]


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize(("app", "arguments", "name", "code"), COMMANDS, ids=named)
def test_odd_files_give_the_exit_code_and_are_named(
    app: typer.Typer, arguments: list[str], name: str, code: int, kind: str
) -> None:
    if (name, kind) in {("my.toml", "empty"), ("clip.mp4", "pipe")}:
        pytest.skip("an empty file of settings is none; a pipe is no source of the command")
    PATHS[kind](Path(name))
    found, line = run_in_process(app, [*arguments, name])
    assert found == code, line
    assert name in line or "run" in line


COSTLY_SETTINGS = [
    "ring_ticks",
    "cluster_ticks",
    "queue_frames",
    "queue_mb",
    "clock_reset_frames",
    "process_cameras",
]


def test_settings_that_cost_memory_have_a_limit() -> None:
    command = ["watch", "wall.mp4", "--engines", "baseline", "--config", "my.toml"]
    for key in COSTLY_SETTINGS:
        for value in ("999_999_999", "9" * 30, "-1", "nan", "inf", '"x"', "[1]", "true"):
            Path("my.toml").write_text(f"{key} = {value}\n")
            code, line = run_in_process(microspot, command)
            assert code == 2, (key, value)
            assert key in line or value == "9" * 30


def run_in_shell(shell: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command under a shell that closes or redirects its descriptors."""
    words = ["bash", "-c", f'"$0" -m "$@" {shell}', sys.executable, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


SCORE_MODULE = ["microspot.engines", "score", "--truth", "t.csv", "--pred", "t.csv", "--json"]


@pytest.mark.parametrize(
    ("shell", "code", "words"),
    [
        (">&-", 5, "standard output is closed: send it to a file, or to /dev/null"),
        (">/dev/full", 5, "cannot write its output: No space left on device"),
        (">&- 2>&-", 5, ""),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("<&-", 0, ""),
    ],
)
def test_standard_descriptors_may_be_closed_or_full(shell: str, code: int, words: str) -> None:
    done = run_in_shell(shell, *SCORE_MODULE)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == (1 if words else 0)
    assert words in done.stderr


def test_what_is_printed_never_reaches_a_file_that_took_a_closed_descriptor(here: Path) -> None:
    command = ["watch", "images", "--engines", "baseline", "--out", "e.jsonl"]
    done = run_in_shell("<&- 2>&-", "microspot.realtime", *command)
    assert done.returncode == 0
    lines: list[Any] = [line[:8] for line in (here / "e.jsonl").read_text().splitlines()]
    assert set(lines) == {'{"type":'}


def test_errors_of_files_that_no_command_expects_are_one_line() -> None:
    assert explain(PermissionError(13, "Permission denied", "a/b")) == ("a/b: Permission denied", 5)
    full = "cannot write its output: No space left on device"
    assert explain(OSError(28, "No space left on device")) == (full, 5)
    assert explain(ValueError("a bug")) is None
    assert explain(OSError("a bug")) is None


def open_source_of(path: Path) -> object:
    return open_source(str(path))


READERS: list[tuple[Callable[[Path], object], type[MicrospotError]]] = [
    (open_source_of, SourceError),
    (Settings.load, UsageError),
    (Weights.open, EngineError),
    (read_table, DataError),
    (ReportSink, DataError),
    (LineFile, DataError),
]


@pytest.mark.parametrize("inside", ["", "it"])
@pytest.mark.parametrize(
    ("read", "kind"), READERS, ids=["source", "settings", "weights", "table", "report", "lines"]
)
def test_a_folder_without_permission_is_an_expected_error(
    here: Path, read: Callable[[Path], object], kind: type[MicrospotError], inside: str
) -> None:
    with pytest.raises(kind, match="warm"):
        read(here / "warm" / "warm")  # imports everything before permissions are given up
    locked = here / "locked"
    (locked / "it").mkdir(parents=True)
    locked.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)  # root may enter everything
        with pytest.raises(kind, match=r"Permission denied|Is a directory|folder|no file"):
            read(locked / inside)
    finally:
        if root:
            os.seteuid(0)
        locked.chmod(0o700)
