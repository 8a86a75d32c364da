"""Stored scores: thresholds applied afterwards, truth where it was seen, the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.errors import DataError
from microspot.engines.evaluation.calibration import report_at
from microspot.engines.evaluation.stored_scores import (
    SegmentScores,
    VideoScores,
    read_scores,
    write_scores,
)
from microspot.engines.intervals import Candidate
from tests import fakes

HZ = 30
FPS = 200
SPEC = fakes.spec(t_cpn=0.3, t_crn=0.05)


def segment(start_s: float, ticks: int, *windows: tuple[float, float, float]) -> SegmentScores:
    """A segment of a 200 Hz video; windows: start and stop in ticks, score of CRN."""
    frames = np.round((start_s + np.arange(ticks) / HZ) * FPS).astype(np.int32)
    kept = [Candidate(int(stop), 0, start, stop, score) for start, stop, score in windows]
    scores = np.full((ticks, SPEC.scales), 0.5, np.float32)
    return SegmentScores(round(start_s * 1e9), frames, scores, tuple(kept))


def video(*segments: SegmentScores, frames: int = 2000) -> VideoScores:
    index = np.arange(frames)
    return VideoScores(HZ, index, index * (10**9 // FPS), segments)


def test_thresholds_are_applied_afterwards_in_source_frames() -> None:
    found = video(segment(1.0, 90, (10, 20, 0.9), (50.4, 60.6, 0.4)))
    assert found.found_at(SPEC) == [(267, 327, 0.9), (533, 600, 0.4)]
    assert found.found_at(replace(SPEC, t_crn=0.5)) == [(267, 327, 0.9)]
    assert found.found_at(replace(SPEC, t_cpn=0.6)) == []


def test_truth_counts_where_it_was_seen_and_is_missed_where_nothing_was() -> None:
    both = video(segment(0.0, 60, (10, 20, 0.9)), segment(5.0, 60, (30, 40, 0.8)))
    spans = [(67, 127), (1200, 1260), (600, 650)]  # in the first, in the second, in neither
    clips = both.clips(spans)
    assert [len(clip.start) for clip in clips] == [1, 1, 1]
    assert clips[0].start[0] == pytest.approx(67 / FPS * HZ)
    assert clips[1].start[0] == pytest.approx((1200 / FPS - 5) * HZ)
    report = report_at(clips, SPEC)
    assert (report["truths"], report["recall"], report["precision"]) == (3, 0.6667, 1.0)
    assert report["minutes"] == pytest.approx(4 / 60, abs=0.01)
    nobody = video()
    assert [len(clip.start) for clip in nobody.clips([(3, 9)])] == [1]
    assert report_at(nobody.clips([(3, 9)]), SPEC)["false_alarms_per_min"] == 0
    assert nobody.clips([]) == []


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    before = video(segment(0.0, 60, (10, 20, 0.9)), segment(5.0, 60), segment(9.0, 30, (1, 9, 0.1)))
    for name in ("a.npz", "b.npz"):
        write_scores(tmp_path / name, before)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    after = read_scores(tmp_path / "a.npz")
    assert [one.windows for one in after.segments] == [one.windows for one in before.segments]
    assert [one.origin_ns for one in after.segments] == [0, 5 * 10**9, 9 * 10**9]
    for ours, theirs in zip(after.segments, before.segments, strict=True):
        np.testing.assert_array_equal(ours.frames, theirs.frames)
        np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert after.found_at(SPEC) == before.found_at(SPEC)
    write_scores(tmp_path / "none.npz", video(frames=0))
    assert read_scores(tmp_path / "none.npz").segments == ()


def test_another_file_is_said(tmp_path: Path) -> None:
    write_scores(tmp_path / "whole.npz", video(segment(0.0, 60)))
    (tmp_path / "a.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:500])
    np.savez(tmp_path / "b.npz", frames=np.zeros(3))
    for name in ("a.npz", "b.npz", "c.npz"):
        with pytest.raises(
            DataError, match=rf"{name}: no scores that can be read .*make them anew"
        ):
            read_scores(tmp_path / name)
