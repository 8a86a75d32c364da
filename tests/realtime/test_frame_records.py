"""The records that come with every frame: times on the host's clock, scores of every tick."""

from __future__ import annotations

import time

import numpy as np
import pytest

from microspot.engines.alignment.aligner import AlignOptions, MediaPipeAligner
from microspot.engines.specs import SpotterSpec
from microspot.realtime.config import Settings
from microspot.realtime.pipeline import Pipeline, SourceEnd
from microspot.realtime.records import Event, FaceMeasures, Frame, FrameTime, TickScores
from microspot.realtime.session import Session
from microspot.realtime.sinks.base import OF_FRAMES
from microspot.realtime.sources.open import open_source
from tests import fakes
from tests.clips import write_still
from tests.realtime.test_feed import STEP, Faces, Times

TICK = 10**9 / 30


@pytest.mark.parametrize("hz", [30, 25, 50])
def test_every_tick_has_its_scores_once_at_the_time_of_its_frame(hz: int) -> None:
    rng = np.random.default_rng(hz)
    session = Session(fakes.engine_set(), "fake")
    features = fakes.features(rng, 120, 1.0)
    jitter = rng.integers(-4_000_000, 4_000_000, 120)
    jitter[0] = 0
    times = [7 * 10**9 + index * 10**9 // hz + int(jitter[index]) for index in range(120)]
    taken = []
    for index, at_ns in enumerate(times):
        session.push(fakes.crop(features[:, index], at_ns, index))
        taken += session.take_scores()
    history = session.view().scores
    assert history.shape[1] == session.ticks
    session.flush()
    taken += session.take_scores()
    assert session.take_scores() == []
    assert len(taken) == session.ticks
    decided = session.ticks - fakes.spec().radius
    scores = np.stack([each.scores for each in taken], axis=1)
    np.testing.assert_array_equal(scores[:, :decided], history[:, :decided])
    for tick, each in enumerate(taken):
        grid_ns = times[0] + round(tick * TICK)
        nearest = min(times, key=lambda ns: abs(ns - grid_ns))
        is_frame = abs(nearest - grid_ns) < TICK / 4
        assert each.at_ns == (nearest if is_frame else pytest.approx(grid_ns, abs=1))
    assert np.all(np.diff([each.at_ns for each in taken]) > 0)
    assert any(not np.isnan(each.refined) for each in taken)
    assert {each.quality for each in taken} == {1.0}


def test_scores_that_nobody_takes_are_forgotten() -> None:
    session = Session(fakes.engine_set(), "fake")
    features = fakes.features(np.random.default_rng(0), 60)
    capacity = session.settings.ring_ticks
    for index in range(capacity + 100):
        session.push(fakes.crop(features[:, index % 60], index * STEP, index))
    taken = session.take_scores()
    assert len(taken) == capacity
    assert taken[-1].at_ns > (capacity + 90) * STEP


def run(source: Times, *, wanted: bool = True) -> list[object]:
    """The records of a run in which no face is seen from 0.5 s to 1 s."""
    engines = fakes.engine_set(side=8)
    faces = Faces(lambda ns: set() if 5e8 <= ns < 1e9 else {0})
    with Pipeline([source], engines, aligner=lambda *_: faces) as pipeline:
        pipeline.wants_frames = OF_FRAMES if wanted else ()
        return list(pipeline.run())


def test_every_frame_has_its_time_and_only_if_it_is_wanted() -> None:
    times = [k * STEP for k in range(60)]
    times.insert(30, times[10])  # goes back: it never reaches the networks
    began_ns = time.monotonic_ns()
    found = run(Times(times))
    ended_ns = time.monotonic_ns()
    frames = [record for record in found if isinstance(record, FrameTime)]
    assert [frame.index for frame in frames] == [i for i in range(61) if i != 30]
    zeros = {frame.host_ns - frame.captured_ns for frame in frames}
    assert len(zeros) == 1  # spaced as in the file, from when its first frame was read
    assert began_ns < zeros.pop() < ended_ns
    scored = [record.at_ns for record in found if isinstance(record, TickScores)]
    assert [at_ns for at_ns in scored if 5e8 <= at_ns < 1e9] == []
    assert len(scored) == pytest.approx(45, abs=1)
    assert not any(
        isinstance(each, FrameTime | TickScores) for each in run(Times(times[:9]), wanted=False)
    )


def test_every_frame_with_a_face_has_its_measures() -> None:
    found = run(Times([k * STEP for k in range(60)]))
    seen = [each for each in found if isinstance(each, FaceMeasures)]
    times = [k * STEP for k in range(60) if not 5e8 <= k * STEP < 1e9]
    assert [each.captured_ns for each in seen] == times
    assert {(each.quality, each.pose, each.eyes_open) for each in seen} == {(1.0, None, None)}


def every_second(spec: SpotterSpec, settings: Settings) -> MediaPipeAligner:
    """An aligner whose landmarker looks once a second at a face that rests."""
    return MediaPipeAligner(spec.side, options=AlignOptions(still_ns=1_000_000_000))


def test_the_pose_is_told_in_every_frame_and_the_eyes_where_the_landmarker_ran() -> None:
    source = open_source("sample:synthetic:7")
    engines = fakes.engine_set(side=112, t_cpn=1.0)  # no events
    with Pipeline([source], engines, aligner=every_second, seconds=1.2) as pipeline:
        pipeline.wants_frames = OF_FRAMES
        found = list(pipeline.run())
    seen = [each for each in found if isinstance(each, FaceMeasures)]
    assert [each.index for each in seen] == list(range(36))
    poses = [each.pose for each in seen]
    assert all(pose is not None and abs(pose.yaw) < 15 for pose in poses)
    assert len({pose.roll for pose in poses if pose}) > 30, "it follows the head"
    answered = [each for each in seen if each.eyes_open]
    assert [each.index for each in answered] == [0, 3 + 30], "it answers three frames later"
    assert [each.eyes_ns for each in answered] == [0, seen[30].captured_ns]
    assert all(0.15 < eye < 0.4 for each in seen for eye in each.eyes_open or ())


def test_a_tick_says_what_else_moves_where_the_weights_do() -> None:
    engines = fakes.engine_set(nuisance=("blink", "speech"))
    session = Session(engines, "fake")
    features = fakes.features(np.random.default_rng(0), 40)
    for index in range(40):
        session.push(fakes.crop(features[:, index], index * STEP, index))
    session.flush()
    for tick, each in enumerate(session.take_scores()):
        own = fakes.encode(fakes.crop(features[:, tick], 0, 0).pixels[None])["features"][0, :2]
        expected = np.abs(np.sin(own * np.float32(1.7)))
        assert list(each.confounders) == ["blink", "speech"]
        np.testing.assert_allclose(list(each.confounders.values()), expected, atol=1e-6)
    assert tick == 39


def test_the_hosts_times_of_a_source_are_given_on() -> None:
    class Timed(Times):
        """Frames that know when they were taken."""

        def __iter__(self):
            for frame in super().__iter__():
                yield Frame(frame.source, frame.index, frame.captured_ns, frame.image, frame.index)

    found = run(Timed([k * STEP for k in range(20)]))
    assert [r.host_ns for r in found if isinstance(r, FrameTime)] == list(range(20))


def test_scores_come_before_the_events_that_they_bring() -> None:
    engines = fakes.engine_set()
    features = fakes.features(np.random.default_rng(3), 90, 1.0)

    class Features(Faces):
        """Crops that begin with the features of their frame."""

        def __call__(self, image, captured_ns):
            found = super().__call__(image, captured_ns)
            pixels = fakes.crop(features[:, round(captured_ns / STEP)], 0, 0).pixels
            object.__setattr__(found.faces[0], "pixels", pixels)
            return found

    source = Times([k * STEP for k in range(90)])
    faces = Features(lambda ns: {0})
    with Pipeline([source], engines, aligner=lambda *_: faces) as pipeline:
        pipeline.wants_frames = OF_FRAMES
        found = list(pipeline.run())
    newest_ns = -1
    events = 0
    for record in found:
        if isinstance(record, TickScores):
            newest_ns = record.at_ns
        elif isinstance(record, Event):
            events += 1
            assert newest_ns >= record.emitted_ns - (fakes.spec().radius + 0.5) * TICK
    assert events
    assert isinstance(found[-1], SourceEnd)


def test_a_file_that_is_paced_has_the_times_at_which_it_is_played(tmp_path) -> None:
    path = write_still(tmp_path / "clip.mp4", frames=6, value=90)
    for pace in (False, True):
        began_ns = time.monotonic_ns()
        with open_source(str(path), pace=pace) as source:
            frames = [record for record in source if isinstance(record, Frame)]
        taken_ns = [frame.host_ns for frame in frames]
        if not pace:
            assert taken_ns == [None] * 6
            continue
        assert began_ns < taken_ns[0] <= taken_ns[-1] <= time.monotonic_ns()
        # Where the machine stalls for more than a second, it is played on from then.
        steps = np.diff(taken_ns) - np.diff([frame.captured_ns for frame in frames])
        assert steps.min() >= 0


def test_who_asks_amid_a_run_gets_what_comes_from_then_on_and_nothing_from_before() -> None:
    source = Times([k * STEP for k in range(90)])
    engines = fakes.engine_set(side=8)
    asked_ns = []
    with Pipeline([source], engines, aligner=lambda *_: Faces(lambda ns: {0})) as pipeline:

        def between_rounds() -> None:
            newest = pipeline._runs[0].now_ns
            pipeline.wants_frames = OF_FRAMES if 30 * STEP <= newest < 60 * STEP else ()
            if pipeline.wants_frames:
                asked_ns.append(newest)

        pipeline.between_rounds = between_rounds
        found = list(pipeline.run())
    frames = [record.index for record in found if isinstance(record, FrameTime)]
    scored = [record.at_ns for record in found if isinstance(record, TickScores)]
    assert frames == list(range(31, 61))
    delay = fakes.spec().radius * STEP
    assert min(scored) > asked_ns[0] - delay
    assert max(scored) <= 60 * STEP
    assert len(scored) == pytest.approx(30, abs=1)
