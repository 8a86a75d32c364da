"""Folders for uploads and results: gone with who made them, however that ended."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from microspot.demo.views.temporary_folders import CONTENT, MARK, PREFIX, UNREADY, folder, sweep
from tests.demo.serving import serving

HOLD = """
import time
from microspot.demo.views.temporary_folders import folder
with folder() as made:
    (made / "upload").write_bytes(b"a face")
    print(made, flush=True)
    time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def room(monkeypatch, tmp_path):
    """Where the folders come to lie."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder(room):
    """Another process that keeps a face in a folder."""
    surroundings = os.environ | {"TMPDIR": str(room)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, env=surroundings
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_a_folder_is_this_users_alone_and_goes_with_its_statement(room):
    with folder() as made:
        assert made.stat().st_mode & 0o777 == 0o700
        assert list(made.iterdir()) == []
        (made / "upload").write_bytes(b"a face")
        assert sweep() == 0  # it is in use
        assert made.is_dir()
    assert list(room.iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_start_and_what_a_living_one_has_stays(
    room, holder
):
    with serving():
        assert len(list(room.iterdir())) == 1
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert [one.name for one in room.glob(f"*/{CONTENT}/*")] == ["upload"]
    with serving():
        assert list(room.iterdir()) == []


def test_no_link_is_followed_and_nothing_else_is_touched(room):
    (room / "precious").mkdir()
    (room / "precious" / "file").write_text("kept")
    (room / f"{PREFIX}a_link_1").symlink_to(room / "precious")
    (room / f"{PREFIX}a_file_1").write_text("kept")
    (room / "other").mkdir()
    assert sweep() == 0
    assert (room / "precious" / "file").read_text() == "kept"
    assert len(list(room.iterdir())) == 4


def left_behind(room, name, mode=0o700, mark=MARK):
    """A folder with a face in it, as a killed process leaves one unless said otherwise."""
    made = room / name
    (made / CONTENT).mkdir(parents=True)
    (made / CONTENT / "upload").write_bytes(b"a face")
    (made / mark).touch()
    made.chmod(mode)
    return made


@pytest.mark.parametrize("prefix", [PREFIX, UNREADY])
def test_what_was_left_goes_whether_ready_or_not(room, prefix):
    left_behind(room, f"{prefix}ab_01xyz")
    assert sweep() == 1
    assert list(room.iterdir()) == []


@pytest.mark.parametrize("prefix", [PREFIX, UNREADY])
@pytest.mark.parametrize(
    ("name", "mode", "mark"),
    [
        ("notes", 0o700, MARK),
        ("ab_01xyz9", 0o700, MARK),
        ("ab-01xyz", 0o700, MARK),
        ("ab_01xyz", 0o755, MARK),
        ("ab_01xyz", 0o700, "notes"),
    ],
)
def test_a_folder_made_by_hand_stays(room, prefix, name, mode, mark):
    made = left_behind(room, f"{prefix}{name}", mode, mark)
    assert sweep() == 0
    assert (made / CONTENT / "upload").read_bytes() == b"a face"
