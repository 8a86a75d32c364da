"""False alarms by category: the statistics, the composites, and which alarm counts as what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from microspot.engines.data.footage import Footage, read_footage
from microspot.engines.data.people import parts_for
from microspot.engines.evaluation.exams import tuning
from microspot.engines.evaluation.exams.alarms import composites, examination
from microspot.engines.evaluation.exams.alarms.composites import (
    Excerpt,
    composite_of,
    composite_recordings,
    count_composite,
    excerpts_of,
)
from microspot.engines.evaluation.exams.alarms.counts import AlarmCounts
from microspot.engines.evaluation.exams.alarms.examination import examine_alarms
from microspot.engines.evaluation.exams.alarms.stills import strip
from microspot.engines.evaluation.exams.mesh_annotation import Annotation, annotate
from microspot.engines.evaluation.exams.recordings import Recording, SpottingResult
from microspot.engines.evaluation.exams.semireal.whole_clips import cut
from microspot.engines.evaluation.exams.tuning import alarms_at, quietest, score_footage
from microspot.engines.evaluation.rates import poisson_interval
from microspot.engines.intervals import Intervals
from microspot.engines.loading import load_engines
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()


@pytest.fixture(scope="module")
def blinking() -> Footage:
    """2.4 s with one blink at 0.6 s."""
    return read_footage(SAMPLE, 25.0, 27.4, keep_frames=False)


@pytest.mark.parametrize("count", [0, 1, 3, 40, 700])
def test_the_interval_is_exact(count: int) -> None:
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    assert poisson_interval(count) == pytest.approx(
        (low, chi2.ppf(0.975, 2 * count + 2) / 2), rel=1e-6
    )


def _excerpt(count: int = 20, counted: tuple[int, int] | None = None) -> Excerpt:
    levels = 2 * np.arange(count, dtype=np.uint8)
    crops = levels[:, None, None, None] * np.ones((1, 3, 32, 32), np.uint8)
    blink = np.arange(count) % 20 == 5
    return Excerpt("clip", 10**9, crops, blink, 40_000_000, counted or (0, count))


def test_a_composite_runs_forward_through_the_excerpt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "NOISE", (0.0, 0.0))
    monkeypatch.setattr(composites, "GAIN", (0.0, 0.0))
    monkeypatch.setattr(composites, "JPEG_SHARE", 0.0)
    recording = composite_of(np.random.default_rng(0), _excerpt(counted=(5, 10)), "quiet")
    assert (recording.crops[:, 0, 0, 0] // 2).tolist() == list(range(20))
    assert np.diff(recording.times_ns).tolist() == [40_000_000] * 19
    assert recording.name == "composite:quiet:clip:1.2s"


def test_a_part_keeps_a_second_of_context_where_there_is_one() -> None:
    excerpt = _excerpt(100, (30, 80))
    part = excerpt.part(10, 20)
    assert (part.crops[:, 0, 0, 0] // 2).tolist() == list(range(15, 85))
    assert part.counted == (25, 45)
    assert part.at_ns.tolist() == excerpt.at_ns[10:30].tolist()
    assert part.seconds == pytest.approx(0.8)
    assert excerpt.part(0, 50).counted == (25, 75)
    assert _excerpt(100, (10, 20)).part(0, 10).counted == (10, 20)


def test_excerpts_take_turns_until_the_minutes_are_full() -> None:
    excerpts = [_excerpt(100, (30, 80)), _excerpt(200, (0, 200))]
    for name, longest in (("quiet", 5.0), ("blinks", 8.0)):
        found = list(composite_recordings(np.random.default_rng(0), excerpts, 0.5, name))
        assert [one[0] for one in found[:4]] == [*excerpts, *excerpts]
        seconds = [part.seconds for _, part, _ in found]
        assert sum(seconds[:-1]) < 30 <= sum(seconds)
        assert max(seconds) <= longest + 0.1
    assert not list(composite_recordings(np.random.default_rng(0), [], 0.5, "quiet"))


def test_alarms_count_inside_and_a_moment_that_alarms_in_every_composite_is_one() -> None:
    part = _excerpt(60, (20, 50))
    recording = composite_of(np.random.default_rng(0), part, "blinks")
    ticks = np.array([4, 30, 55, 66]) * 1.0  # rows 5, 27, 48 and 57
    found = Intervals.of(ticks - 3, ticks + 4, np.full(4, 0.9))
    counts = AlarmCounts()
    for intervals in (found, Intervals.of([], [], []), found):
        count_composite(counts, SpottingResult(recording, intervals, ()), part, 30)
    report = counts.report()
    assert (report["alarms"], report["moments"], report["footage_s"]) == (4, 2, 1.2)
    assert report["minutes"] == pytest.approx(3 * 1.2 / 60, abs=0.001)
    assert (counts.blinks, counts.on_blinks) == (3 * 2, 2 * 2), (
        "rows 25 and 45 are blinks, and 5 is context"
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_composite_has_fresh_noise_and_colours_in_their_places(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composites, "JPEG_SHARE", share)
    crops = np.tile(np.array([200, 120, 40], np.uint8)[:, None, None], (30, 1, 32, 32))
    recording = composite_of(
        np.random.default_rng(0),
        Excerpt("c", 0, crops, np.zeros(30, bool), 40_000_000, (0, 30)),
        "quiet",
    )
    assert not np.array_equal(recording.crops[0], recording.crops[2])
    assert recording.crops.mean((0, 2, 3)) == pytest.approx([200, 120, 40], rel=0.1)
    assert 0.3 < (recording.crops[0].astype(float) - recording.crops[2])[0].std() < 6


def test_alarms_are_sorted_by_what_their_middle_lies_in(blinking: Footage) -> None:
    at = np.arange(60)
    annotation = Annotation(
        blink=(at >= 15) & (at < 20), mouth=(at >= 30) & (at < 40), quiet=at < 12
    )
    ticks = at * 30 / 25
    spans = [(2, 8), (13, 17), (18.5, 22), (12, 40), (38, 42), (ticks[50], ticks[55])]
    found = Intervals.of(*np.array([(a, b, 0.9) for a, b in spans]).T)
    counts = {name: AlarmCounts() for name in examination.CATEGORIES}
    (recording,) = cut(blinking)
    result = SpottingResult(recording, found, ())
    found_in = examination.count_real(result, 30, blinking, annotation, counts)
    assert found_in == ["quiet", "other", "blinks", "other", "speech", "other"]
    assert {name: t.alarms for name, t in counts.items()} == {
        "quiet": 1,
        "blinks": 1,
        "speech": 1,
        "other": 3,
    }
    # (12, 40) has its middle just after the blink
    assert (counts["blinks"].blinks, counts["blinks"].on_blinks) == (1, 2)
    examination._count_seconds(blinking, annotation, counts)
    assert {name: round(t.seconds, 2) for name, t in counts.items()} == {
        "quiet": 0.48,
        "blinks": 0.2,
        "speech": 0.4,
        "other": 1.28,
    }


def test_the_excerpts_of_a_clip_with_one_blink(blinking: Footage) -> None:
    found = excerpts_of(blinking, annotate(blinking))
    (blink,) = found["blinks"]
    assert blink.blink.any()
    assert not blink.blink[[0, -1]].any()
    assert blink.period_ns == 40_000_000
    assert not found["speech"]
    assert all(not one.blink[slice(*one.counted)].any() for one in found["quiet"])
    talking = Annotation(np.zeros(60, bool), np.arange(60) < 40, np.zeros(60, bool))
    found = excerpts_of(blinking, talking)
    (speech,) = found.pop("speech")
    assert (speech.counted, len(speech.crops)) == ((0, 40), 60)
    assert not any(found.values())
    assert not any(excerpts_of(blinking, replace(talking, blink=np.ones(60, bool))).values())


def test_the_report_tells_those_apart_who_were_seen_before(
    blinking: Footage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(examination, "read_footage", lambda *_, keep_frames: blinking)
    lines: list[str] = []
    (sample,) = parts_for([SAMPLE], "exam")
    stranger = (SAMPLE, replace(sample[1], person="stranger", seen_before=False))
    with load_engines("baseline") as engines:
        loose = replace(engines, spotter=replace(engines.spotter, t_cpn=0.3, t_crn=0.0))
        report = examine_alarms(
            loose, [sample, stranger], 1, 0.4, stills=tmp_path / "stills", progress=lines.append
        )
    seen = report["seen_before"]
    assert set(report["persons"]) == {"stranger"}
    assert set(seen["persons"]) == {"webcam-man"}
    assert report["all"]["alarms"] == seen["all"]["alarms"] > 0
    stranger_report = report["persons"]["stranger"]
    assert stranger_report["minutes"] == pytest.approx(blinking.minutes, abs=0.003)
    assert stranger_report["blinks"] == 1
    assert stranger_report["low"] <= stranger_report["per_min"] <= stranger_report["high"]
    listed = stranger_report["listed"]
    assert len(listed) == stranger_report["alarms"]
    assert all(25 <= alarm["from_s"] < alarm["to_s"] <= 27.5 for alarm in listed)
    assert {(tmp_path / "stills" / alarm["still"]).exists() for alarm in listed} == {True}
    real = report["real"]
    assert sum(part["alarms"] for part in real.values()) == len(listed)
    made = report["composites"]
    assert made["speech"] == {
        "minutes": 0.0,
        "alarms": 0,
        "sources": 0,
        "per_min": None,
        "low": None,
        "high": None,
    }
    assert made["blinks"]["blinks"] >= 3
    assert made["blinks"]["minutes"] == pytest.approx(0.12, abs=0.04)
    assert lines


def test_a_strip_shows_crops_and_what_changed_eight_times() -> None:
    crops = np.full((30, 3, 8, 8), 100, np.uint8)
    crops[15:, 0] += 5  # red rises
    times = np.arange(30, dtype=np.int64) * 40_000_000
    picture = strip(Recording("x", times, crops), 400_000_000, 800_000_000)
    assert picture.shape == (16, 7 * 8, 3)
    assert picture[0, 0].tolist() == [100, 100, 100]
    assert picture[0, -1].tolist() == [100, 100, 105]
    assert picture[-1, -1].tolist() == [128, 128, 168]


def test_thresholds_must_be_silent_on_footage_for_tuning(
    blinking: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "read_footage", lambda *_, keep_frames: blinking)
    with load_engines("baseline") as engines:
        spec = replace(engines.spotter, t_cpn=0.3, t_crn=0.0)
        scored = score_footage(replace(engines, spotter=spec), parts_for([SAMPLE], "tune"))
    strict = replace(spec, t_crn=1.0)
    assert alarms_at(scored, spec) > 0, "the baseline takes a blink for an ME"
    assert alarms_at(scored, strict) == 0
    assert quietest(scored, [spec, strict]) == [strict]
    assert quietest(scored, [spec]) == [spec], "where every pair alarms the fewest are left"
    assert quietest([], [spec, strict]) == [spec, strict]
