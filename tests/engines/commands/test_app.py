"""What every command does with a reader that leaves and with a machine that lacks a library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.data.generator import synthesize
from microspot.engines.data.generator.synthesize import SetOptions
from microspot.engines.data.generator.timeline import Recipe
from tests.clips import write_still

LOADS = """
import typer, microspot.engines.commands.entry_point
app = typer.Typer(pretty_exceptions_enable=False)
@app.command()
def load() -> None:
    raise {error}
microspot.engines.commands.entry_point.run_command(app, "load")
"""


def closed_after_a_line(*arguments: str) -> tuple[int, bytes]:
    """Exit code and stderr of a command whose reader takes one line and goes."""
    with subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        return process.wait(timeout=60), process.stderr.read()


def test_a_reader_that_leaves_ends_a_watch_in_silence(tmp_path: Path) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=40, value=90)
    assert closed_after_a_line(
        "microspot.realtime", "watch", str(clip), "--json", "--engines", "baseline"
    ) == (0, b"")


@pytest.mark.parametrize(
    "write", ["typer.echo('x' * 10**6)", "print('x' * 10)", "rich.print('x' * 1000)"]
)
def test_a_reader_that_left_is_no_failure_whoever_writes(write: str) -> None:
    body = LOADS.replace("raise {error}", f"{write}; print('y')").replace(
        "import typer", "import rich, typer"
    )
    code = f"import os; r, w = os.pipe(); os.dup2(w, 1); os.close(r); os.close(w)\n{body}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("kind", ["ImportError", "OSError"])
def test_a_missing_system_library_is_one_line_that_names_the_packages(kind: str) -> None:
    code = LOADS.format(error=f"{kind}('libGL.so.1: cannot open shared object file')")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "libGL.so.1" in done.stderr
    assert "apt install" in done.stderr


def test_another_import_error_is_a_bug_and_shows_itself() -> None:
    code = LOADS.format(error="ImportError('cannot import name: some.source')")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_short_rows_of_labels_are_malformed_data(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("fold,true,pred\n1,a,a\n1,b\n")
    command = [sys.executable, "-m", "microspot.engines", "score", "--labels", str(table)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 5
    assert "line 3: the row ends before column 'pred'" in done.stderr


def test_synthesize_asks_for_as_many_mes_and_even_units_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes: list[Recipe] = []

    def made(faces: Path, out: Path, options: SetOptions, *_: object) -> None:
        recipes.append(options.recipe)

    monkeypatch.setattr(synthesize, "synthesize", made)
    given = ["synthesize", "--faces", str(tmp_path), "--out", str(tmp_path)]
    for more in ([], ["--even-units", "0.5", "--mes-per-min", "60"]):
        assert CliRunner().invoke(app, [*given, *more]).exit_code == 0
    usual, told = recipes
    assert usual == synthesize.TRAINING_RECIPE
    assert (told.families.even, told.micro_per_min) == (0.5, 60.0)
