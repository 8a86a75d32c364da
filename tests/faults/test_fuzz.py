"""200 damaged files: none ends in a traceback, a crash or a hang.

The pool that runs them detects all three.
"""

import pytest

from tests.faults.cases import Case, make
from tests.faults.fuzz import Result, Worker, command, fuzz, summary
from tests.faults.seeds import seeds

CASE = Case(1, "clip", "mp4", "flipped", "nosuch.mp4")
CHILD = """
import json, os, sys, time
print(json.dumps({'outcome': 'ready'}), flush=True)
sys.stdin.readline()
"""


@pytest.mark.timeout(900)  # 40 s on two free cores
def test_damaged_files_end_in_frames_or_in_one_line_of_error():
    results = fuzz(seed=15, files=200, commands=6, limit_s=800)
    assert all(result.good for result in results), summary(results)
    assert {(r.case.kind, r.by) for r in results} >= {
        (kind, "worker") for kind in ("clip", "folder", "table")
    }
    assert {"ok", "SourceError", "UsageError", "DataError", "EngineError"} <= {
        r.outcome for r in results
    }
    assert {r.case.number for r in results} == set(range(200))
    assert len([r for r in results if r.by == "command"]) > 5


@pytest.mark.parametrize(
    ("does", "outcome", "detail"),
    [
        ("os.kill(os.getpid(), 11)", "crash", "SIGSEGV"),
        ("time.sleep(60)", "hang", "no answer"),
        ("", "crash", "code 0"),
    ],
)
def test_a_worker_that_dies_or_hangs_is_told_and_replaced(does, outcome, detail):
    worker = Worker(["-c", CHILD + does], hang_s=1)
    for _ in range(2):
        result = worker.run(CASE)
        assert (result.outcome, result.good) == (outcome, False)
        assert detail in result.detail
    worker.close()


def test_a_traceback_is_a_failure_and_an_error_is_none(monkeypatch):
    worker = Worker(
        [
            "-c",
            "from tests.faults import worker\n"
            "worker.DOES['clip'] = lambda case: 1 / 0\n"
            "worker.main()",
        ]
    )
    result = worker.run(CASE)
    worker.close()
    assert (result.outcome, result.good) == ("traceback", False)
    assert "ZeroDivisionError" in summary([result])
    assert Result(CASE, "worker", "SourceError", "").good


def test_a_command_is_judged_by_its_code_and_its_lines(monkeypatch):
    assert command(CASE).outcome == "exit 3"
    for arguments in (["timeit", "1/0"], ["json.tool", "nosuch.json"]):
        monkeypatch.setattr(Case, "arguments", arguments)
        assert command(CASE).outcome == "traceback"


def test_a_file_is_made_again_from_its_number(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    good = seeds()
    assert [seed.data for seed in good] == [seed.data for seed in seeds()]
    for number in range(30):
        one, other = (make(good, 7, number, tmp_path / name) for name in "ab")
        assert (one.kind, one.way) == (other.kind, other.way)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def contents(folder):
    """The bytes of every file below a folder, by its path from there."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder): path.read_bytes() for path in files}
