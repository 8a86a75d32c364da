"""The supervisor asks for what placement found, and a refused call keeps nothing else from it."""

from __future__ import annotations

from microspot.realtime.fleet.cluster import CameraWanted, Node
from microspot.realtime.fleet.settings import SupervisorSettings
from microspot.realtime.fleet.supervisor import Supervisor

from .told_cluster import ToldCluster

WANTED = tuple(CameraWanted(f"camera-{i}", f"rtsp://{i}/") for i in range(6))
SETTINGS = SupervisorSettings(group_size=2)


def test_it_asks_until_nothing_is_left_and_then_for_nothing() -> None:
    cluster = ToldCluster([Node("a", "north", 4), Node("b", "south", 4)])
    supervisor = Supervisor(cluster, SETTINGS)
    first = supervisor.reconcile(WANTED, 0.0)
    assert not first.settled
    assert cluster.asked == ["start group-1", "start group-2", "start group-3"]
    assert supervisor.reconcile(WANTED, 1.0).settled
    cluster.answer()
    assert supervisor.reconcile(WANTED, 2.0).settled
    assert set(cluster.where()) == {camera.name for camera in WANTED}


def test_stops_come_before_changes_and_starts() -> None:
    cluster = ToldCluster([Node("a", "north", 4), Node("b", "south", 4)])
    supervisor = Supervisor(cluster, SETTINGS)
    supervisor.reconcile(WANTED[:3], 0.0)
    cluster.answer()
    cluster.asked.clear()
    cluster.lose("a")
    supervisor.reconcile(WANTED, 1.0)
    whats = [asked.split()[0] for asked in cluster.asked]
    assert whats == sorted(whats, key=("stop", "change", "start").index)
    assert {"stop", "start"} <= set(whats)


def test_a_refused_call_is_told_and_made_again() -> None:
    cluster = ToldCluster([Node("a", "north", 9)])
    cluster.refuses = {"group-1"}
    supervisor = Supervisor(cluster, SETTINGS)
    round_ = supervisor.reconcile(WANTED, 0.0)
    assert round_.errors == ("start group-1: not now",)
    assert set(cluster.states) == {"group-2", "group-3"}
    cluster.refuses.clear()
    assert supervisor.reconcile(WANTED, 1.0).errors == ()
    assert set(cluster.where()) == {camera.name for camera in WANTED}


def test_another_supervisor_goes_on_where_one_ended() -> None:
    cluster = ToldCluster([Node("a", "north", 9)])
    Supervisor(cluster, SETTINGS).reconcile(WANTED, 0.0)
    cluster.answer()
    assert Supervisor(cluster, SETTINGS).reconcile(WANTED, 0.0).settled
