"""The simulated fleet runs what ships: a fault planted there shows in its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from microspot.realtime.fleet import supervisor
from microspot.realtime.fleet.cluster import CameraWanted, GroupState, Node
from microspot.realtime.fleet.placement import Actions, place
from microspot.realtime.fleet.settings import SupervisorSettings
from microspot.realtime.fleet.simulation.events import Events
from microspot.realtime.fleet.simulation.run import simulate
from microspot.realtime.fleet.simulation.scenarios import SCENARIOS, Scenario
from microspot.realtime.fleet.simulation.served import Outage, Served
from microspot.realtime.fleet.simulation.table import Counts, table_of
from microspot.realtime.fleet.simulation.times import Times

# A day in little: in six hours more failures a camera than in a day of the real size.
SMALL = Scenario(
    cameras=60, nodes=6, node_cameras=20, hours=6.0, failing_per_hour=0.6, repair_s=(600.0, 600.0)
)


@pytest.fixture(scope="module")
def sound() -> dict[str, Any]:
    return simulate(SMALL)


def without_times(table: dict[str, Any]) -> dict[str, Any]:
    """A table without what the machine at hand took."""
    return {name: part for name, part in table.items() if name != "supervisor"}


def test_a_sound_fleet_serves_and_recovers(sound: dict[str, Any]) -> None:
    assert sound["failures"]["node"] > 10
    assert sound["served"]["mean"] > 0.99
    assert sound["recovery_s"]["p99"] < 60
    assert sound["recovery_as_aimed"]
    assert set(sound["recovery_s_by_cause"]) <= {"node", "crash", "hang"}
    assert sound["cameras_held_twice"] == sound["cameras_above_capacity"] == 0
    assert sound["control"]["refused"] == 0
    # 12 groups, each with a report a second, asked for and given
    assert sound["control"]["messages_per_s"] == pytest.approx(24, abs=0.5)
    assert 0 < sound["all_served_first_s"] < 60


def test_a_seed_gives_the_same_table_and_another_does_not(sound: dict[str, Any]) -> None:
    assert without_times(simulate(SMALL)) == without_times(sound)
    other = simulate(SMALL.model_copy(update={"seed": 1}))
    assert other["recovery_s"] != sound["recovery_s"]


def never_moves(
    wanted: Sequence[CameraWanted],
    nodes: Iterable[Node],
    groups: Iterable[GroupState],
    settings: SupervisorSettings,
    now_s: float,
) -> Actions:
    """Takes every group for one whose node lives."""
    groups = [replace(group, last_seen_s=now_s) for group in groups]
    gone = {group.node_id for group in groups} - {node.id for node in nodes}
    return place(wanted, [*nodes, *(Node(id, "gone", 99) for id in gone)], groups, settings, now_s)


def overfills(
    wanted: Sequence[CameraWanted],
    nodes: Iterable[Node],
    groups: Iterable[GroupState],
    settings: SupervisorSettings,
    now_s: float,
) -> Actions:
    """Takes the first node for one that carries everything."""
    first, *others = nodes
    return place(wanted, [replace(first, cameras_max=10**6), *others], groups, settings, now_s)


def takes_up_at_once(
    wanted: Sequence[CameraWanted],
    nodes: Iterable[Node],
    groups: Iterable[GroupState],
    settings: SupervisorSettings,
    now_s: float,
) -> Actions:
    """Places cameras of groups that stop before these have let them go."""
    stopping = {group.name for group in groups if group.stopping}
    others = [
        replace(group, cameras=(), releasing=()) if group.name in stopping else group
        for group in groups
    ]
    return place(wanted, nodes, others, settings, now_s)


def test_cameras_of_dead_nodes_that_nobody_moves_are_seen(
    monkeypatch: pytest.MonkeyPatch, sound: dict[str, Any]
) -> None:
    monkeypatch.setattr(supervisor, "place", never_moves)
    found = simulate(SMALL.model_copy(update={"hours": 2.0}))
    assert found["served"]["mean"] < 0.9 < sound["served"]["mean"]
    assert not found["recovery_as_aimed"]
    assert not found["served_as_aimed"]


def test_nodes_that_get_more_than_they_carry_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "place", overfills)
    found = simulate(SMALL)
    assert found["cameras_above_capacity"] > 0
    assert not found["served_as_aimed"]


def test_cameras_that_two_groups_hold_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    drains = SMALL.model_copy(update={"drains_per_hour": 6.0, "failing_per_hour": 0.0})
    found = simulate(drains)
    assert found["failures"]["drain"] > 3
    assert found["cameras_held_twice"] == 0
    assert set(found["recovery_s_by_cause"]) >= {"moved"}
    monkeypatch.setattr(supervisor, "place", takes_up_at_once)
    slow_to_stop = Times(stop_s=(30.0, 30.0))
    assert simulate(drains, slow_to_stop)["cameras_held_twice"] > 0


def test_pinned_cameras_wait_for_their_host_and_are_told_apart() -> None:
    found = simulate(SMALL.model_copy(update={"pinned": 0.5}))
    assert found["served"]["cameras"] == found["served_pinned"]["cameras"] == 30
    assert found["served_pinned"]["mean"] < found["served"]["mean"]
    assert found["recovery_s"]["p99"] < 60


def test_a_supervisor_that_is_away_or_slow_only_comes_later(sound: dict[str, Any]) -> None:
    away = SMALL.model_copy(
        update={"supervisor_stops_per_hour": 20.0, "supervisor_away_s": 100.0, "hours": 3.0}
    )
    found = simulate(away)
    assert found["failures"]["supervisor"] > 30
    assert found["cameras_held_twice"] == found["cameras_above_capacity"] == 0
    assert found["recovery_s"]["max"] > sound["recovery_s"]["max"]
    slow = simulate(SMALL.model_copy(update={"round_s": 60.0}))
    assert slow["recovery_s"]["p50"] > sound["recovery_s"]["p50"] + 10


def test_processes_that_crash_or_hang_come_back() -> None:
    update = {"failing_per_hour": 0.0, "crashes_per_hour": 1.0, "hangs_per_hour": 1.0}
    found = simulate(SMALL.model_copy(update=update))
    assert min(found["failures"]["crash"], found["failures"]["hang"]) > 20
    causes = found["recovery_s_by_cause"]
    assert set(causes) == {"crash", "hang"}
    assert causes["crash"]["p50"] < 17  # the cluster starts it again: nobody waits for patience
    assert 40 < causes["hang"]["p50"] < 60  # patience, then until it is killed, then a start
    assert found["cameras_held_twice"] == 0


def test_racks_fail_together_and_without_room_cameras_wait() -> None:
    racks = SMALL.model_copy(
        update={
            "failing_per_hour": 0.0,
            "racks_per_hour": 2.0,
            "hours": 4.0,
            "rack_nodes": 3,
            "repair_s": (120.0, 120.0),
        }
    )
    enough = simulate(racks)
    assert enough["failures"]["rack"] >= 2
    assert "rack" in enough["recovery_s_by_cause"]
    assert enough["cameras_waiting_most"] == 0
    assert enough["recovery_s"]["p99"] < 60
    short = simulate(racks.model_copy(update={"node_cameras": 12}))
    assert short["cameras_waiting_most"] >= 24
    assert short["recovery_s"]["max"] > 100


def test_every_named_scenario_runs() -> None:
    for scenario in SCENARIOS.values():
        few = {"cameras": 40, "nodes": 4, "node_cameras": 15, "hours": 0.1}
        assert simulate(scenario.model_copy(update=few))["served"]["mean"] > 0.5


def test_events_come_in_order_of_time_then_of_planning() -> None:
    events = Events()
    seen: list[str] = []
    events.after(2.0, lambda: seen.append("later"))
    events.after(1.0, lambda: seen.append("first"))
    events.after(1.0, lambda: events.after(0.5, lambda: seen.append("second")))
    events.run_until(1.75)
    assert seen == ["first", "second"]
    assert events.now_s == 1.75
    events.run_until(2.0)
    assert seen[-1] == "later"


def test_time_served_and_outages_are_counted() -> None:
    served = Served([CameraWanted("a", "x"), CameraWanted("b", "x", "host")])
    served.begin("a", 10.0)
    assert served.all_seen_s is None
    served.begin("b", 20.0)
    served.begin("b", 21.0)
    served.end("a", 30.0, "node")
    served.begin("a", 40.0)
    served.end("b", 50.0, "rack")
    served.finish(100.0)
    assert served.all_seen_s == 20.0
    assert served.held_twice == 1
    assert served.shares(100.0, pinned=False) == [0.8]
    assert served.shares(100.0, pinned=True) == [0.3]
    assert served.outages == [Outage("node", 10.0, False), Outage("rack", 50.0, True)]
    table = table_of(served, Counts({}, 0, 0, Counter({0: 3}), 50.0, 0, [1.0, 3.0]), 100.0)
    assert table["recovery_s"] == {"p50": 10.0, "p99": 10.0, "max": 10.0, "outages": 1}
    assert table["control"]["messages_per_s"] == 1.0
    assert table["supervisor"]["ms_p50"] == 2.0
