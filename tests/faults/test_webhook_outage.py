"""A second's outage with short pauses: a minute's, with those that ship, is a command."""

from __future__ import annotations

from tests.faults.webhook_outage import faults, name_of, run


def test_a_webhook_that_was_away_gets_every_final_event_also_over_a_kill() -> None:
    found = run(1.0, (0.01, 0.05))
    assert found.faults == []
    assert found.came > found.sent  # the one whose answer was lost came again


def test_what_is_not_as_promised_is_seen() -> None:
    names = [name_of(number) for number in range(4)]
    assert faults(4, names, names, "") == []
    assert faults(4, [*names, names[0]], [*names, names[0]], "") == []
    assert faults(4, names[::-1], names[::-1], "")[0].startswith("another order of one")
    assert faults(4, names[:3], names[:3], "") == ["lost: e0003"]
    assert faults(4, names, names[::-1], "") == ["keys are not the ids of their events"]
    assert faults(4, names, names, "1 events wait") == ["1 events wait"]
