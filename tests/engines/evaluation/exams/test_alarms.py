"""False alarms by category: the statistics, the composites, and which alarm counts as what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from microspot.engines.data.footage import Footage, read_footage
from microspot.engines.data.people import parts_for
from microspot.engines.evaluation.exams import alarms, composites, tuning
from microspot.engines.evaluation.exams.alarm_counts import AlarmCounts, poisson_interval
from microspot.engines.evaluation.exams.alarms import examine_alarms
from microspot.engines.evaluation.exams.composites import (
    Excerpt,
    composite_of,
    composite_recordings,
    count_composite,
    excerpts_of,
)
from microspot.engines.evaluation.exams.mesh_annotation import Annotation, annotate
from microspot.engines.evaluation.exams.recordings import SpottingResult
from microspot.engines.evaluation.exams.semireal import cut
from microspot.engines.evaluation.exams.tuning import count_alarms, quiet_trials, score_composites
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
    counts = {name: AlarmCounts() for name in alarms.CATEGORIES}
    (recording,) = cut(blinking)
    result = SpottingResult(recording, found, ())
    assert alarms.count_real(result, 30, blinking, annotation, counts) == 6
    assert {name: t.alarms for name, t in counts.items()} == {
        "quiet": 1,
        "blinks": 1,
        "speech": 1,
        "other": 3,
    }
    # (12, 40) has its middle just after the blink
    assert (counts["blinks"].blinks, counts["blinks"].on_blinks) == (1, 2)
    alarms._count_seconds(blinking, annotation, counts)
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


def test_the_report(blinking: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "read_footage", lambda *_, keep_frames: blinking)
    lines: list[str] = []
    with load_engines("baseline") as engines:
        report = examine_alarms(engines, parts_for([SAMPLE], "exam"), 1, 0.4, lines.append)
    real = report["real"]
    made = report["composites"]
    assert sum(part["minutes"] for part in real.values()) == pytest.approx(
        blinking.minutes, abs=0.003
    )
    assert sum(part["alarms"] for part in real.values()) == report["clips"]["webcam.mp4"]["alarms"]
    assert real["blinks"]["blinks"] == 1
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
    assert made["blinks"]["low"] <= made["blinks"]["per_min"] <= made["blinks"]["high"]
    assert lines


def test_thresholds_must_be_quiet_on_composites_of_tuning_footage(
    blinking: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = replace(annotate(blinking), quiet=np.arange(60) >= 22)
    monkeypatch.setattr(tuning, "read_footage", lambda *_, keep_frames: blinking)
    monkeypatch.setattr(tuning, "annotate", lambda _: annotation)
    with load_engines("baseline") as engines:
        spec = replace(engines.spotter, t_cpn=0.3, t_crn=0.0)
        composed = score_composites(
            replace(engines, spotter=spec), parts_for([SAMPLE], "tune"), 1, 1.0
        )
    assert {one.category for one in composed} == {"blinks", "quiet"}
    assert not any(one.recording.crops.size or one.part.crops.size for one in composed), (
        "no pixels are kept"
    )
    strict = replace(spec, t_crn=1.0)
    loose = count_alarms(composed, spec)
    assert loose["blinks"].alarms > loose["blinks"].blinks > 0, (
        "the baseline takes a blink for an ME"
    )
    assert sum(counts.alarms for counts in count_alarms(composed, strict).values()) == 0
    assert quiet_trials(composed, [spec, strict]) == [strict]
    assert quiet_trials(composed, [spec]) == [spec], "a limit that none keeps is as low as any gets"
    per_min = 60 * loose["quiet"].alarms / loose["quiet"].seconds
    for limit, kept in ((per_min + 0.01, [spec, strict]), (per_min - 0.01, [strict])):
        monkeypatch.setattr(tuning, "LIMITS", {"quiet": limit})
        assert quiet_trials(composed, [spec, strict]) == kept
