"""A forked run is what a subprocess is: its arguments, folder, outputs, code, and its time."""

import os
import signal
import subprocess
import sys

import pytest

from tests.forked import run_python

TELLS = """
import os, sys
print(sys.argv, os.getcwd(), os.environ["TOLD"], sys.path[0], __name__)
print("an error", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
DIES = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
WAITS = "import time\ntime.sleep(60)\n"


def test_a_run_is_that_of_a_subprocess(tmp_path, monkeypatch):
    monkeypatch.setenv("TOLD", "told")
    program = tmp_path / "tells.py"
    program.write_text(TELLS)
    for code in ("3", "0"):
        words = [str(program), code, os.fsdecode(b"\xb1")]
        wanted = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        found = run_python(*words, cwd=tmp_path)
        assert (found.returncode, found.stderr) == (int(code), "an error\n")
        assert (found.returncode, found.stdout) == (wanted.returncode, wanted.stdout)


def test_a_run_that_dies_or_is_too_long_is_told_and_the_next_one_runs(tmp_path):
    program = tmp_path / "ends.py"
    program.write_text(DIES)
    assert run_python(program).returncode == -signal.SIGSEGV
    program.write_text(WAITS)
    with pytest.raises(subprocess.TimeoutExpired):
        run_python(program, timeout=1)
    program.write_text("print('on')")
    assert run_python(program).stdout == "on\n"
