"""The programs of demo/examples, each run as a user runs it: by path, from another folder."""

import ast
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microspot.realtime.markers.open import open_markers
from microspot.realtime.records import Frame
from microspot.realtime.sources.open import open_source
from tests import lsl
from tests.clips import write_clip
from tests.forked import run_python

EXAMPLES = Path(__file__).resolve().parents[2] / "demo" / "examples"
NAMES = (
    "count_events", "events_table", "lsl_markers", "own_engine", "own_sink", "own_source",
    "psychopy_markers",
)  # fmt: skip
SECONDS, HZ = 6, 30
ONSETS = (67, 138)  # of the sample's micro-expressions in its first 6 s, as spotted
MOST_LINES = 40


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The first seconds of the synthetic sample as a file, with two micro-expressions."""
    with open_source("sample:synthetic:7") as source:
        frames = (record.image for record in source if isinstance(record, Frame))
        path = tmp_path_factory.mktemp("clip") / "clip.mp4"
        return write_clip(path, itertools.islice(frames, SECONDS * HZ), HZ)


PSYCHOPY = """
import time

class Window:
    def __init__(self):
        self.calls = []

    def callOnFlip(self, function, *arguments):
        self.calls.append((function, arguments))

    def flip(self):
        for function, arguments in self.calls:
            function(*arguments)
        self.calls = []

    def close(self):
        assert not self.calls

class TextStim:
    def __init__(self, window, text):
        assert isinstance(window, Window)

    def draw(self):
        pass

wait = time.sleep
"""


def run(name, folder, *arguments):
    """Lines of stdout of an example."""
    done = run_python(EXAMPLES / f"{name}.py", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def near(found, wanted):
    """Whether frames are those of the sample: coding the clip may move one by a frame or two."""
    return len(found) == len(wanted) and all(
        abs(int(a) - b) <= 2 for a, b in zip(found, wanted, strict=True)
    )


def test_every_example_is_here_and_short():
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == list(NAMES)
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert f"python demo/examples/{path.name}" in (ast.get_docstring(ast.parse(text)) or "")
        assert 15 <= sum(bool(line.strip()) for line in text.splitlines()) <= MOST_LINES


def test_count_events_counts_every_source(clip, tmp_path):
    lines = run("count_events", tmp_path, clip, clip)
    assert len(lines) == 2
    for line in lines:
        assert line.endswith(f": 2 in {SECONDS * HZ} frames (1 negative, 1 surprise)"), line
    assert len({line.partition(":")[0] for line in lines}) == 2


def test_events_table_has_a_row_for_each_event(clip, tmp_path):
    pytest.importorskip("pandas")
    lines = [line.split() for line in run("events_table", tmp_path, clip, tmp_path / "out")]
    assert lines[0] == ["video", "onset_s", "offset_s", "label", "score", "confounders_blink"]
    assert near([round(float(line[1]) * HZ) for line in lines[1:3]], ONSETS)
    assert [line[3] for line in lines[1:3]] == ["negative", "surprise"]
    assert lines[-1][:5] == ["the", "longest", "is", "in", "clip.mp4,"]
    assert (tmp_path / "out" / "clip.mp4" / "session.json").is_file()


def test_own_source_gives_the_events_of_the_mirrored_face(clip, tmp_path):
    lines = [line.rsplit(" ", 3) for line in run("own_source", tmp_path, clip)]
    assert {name for name, *_ in lines} == {"mirrored clip.mp4"}
    assert near([onset for _, onset, *_ in lines], ONSETS)
    assert [label for *_, label in lines] == ["negative", "surprise"]


def test_own_sink_writes_a_sentence_for_each_event(clip, tmp_path):
    assert run("own_sink", tmp_path, clip, "said.txt") == ["see said.txt"]
    words = [line.split() for line in (tmp_path / "said.txt").read_text().splitlines()]
    assert [label for label, *_ in words] == ["negative", "surprise"]
    assert near([float(onset) * HZ for _, _, onset, *_ in words], ONSETS)


def test_own_engine_names_the_half_that_moved(clip, tmp_path):
    lines = [line.split(" ", 2) for line in run("own_engine", tmp_path, clip)]
    assert near([onset for onset, *_ in lines], ONSETS)
    assert all(rest.startswith(("upper half {", "lower half {")) for *_, rest in lines)


def test_psychopy_markers_reach_a_run(tmp_path):
    """PsychoPy is too large to install here: in its place stand the six calls that are used."""
    (tmp_path / "psychopy").mkdir()
    for module in ("__init__", "core", "visual"):
        (tmp_path / "psychopy" / f"{module}.py").write_text(PSYCHOPY)
    name = lsl.unique("psychopy")
    lsl.required("pylsl")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(EXAMPLES / "psychopy_markers.py"), name]
    with open_markers(f"lsl:{name}") as markers:
        subprocess.run(command, check=True, timeout=240, env=os.environ | {"PYTHONPATH": path})
        came = markers.take()
    words = ("holiday", "spider", "table")
    assert [each.value for each in came] == [t for w in words for t in (f"show {w}", "hide")]
    times_s = [each.host_ns / 1e9 for each in came]
    assert all(b - a >= 0.99 for a, b in itertools.pairwise(times_s))


def test_markers_of_any_program_begin_with_the_first_frame():
    pylsl = lsl.required("pylsl")
    name, watched = lsl.unique("stimuli"), lsl.unique("spot")
    frames = pylsl.StreamInfo(f"{watched}-frames", "FrameTimes", 1, 0, "double64", watched)
    outlet = pylsl.StreamOutlet(frames)
    command = [sys.executable, str(EXAMPLES / "lsl_markers.py"), name, watched]
    with open_markers(f"lsl:{name}") as markers, subprocess.Popen(command) as program:
        assert outlet.wait_for_consumers(120)
        time.sleep(2)  # longer than its first pause
        began_ns = time.monotonic_ns()
        while program.poll() is None:
            outlet.push_sample([0.0])
            time.sleep(0.1)
        came = markers.take()
    assert program.returncode == 0
    words = ("holiday", "spider", "table")
    assert [each.value for each in came] == [t for w in words for t in (f"show {w}", "hide")]
    assert all(each.host_ns > began_ns for each in came)
