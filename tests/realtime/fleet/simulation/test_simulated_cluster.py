"""The simulated cluster tells of its nodes what Ray's does."""

from __future__ import annotations

from microspot.realtime.fleet.cluster import CameraWanted, Node
from microspot.realtime.fleet.settings import SupervisorSettings
from microspot.realtime.fleet.simulation.events import Events
from microspot.realtime.fleet.simulation.served import Served
from microspot.realtime.fleet.simulation.simulated_cluster import SimulatedCluster
from microspot.realtime.fleet.simulation.times import Draw, Times


def test_a_node_on_which_a_group_did_not_come_up_is_told() -> None:
    cameras = [CameraWanted("one", "rtsp://one/")]
    events = Events()
    settings = SupervisorSettings(start_s=9.0, patience_s=5.0, failed_pause_s=30.0)
    times = Draw(Times(node_death_seen_s=(60.0, 60.0)), 0)
    node = Node("a.0", "a", 9)
    cluster = SimulatedCluster([node], events, Served(cameras), times, settings)
    cluster.fail("a.0", "node")  # which is not known yet
    cluster.start("group-1", "a.0", cameras)
    for now_s, failed_s in ((8.0, None), (10.0, 10.0)):
        events.run_until(now_s)
        cluster.groups()
        assert [node.failed_s for node in cluster.nodes()] == [failed_s]
    cluster.stop("group-1")
    events.run_until(35.0)  # it was killed at 30, and the failure told until 10
    assert cluster.groups() == []
    assert cluster.due_s() == 40.0
