"""Pauses between reconnects."""

from __future__ import annotations

import itertools

from microspot.realtime.sources.open import SourceOptions
from microspot.realtime.sources.timeouts import ReconnectBackoff


def test_pauses_grow_up_to_a_limit_and_start_anew_after_a_stable_connection() -> None:
    options = SourceOptions(
        retry_s=1, retry_growth=2, retry_max_s=30, retry_jitter=0.25, retry_lively_s=3
    )
    backoff = ReconnectBackoff(options)
    for lived_s, most in (
        (25, 1),
        (1, 3),
    ):  # stable, if shorter than the last pause; and a second, which is not
        for full in (1, 2, 4, 8, 16, 30, 30):
            assert 0.75 * full <= backoff.pause_s(None) <= full
        assert backoff.pause_s(lived_s) <= most
        backoff = ReconnectBackoff(options)


def test_pauses_add_about_a_quarter_to_an_outage() -> None:
    backoff = ReconnectBackoff(SourceOptions(retry_jitter=1e-9))
    waited = [0.0]
    while waited[-1] < 300:
        waited.append(waited[-1] + backoff.pause_s(None))
    added = [after / before for before, after in itertools.pairwise(waited) if before > 5]
    assert max(added) < 1.35
    assert len(waited) < 40
