"""`evaluate` with truth that does not fit the video or the engine: an error, not a score of 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from microspot.engines.data.generator.timeline import Movement
from microspot.realtime import evaluate as module
from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError, UsageError
from microspot.realtime.records import Event, Gap
from microspot.realtime.sources.truth import known_to
from tests.clips import write_still
from tests.fakes import engine_set

FRAMES = 12


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A clip as SAMM ships them: the images keep their numbers in the recording."""
    folder = tmp_path / "006_1"
    folder.mkdir()
    for number in range(5563, 5563 + FRAMES):
        cv2.imwrite(str(folder / f"{number:05d}.png"), np.full((48, 64, 3), 90, np.uint8))
    return folder


def truth(
    folder: Path, *frames: tuple[int, int, int], video: str = "006_1", label: str = "surprise"
) -> Path:
    lines = ["subject,video,onset,apex,offset,type,label"]
    lines += [f"6,{video},{on},{apex},{off},micro,{label}" for on, apex, off in frames]
    (folder / "truth.csv").write_text("\n".join(lines) + "\n")
    return folder / "truth.csv"


def scored(source: Path, table: Path, **options: Any) -> dict[str, Any]:
    return module.evaluate([str(source)], engine_set(), Settings(), truth=table, **options)


def test_the_rate_of_a_folder_can_be_given(images: Path, tmp_path: Path) -> None:
    table = truth(tmp_path, (2, 4, 6))
    for fps in (200.0, 1.0):
        report = scored(images, table, fps=fps)
        assert report["micro"]["fn"] == 1
    with pytest.raises(UsageError, match="--fps 0 needs"):
        scored(images, table, fps=0.0)


def test_truth_in_file_numbers_is_noticed_and_used_where_asked(
    images: Path, tmp_path: Path
) -> None:
    table = truth(tmp_path, (5565, 5567, 5570))
    with pytest.raises(DataError) as caught:
        scored(images, table)
    assert str(caught.value) == (
        "truth frames 5565-5570 lie beyond the 12 frames of 006_1: the truth seems to use the "
        "numbers in the names of the images, which begin at 5563: add --file-numbers"
    )
    assert scored(images, table, file_numbers=True)["micro"]["fn"] == 1
    with pytest.raises(
        DataError, match="names frame 5600, but no image has that number: they go from 5563 to 5574"
    ):
        scored(images, truth(tmp_path, (5565, 5567, 5600)), file_numbers=True)


@pytest.mark.parametrize("frames", [(290, 300, 310), (8, 10, 12), (-2, 0, 3)])
def test_truth_beyond_the_video_is_an_error(tmp_path: Path, frames: tuple[int, int, int]) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=FRAMES, value=90)
    table = truth(tmp_path, (0, 1, 2), frames, video="wall")
    with pytest.raises(
        DataError, match=f"{frames[0]}-{frames[2]} lie beyond the 12 frames of wall.mp4: .* is 0"
    ):
        scored(clip, table)
    with pytest.raises(UsageError, match="--file-numbers needs a folder of images"):
        scored(clip, table, file_numbers=True)


def test_truth_up_to_the_last_frame_is_scored(tmp_path: Path) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=FRAMES, value=90)
    assert scored(clip, truth(tmp_path, (0, 5, FRAMES - 1), video="wall"))["micro"]["fn"] == 1


def test_labels_that_the_engine_does_not_know_are_left_out_and_counted(tmp_path: Path) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=FRAMES, value=90)
    report = scored(clip, truth(tmp_path, (0, 1, 2), (4, 5, 6), video="wall", label="happiness"))
    assert report["labels_left_out"] == {"happiness": 2}
    assert report["uf1"] is None
    assert report["micro"]["fn"] == 2
    known = scored(clip, truth(tmp_path, (0, 1, 2), video="wall"))
    assert known["labels_left_out"] == {}


def test_only_labels_that_both_know_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clip = write_still(tmp_path / "wall.mp4", frames=FRAMES, value=90)
    table = truth(tmp_path, (0, 1, 2), (4, 5, 6), video="wall")
    table.write_text(table.read_text().replace("4,5,6,micro,surprise", "4,5,6,micro,joy"))
    events = [
        Event(str(on), "wall.mp4", 0, "final", 0, 1, on, on + 2, 0.9, 1, label=label)
        for on, label in ((0, "surprise"), (4, "negative"))
    ]
    gaps = [
        Gap("wall.mp4", None, 0, 10**8, "lost"),
        Gap("wall.mp4", 0, 10**8, 5 * 10**8, "no face"),
    ]
    seen = module.Observed(events, [0, 10**9], gaps, FRAMES)
    monkeypatch.setattr(module, "observe", lambda *_: seen)
    report = scored(clip, table)
    assert report["no_evidence"] == {"outages": 1, "seconds": 0.5}  # two records of one outage
    assert (report["micro"]["f1"], report["uf1"]) == (1.0, 1.0)
    assert report["labels_left_out"] == {"joy": 1}
    assert report["protocol"]["counts"].startswith("each truth and each spotted interval")
    assert report["decision_delay"]["count"] == 2
    assert report["decision_delay"]["p50"] == report["decision_delay_s"]


class Known:
    """A source that knows its truth: a movement with a label in one set, and one in both."""

    name = "known"
    truth = (
        Movement("micro", 0, 10**8, 2 * 10**8, ("AU4",), None, "others"),
        Movement("micro", 3 * 10**8, 4 * 10**8, 5 * 10**8, ("AU1",), "surprise", "surprise"),
        Movement("blink", 6 * 10**8, 7 * 10**8, 8 * 10**8, ("AU45",)),
    )


def test_the_truth_of_a_source_is_labelled_in_the_set_of_the_engine() -> None:
    times = [k * 10**8 for k in range(10)]
    labels = {n: [row.label for row in known_to(Known(), times, n)] for n in (3, 5)}
    assert labels == {3: [None, "surprise"], 5: ["others", "surprise"]}
    rows = known_to(Known(), times, 3)
    report = module._recognition(rows, rows, 0.5, ("negative", "positive", "surprise"))
    assert (report["unlabelled"], report["labels_left_out"]) == (1, {})
