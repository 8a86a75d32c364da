"""Agreement of two coders against tables worked out by hand."""

from __future__ import annotations

import pytest

from microspot.realtime.review.agreement import agreement, cohens_kappa
from microspot.realtime.review.decisions import UNTOUCHED, Decision, Point
from microspot.realtime.review.results import EventKey
from tests.realtime.review.made import event


def pairs(*table: tuple[str, str, int]) -> tuple[list[str], list[str]]:
    """Two coders' classes from rows of first, second and how often."""
    first = [a for a, _, count in table for _ in range(count)]
    second = [b for _, b, count in table for _ in range(count)]
    return first, second


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        # p_o = 35/50, p_e = (25 * 30 + 25 * 20) / 2500 = 0.5
        ([("y", "y", 20), ("y", "n", 5), ("n", "y", 10), ("n", "n", 15)], 0.4),
        # p_o = 60/100, p_e = (60 * 70 + 40 * 30) / 10000 = 0.54
        ([("y", "y", 45), ("y", "n", 15), ("n", "y", 25), ("n", "n", 15)], 0.06 / 0.46),
        # p_o = 0, p_e = 1/2
        ([("y", "n", 5), ("n", "y", 5)], -1.0),
        ([("y", "y", 3), ("n", "n", 4)], 1.0),
        # three classes: p_o = 16/20, p_e = (8 * 7 + 7 * 8 + 5 * 5) / 400 = 137/400
        (
            [
                ("a", "a", 6), ("a", "b", 2), ("b", "b", 6),
                ("b", "c", 1), ("c", "c", 4), ("c", "a", 1),
            ],
            (16 / 20 - 137 / 400) / (1 - 137 / 400),
        ),
        ([("y", "y", 9)], None),
        ([], None),
    ],
)  # fmt: skip
def test_kappa_is_that_of_the_table(table: list[tuple[str, str, int]], kappa: float | None) -> None:
    assert cohens_kappa(*pairs(*table)) == (None if kappa is None else pytest.approx(kappa))


def test_two_coders_side_by_side() -> None:
    keys = [EventKey("clip.mp4", f"e{number}") for number in range(6)]
    events = {key: event(n, 20, "clip.mp4") for n, key in enumerate(keys)}  # 20, 24, 29
    first = {
        keys[0]: Decision("accepted"),
        keys[1]: Decision("accepted", onset=Point(18, 0.6), label="surprise"),
        keys[2]: Decision("accepted"),
        keys[3]: Decision("rejected"),
        keys[4]: Decision("accepted"),
    }
    second = {
        keys[0]: Decision("accepted", offset=Point(30, 1.0)),
        keys[1]: Decision("accepted", apex=Point(27, 0.9), offset=Point(25, 0.83)),
        keys[2]: Decision("rejected"),
        keys[3]: Decision("rejected"),
        keys[4]: UNTOUCHED,
        EventKey("gone.mp4", "e1"): Decision("accepted"),
    }
    found = agreement(events, ("Anna", "Ben"), (first, second), tolerance=1)
    assert (found.events, found.judged, found.accepted, found.rejected) == (6, 4, 2, 1)
    assert (found.only_first, found.only_second) == (1, 0)
    assert found.agreed == 3 / 4
    # p_o = 3/4, p_e = (3 * 2 + 1 * 2) / 16
    assert found.kappa == pytest.approx(0.5)
    # [20, 29] in [20, 30]: 10 of 11 frames; [18, 29] and [20, 25]: 6 of 12
    assert found.iou == pytest.approx((10 / 11 + 6 / 12) / 2)
    assert found.near == {"onset": 1 / 2, "apex": 1 / 2, "offset": 1 / 2}
    wider = agreement(events, ("Anna", "Ben"), (first, second), tolerance=3)
    assert wider.near == {"onset": 1.0, "apex": 1.0, "offset": 1 / 2}
    # labels: negative and negative; surprise and negative
    assert (found.labels, found.label_kappa) == (0.5, 0.0)


def test_without_common_events_nothing_is_claimed() -> None:
    key = EventKey("clip.mp4", "e1")
    events = {key: event(1, 20, "clip.mp4")}
    found = agreement(events, ("Anna", "Ben"), ({key: Decision("accepted")}, {}))
    assert found.judged == 0
    assert [found.agreed, found.kappa, found.iou, *found.near.values()] == [None] * 6
