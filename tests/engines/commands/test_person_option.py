"""Commands that read people's footage refuse what is not for their use, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.data import people
from microspot.engines.data.generator import backgrounds
from microspot.engines.data.people import ClipPart, ClipUse
from microspot.engines.errors import DataError
from microspot.engines.evaluation.exams import tuning
from microspot.engines.evaluation.exams.alarms import examination
from microspot.engines.evaluation.exams.cameras import widths
from microspot.engines.evaluation.exams.semireal import rows
from microspot.realtime.sources.synthetic_clip import sample_clip

Given = list[ClipPart]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sample, which is for tuning to 0:25 and for examinations after."""
    (tmp_path / "sample.mp4").write_bytes(sample_clip().read_bytes())
    return tmp_path


def run(command: str, folder: Path, *more: str) -> None:
    """One of COMMANDS on the videos of a folder."""
    given = COMMANDS[command][0].format(folder=folder, video=folder / "sample.mp4").split()
    result = CliRunner().invoke(app, [*given, *more])
    if result.exception is not None:
        raise result.exception


def run_through(command: str, folder: Path, *more: str) -> None:
    """The same to the end, which is for want of backgrounds where a set is made."""
    if command == "synthesize":
        with pytest.raises(DataError, match="no face held for a second in 1 videos"):
            run(command, folder, *more)
    else:
        run(command, folder, *more)


# The command and the use that it asks for.
COMMANDS = {
    "synthesize": ("synthesize --faces {folder} --out {folder}/set --carriers {folder}", "train"),
    "calibrate": (
        "calibrate --engines baseline --faces {folder} --footage {video} --json",
        "tune",
    ),
    "semireal": ("exam semireal {folder} --engines baseline --family usual --json", "exam"),
    "alarms": ("exam alarms {folder} --engines baseline --json", "exam"),
    "widths": ("exam widths {folder} --engines baseline --json", "exam"),
    "widths, tuning": ("exam widths {folder} --engines baseline --tuning --json", "tune"),
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Given:
    """What the commands read, instead of doing their work: files and parts."""
    found: Given = []

    def examine(engines: object, clips: Given, *_: object, **__: object) -> dict[str, object]:
        found.extend(clips)
        return {}

    def calibrate(*_: object, footage: Given, **__: object) -> dict[str, object]:
        found.extend(footage)
        return {}

    def background(
        path: Path, from_s: float, to_s: float | None, side: int, person: str
    ) -> list[object]:
        found.append((path, ClipUse("", path.name, "", "train", from_s, to_s, False)))
        return []

    monkeypatch.setattr(rows, "examine_semireal", examine)
    monkeypatch.setattr(examination, "examine_alarms", examine)
    monkeypatch.setattr(widths, "examine_widths", examine)
    monkeypatch.setattr(tuning, "calibrate_on_faces", calibrate)
    monkeypatch.setattr(backgrounds, "read_backgrounds", background)
    return found


def given_use(row: ClipUse, use: people.Use) -> Callable[[], tuple[ClipUse, ...]]:
    """A table of one row, which gives a file this use."""
    rows = (ClipUse(row.sha256, row.name, "somebody", use, 1.0, 2.0, False),)
    return lambda: rows


@pytest.mark.parametrize("command", COMMANDS)
def test_footage_of_another_use_is_refused(
    command: str, folder: Path, read: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample, *_) = people.uses_of(sample_clip())
    wanted = COMMANDS[command][1]
    for use in ("train", "tune", "exam"):
        monkeypatch.setattr(people, "_rows", given_use(sample, use))
        if use == wanted:
            continue
        for more in ([], ["--person", "somebody else"]):
            with pytest.raises(DataError, match=r"^sample\.mp4: somebody is for "):
                run(command, folder, *more)
    assert read == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_part_of_the_right_use_is_read(
    command: str, folder: Path, read: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample, *_) = people.uses_of(sample_clip())
    use = COMMANDS[command][1]
    monkeypatch.setattr(people, "_rows", given_use(sample, use))
    run_through(command, folder)
    ((path, part),) = read
    assert path == folder / "sample.mp4"
    assert (part.use, part.from_s, part.to_s) == (use, 1.0, 2.0)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unlisted_file_needs_the_option(command: str, folder: Path, read: Given) -> None:
    (folder / "sample.mp4").write_bytes(b"another film")
    with pytest.raises(DataError, match=r"sample\.mp4: .*name the person with --person"):
        run(command, folder)
    assert read == []
    run_through(command, folder, "--person", "Mary")
    ((_, part),) = read
    assert (part.use, part.from_s, part.to_s) == (COMMANDS[command][1], 0.0, None)
