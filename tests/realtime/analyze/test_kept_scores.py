"""Kept scores: what the stream decided follows from them, and keeping them decides nothing."""

from __future__ import annotations

import numpy as np
import pytest

from microspot.engines.evaluation.stored_scores import KEPT_T_CPN, KEPT_T_CRN
from microspot.realtime.analyze.kept_scores import KeptScores
from microspot.realtime.records import Event, FrameTime
from microspot.realtime.session import Session
from tests import fakes

SECOND = 10**9


def run(kept: KeptScores | None, seed: int, hz: float) -> tuple[Session, list[Event]]:
    """Two segments of jittered crops whose frames skip numbers; the final events."""
    random = np.random.default_rng(seed)
    session = Session(fakes.engine_set(), "fake")
    if kept is not None:
        session.keep_windows(KEPT_T_CPN, KEPT_T_CRN)
    events: list[Event] = []

    def keep() -> None:
        for scores in session.take_scores():
            if kept is not None:
                kept.take(scores)

    index = 0
    now_ns = 0
    for _ in range(2):
        for feature in fakes.features(random, 200, activity=0.3).T:
            index += int(random.integers(1, 4))
            now_ns += int(SECOND / hz * random.uniform(0.8, 1.2))
            if kept is not None:
                kept.take(FrameTime("fake", index, now_ns, now_ns))
            events += session.push(fakes.crop(feature, now_ns, index))
            keep()
        events += session.flush()
        keep()
        session.reset()
        now_ns += SECOND
    return session, [event for event in events if event.status == "final"]


@pytest.mark.parametrize(("seed", "hz"), [(1, 30.0), (2, 25.0), (3, 50.0)])
def test_the_events_follow_from_what_was_kept(seed: int, hz: float) -> None:
    kept = KeptScores(fakes.spec().grid_hz)
    session, events = run(kept, seed, hz)
    _, without = run(None, seed, hz)
    assert events == without
    assert len(events) > 4
    video = kept.video()
    assert len(video.segments) == 2
    wanted = sorted((event.onset_frame, event.offset_frame, event.score) for event in events)
    np.testing.assert_allclose(sorted(video.found_at(session.spec)), wanted, rtol=1e-6)
    refined = [window.score for segment in video.segments for window in segment.windows]
    assert KEPT_T_CRN <= min(refined) < session.spec.t_crn
    assert len(video.frame_ns) == 400
