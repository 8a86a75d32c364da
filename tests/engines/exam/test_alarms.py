"""False alarms by category: the statistics, the composites, and which alarm counts as what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

import realtime
from engines.data.footage import Footage, read_footage
from engines.exam import alarms, composites, tuning
from engines.exam.alarms import examine_alarms
from engines.exam.composites import Source, compose_take, count_composite, sources_of
from engines.exam.notes import Annotation, annotate
from engines.exam.semireal import cut
from engines.exam.takes import Verdict
from engines.exam.tally import Tally, poisson_interval
from engines.exam.tuning import quiet_trials, score_composites, tallies
from engines.intervals import Intervals
from engines.runtime.select import load_engines

SAMPLE = Path(realtime.__file__).parent / "sample" / "webcam.mp4"


@pytest.fixture(scope="module")
def blinking() -> Footage:
    """2.4 s with one blink at 0.6 s."""
    return read_footage(SAMPLE, 25.0, 27.4, keep_frames=False)


@pytest.mark.parametrize("count", [0, 1, 3, 40, 700])
def test_the_interval_is_exact(count: int) -> None:
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    assert poisson_interval(count) == pytest.approx((low, chi2.ppf(0.975, 2 * count + 2) / 2), rel=1e-6)


def _source(count: int = 20) -> Source:
    crops = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 32, 32), np.uint8) * 4
    return Source("clip", 10**9, crops, np.arange(count) % 20 == 5, 40_000_000)


def test_a_composite_plays_to_and_fro(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "NOISE", (0.0, 0.0))
    monkeypatch.setattr(composites, "GAIN", (0.0, 0.0))
    monkeypatch.setattr(composites, "JPEG_SHARE", 0.0)
    take, order = compose_take(np.random.default_rng(0), _source(), "quiet")
    shown = take.crops[:, 0, 0, 0] // 4
    rest = [19] * 15, [0] * 15
    assert shown[:72].tolist() == [*range(20), *rest[0], *range(18, -1, -1), *rest[1], 1, 2, 3]
    assert take.minutes == pytest.approx(0.5 * (20 + 15) / 20, rel=0.05)
    assert np.count_nonzero(np.diff(order)) == 749, "30 s of 25 Hz without the rests"
    assert np.array_equal(order, shown)
    assert take.name == "composite:quiet:clip:1.0s"


def test_a_moment_that_alarms_in_every_round_is_one_moment() -> None:
    take, order = compose_take(np.random.default_rng(0), _source(60), "blinks")
    rounds = (118 + 30) * 1.2 * np.arange(6)  # ticks of a way forth and back with its rests
    found = Intervals.of(
        np.concatenate([rounds + 4, rounds + 60]), np.concatenate([rounds + 11, rounds + 67]), np.full(12, 0.9)
    )
    tally = Tally()
    count_composite(tally, Verdict(take, found, ()), _source(60), order, 30)
    count_composite(tally, Verdict(take, Intervals.of([], [], []), ()), _source(60), order, 30)
    report = tally.report()
    assert (report["alarms"], report["moments"], report["footage_s"]) == (12, 2, 2.4)
    assert (tally.blinks, tally.on_blinks) == (2 * sum(int(row % 20 == 5) for row in order), 6)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_composite_has_fresh_noise_and_colours_in_their_places(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "JPEG_SHARE", share)
    crops = np.tile(np.array([200, 120, 40], np.uint8)[:, None, None], (2, 1, 32, 32))
    take, _ = compose_take(np.random.default_rng(0), Source("c", 0, crops, np.zeros(2, bool), 40_000_000), "quiet")
    assert not np.array_equal(take.crops[0], take.crops[2])
    assert take.crops.mean((0, 2, 3)) == pytest.approx([200, 120, 40], rel=0.1)
    assert 0.3 < (take.crops[0].astype(float) - take.crops[2])[0].std() < 6


def test_alarms_are_sorted_by_what_their_middle_lies_in(blinking: Footage) -> None:
    at = np.arange(60)
    notes = Annotation(blink=(at >= 15) & (at < 20), mouth=(at >= 30) & (at < 40), quiet=at < 12)
    ticks = at * 30 / 25
    spans = [(2, 8), (13, 17), (18.5, 22), (12, 40), (38, 42), (ticks[50], ticks[55])]
    found = Intervals.of(*np.array([(a, b, 0.9) for a, b in spans]).T)
    tally = {name: Tally() for name in alarms.CATEGORIES}
    (take,) = cut(blinking)
    assert alarms.count_real(Verdict(take, found, ()), 30, blinking, notes, tally) == 6
    assert {name: t.alarms for name, t in tally.items()} == {"quiet": 1, "blinks": 1, "speech": 1, "other": 3}
    assert (tally["blinks"].blinks, tally["blinks"].on_blinks) == (1, 2)  # (12, 40) has its middle just after it
    alarms._count_seconds(blinking, notes, tally)
    assert {name: round(t.seconds, 2) for name, t in tally.items()} == {
        "quiet": 0.48, "blinks": 0.2, "speech": 0.4, "other": 1.28,
    }  # fmt: skip


def test_the_sources_of_a_clip_with_one_blink(blinking: Footage) -> None:
    found = sources_of(blinking, annotate(blinking))
    (blink,) = found["blinks"]
    assert blink.blink.any()
    assert not blink.blink[[0, -1]].any()
    assert blink.period_ns == 40_000_000
    assert not found["speech"]
    assert all(not source.blink.any() for source in found["quiet"])
    talking = Annotation(*(np.ones(60, bool) for _ in range(2)), np.zeros(60, bool))
    assert not any(sources_of(blinking, replace(talking, mouth=np.arange(60) < 60)).values())


def test_the_report(blinking: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "read_clip", lambda _, keep_frames: blinking)
    monkeypatch.setattr(composites, "TAKE_S", 6.0)
    said: list[str] = []
    with load_engines("baseline") as engines:
        report = examine_alarms(engines, [SAMPLE], 1, 0.4, said.append)
    real, made = report["real"], report["composites"]
    assert sum(part["minutes"] for part in real.values()) == pytest.approx(blinking.minutes, abs=0.003)
    assert sum(part["alarms"] for part in real.values()) == report["clips"]["webcam.mp4"]["alarms"]
    assert real["blinks"]["blinks"] == 1
    assert made["speech"] == {
        "minutes": 0.0, "alarms": 0, "sources": 0, "per_min": None, "low": None, "high": None,
    }  # fmt: skip
    assert made["blinks"]["blinks"] >= 3
    assert made["blinks"]["minutes"] == pytest.approx(0.2, abs=0.01)
    assert made["blinks"]["low"] <= made["blinks"]["per_min"] <= made["blinks"]["high"]
    assert said


def test_thresholds_must_be_quiet_on_composites_of_tuning_footage(
    blinking: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = replace(annotate(blinking), quiet=np.arange(60) >= 22)
    monkeypatch.setattr(tuning, "read_tuning", lambda _: blinking)
    monkeypatch.setattr(tuning, "annotate", lambda _: notes)
    monkeypatch.setattr(composites, "TAKE_S", 6.0)
    with load_engines("baseline") as engines:
        spec = replace(engines.spotter, t_cpn=0.3, t_crn=0.0)
        composed = score_composites(replace(engines, spotter=spec), [SAMPLE], 1, 1.0)
    assert {one.name for one in composed} == {"blinks", "quiet"}
    assert not any(one.take.crops.size for one in composed), "no pixels are kept"
    strict, loose = replace(spec, t_crn=1.0), tallies(composed, spec)
    assert loose["blinks"].alarms > loose["blinks"].blinks > 0, "the baseline takes a blink for an ME"
    assert sum(tally.alarms for tally in tallies(composed, strict).values()) == 0
    assert quiet_trials(composed, [spec, strict]) == [strict]
    assert quiet_trials(composed, [spec]) == [spec], "a limit that none keeps is as low as any gets"
    per_min = 60 * loose["quiet"].alarms / loose["quiet"].seconds
    for limit, kept in ((per_min + 0.01, [spec, strict]), (per_min - 0.01, [strict])):
        monkeypatch.setattr(tuning, "LIMITS", {"quiet": limit})
        assert quiet_trials(composed, [spec, strict]) == kept
