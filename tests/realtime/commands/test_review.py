"""`microspot review`: what it prints and writes without a page, and its exit codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from microspot.engines.data.annotations import read_table
from microspot.realtime.review.results import EventKey
from microspot.realtime.review.store import FILE, Store
from tests.forked import run_python
from tests.realtime.review.made import add_video

COMMAND = ("-m", "microspot.realtime", "review")
AGREEMENT = ("--agreement", "Anna", "Ben")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three events: Anna accepts all, Ben the first two."""
    folder = tmp_path_factory.mktemp("results") / "out"
    add_video(folder, "clip.mp4")
    for coder, accepted in (("Anna", 3), ("Ben", 2)):
        with Store(folder / FILE, coder) as store:
            for number in range(3):
                verdict = "accepted" if number < accepted else "rejected"
                store.change(EventKey("clip.mp4", f"e{number:03}"), "verdict", verdict)
    return folder


def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_python(*COMMAND, *arguments)
    assert done.returncode == code, done.stderr
    return done


def test_agreement_is_printed_as_json_and_as_a_table(results: Path) -> None:
    said = run(results, "--agreement", "Anna", "Ben", "--tolerance", 0, "--json").stdout
    found = json.loads(said)
    assert found["coders"] == ["Anna", "Ben"]
    assert (found["judged"], found["kappa"], found["iou"]) == (3, 0.0, 1.0)
    assert found["near"] == {"onset": 1.0, "apex": 1.0, "offset": 1.0}
    table = run(results, "--agreement", "Anna", "Ben").stdout.splitlines()
    assert any(line.split() == ["same", "verdict", "0.667"] for line in table)
    assert any(line.startswith("onset at most 1 frame apart") for line in table)


def test_accepted_events_are_exported(results: Path, tmp_path: Path) -> None:
    said = run(results, "--coder", "Ben", "--export", tmp_path / "events.csv").stdout
    assert said.startswith("2 events accepted by Ben")
    assert [row.onset for row in read_table(tmp_path / "events.csv")] == [20, 24]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{results}", "--agreement", "Anna", "Zoe"), 2, "give a coder: Anna, Ben"),
        (("{results}", "--export", "overlay.mp4"), 2, "give a file such as"),
        (("{results}", "--videos", "nowhere"), 2, "no such folder"),
        (
            ("{results}", *AGREEMENT, "--export", "{results}/e.csv"),
            2,
            "--agreement and --export: give one",
        ),
        (("{results}", *AGREEMENT, "--merge", "Anna", "Ben"), 2, "--agreement and --merge: give"),
        (
            ("{results}", "--export", "{results}/e.csv", "--merge", "Anna", "Ben"),
            2,
            "--export and --merge",
        ),
        (("{results}", "--json", "--export", "{results}/e.csv"), 2, "--json is for --agreement"),
        (("{results}/clip.mp4",), 5, "no analysed video"),
        (("{results}", "--coder", "Ben", "--export", "{results}/no/events.csv"), 5, "directory"),
    ],
)
def test_what_is_wrong_is_one_line(
    results: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    filled = [argument.format(results=results) for argument in arguments]
    (line,) = run(*filled, code=code).stderr.splitlines()
    assert words in line
