"""The memory of rejected events, from reviewed results to a run that uses it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.alignment.aligner import Alignment, Face
from microspot.engines.errors import DataError, EngineError, UsageError
from microspot.engines.rejected_memory import (
    Memory,
    event_vector,
    read_memory,
    save_vectors,
    to_bytes,
)
from microspot.realtime.analyze.one_video import VECTORS
from microspot.realtime.config import Settings
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.review.decisions import Decision, Point
from microspot.realtime.review.learned.memory import remember
from microspot.realtime.review.results import EventKey, read_results
from microspot.realtime.review.store import FILE, Store
from microspot.realtime.sinks.callback import CallbackSink
from microspot.realtime.sinks.record_schema import ADAPTER
from microspot.realtime.watch import Outcome, follow
from tests import fakes
from tests.realtime.review.made import add_video
from tests.realtime.test_feed import Faces, Times

ADDED = "added-0000000000000001"


def vector(number: int) -> np.ndarray:
    return np.eye(8, dtype=np.float32)[number]


def decisions(video: str) -> dict[EventKey, Decision]:
    """The first is rejected, the second accepted, the third left alone; one was added."""
    return {
        EventKey(video, "e000"): Decision("rejected"),
        EventKey(video, "e001"): Decision("accepted"),
        EventKey(video, ADDED): Decision("accepted", offset=Point(9, 0.3), added=Point(2, 0.1)),
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    for first, name in ((0, "a.mp4"), (3, "b.mp4")):
        add_video(folder, name, address=tmp_path / "clip.mp4")
        kept = {f"e{number:03}": vector(first + number) for number in range(3)}
        (folder / name / VECTORS).write_bytes(save_vectors(kept, "fake"))
    return folder


def test_a_memory_holds_what_was_decided_in_all_videos(results: Path, tmp_path: Path) -> None:
    file = tmp_path / "memory.safetensors"
    made = (
        decisions("a.mp4") | decisions("b.mp4") | {EventKey("a.mp4", "gone"): Decision("rejected")}
    )
    assert tuple(remember(results, read_results(results), made, file)) == (2, 2, 2)
    memory = read_memory(file, "fake", 8)
    np.testing.assert_array_equal(memory.rejected, [vector(0), vector(3)])
    np.testing.assert_array_equal(memory.accepted, [vector(1), vector(4)])


def test_what_cannot_be_remembered_is_said(results: Path, tmp_path: Path) -> None:
    file = tmp_path / "memory.safetensors"
    videos = read_results(results)
    accepted = {EventKey("a.mp4", "e001"): Decision("accepted")}
    with pytest.raises(UsageError, match="no event is rejected here"):
        remember(results, videos, accepted, file)
    made = decisions("a.mp4") | decisions("b.mp4")
    (results / "b.mp4" / VECTORS).write_bytes(save_vectors({}, "other"))
    with pytest.raises(DataError, match=r"b\.mp4: analysed with other weights"):
        remember(results, videos, made, file)
    (results / "b.mp4" / VECTORS).unlink()
    with pytest.raises(DataError, match="earlier version; analyse the video again"):
        remember(results, videos, made, file)
    assert not file.exists()


def test_the_command_writes_it(results: Path, tmp_path: Path) -> None:
    with Store(results / FILE, "Anna") as store:
        store.change(EventKey("a.mp4", "e000"), "verdict", "rejected")
    file = tmp_path / "memory.safetensors"
    command = (sys.executable, "-m", "microspot.realtime", "review", results, "--coder", "Anna")
    done = subprocess.run([*command, "--memory", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 rejected and 0 accepted events of Anna" in done.stdout
    assert read_memory(file, "fake", 8).rejected.shape == (1, 8)


class Moving(Faces):
    """An aligner whose one face has the features of a sequence, one frame after the other."""

    def __init__(self, features: np.ndarray) -> None:
        super().__init__(lambda _: {0})
        self.features = features

    def __call__(self, image: object, captured_ns: int) -> Alignment:
        crop = fakes.crop(self.features[:, round(captured_ns * 30 / 1e9)], captured_ns, 0)
        outline = np.empty((0, 2), np.float32)
        return Alignment((Face(0, crop.pixels, np.eye(2, 3), 1.0, outline),), None)


def run(features: np.ndarray, memory: Path | None) -> tuple[Outcome, list[dict[str, object]]]:
    """The outcome of a run over fakes, and its lines."""
    settings = Settings(memory=None if memory is None else str(memory))
    times = [frame * 10**9 // 30 for frame in range(features.shape[1])]
    lines: list[dict[str, object]] = []
    with Pipeline(
        [Times(times)], fakes.engine_set(), settings, aligner=lambda *_: Moving(features)
    ) as pipeline:
        outcome = follow(pipeline, [CallbackSink(lines.append, provisional=False)])
    return outcome, lines


def test_a_run_tells_what_it_left_out(tmp_path: Path) -> None:
    features = fakes.features(np.random.default_rng(3), 150, 0.5)
    outcome, lines = run(features, None)
    events = [line for line in lines if line["type"] == "event"]
    assert len(events) > 2
    assert "suppressed" not in lines[-1]
    first = slice(events[0]["onset_frame"], events[0]["offset_frame"] + 1)
    file = tmp_path / "memory.safetensors"
    rejected = event_vector(features[:, first])[None]
    file.write_bytes(to_bytes(Memory(rejected, rejected[:0], "fake")))
    outcome, lines = run(features, file)
    left = [line for line in lines if line["type"] == "event"]
    out = len(events) - len(left)
    assert out > 0
    assert events[0]["id"] not in {line["id"] for line in left}
    assert (lines[-1]["events"], lines[-1]["suppressed"]) == (len(left), out)
    ADAPTER.validate_python(lines[-1])
    (warning,) = outcome.warnings
    assert f"{out} events resemble rejected ones and were left out" in warning
    file.write_bytes(to_bytes(Memory(rejected, rejected[:0], "other")))
    with pytest.raises(EngineError, match="weights other spotted"):
        run(features, file)
