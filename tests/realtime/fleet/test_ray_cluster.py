"""What is adopted, and what is remembered of nodes; a stand-in takes the place of Ray."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from microspot.realtime.errors import EngineError
from microspot.realtime.fleet import ray_cluster
from microspot.realtime.fleet.fleet_file import FleetSettings
from microspot.realtime.fleet.ray_cluster import PREFIX, RayCluster
from microspot.realtime.fleet.ray_control import controlling
from microspot.realtime.fleet.ray_start import NAMESPACE, cluster_errors
from tests.realtime.fleet.test_ray_group import FakeRay, RayError, report

SETTINGS = FleetSettings(out=["/srv/events.db"])


class OneActor(FakeRay):
    """A node and a group on it, whose reports come after `late` waits."""

    def __init__(self, said, late):
        super().__init__()
        self.said = said
        self.late = late
        self.util = SimpleNamespace(
            list_named_actors=lambda **_: [{"namespace": NAMESPACE, "name": f"{PREFIX}group-1"}]
        )

    def get_actor(self, name, namespace):
        return self.actor()

    def nodes(self):
        return [
            {"NodeID": "node", "Alive": True, "NodeManagerHostname": "a", "Resources": {"CPU": 2}}
        ]

    def wait(self, calls, timeout, num_returns=1):
        self.late -= 1
        if self.late >= 0:
            return [], calls
        for call in calls:
            call.answer = self.said
        return calls, []

    def get(self, call, timeout=None):
        return super().get(call)


def test_there_is_a_sign_of_life_while_groups_are_adopted():
    beats = []
    ray = OneActor(report(1, ()), late=3)
    cluster = RayCluster(ray, SETTINGS, (), lambda: beats.append(1))
    assert len(beats) == 4
    assert [group.alive for group in cluster.groups()] == [True]
    assert cluster.nodes()[0].failed_s is None


def test_groups_that_never_answer_are_not_waited_for_longer_than_that(monkeypatch):
    monkeypatch.setattr(ray_cluster, "ADOPT_S", 0.05)
    ray = OneActor(RayError("no answer"), late=0)
    assert RayCluster(ray, SETTINGS).groups() == []
    assert ray.killed


def test_a_node_on_which_a_group_failed_is_told():
    cluster = RayCluster(OneActor(report(1, (), failure="disk full"), late=0), SETTINGS)
    assert [group.failed for group in cluster.groups()] == [True]
    assert cluster.nodes()[0].failed_s is not None


class ControlledRay(FakeRay):
    """A Ray whose control answers; `left` counts those that left it."""

    def __init__(self):
        super().__init__()
        self.left = 0

    def remote(self, _):
        actor = SimpleNamespace(
            beat=SimpleNamespace(remote=lambda _: frozenset()),
            leave=SimpleNamespace(remote=self._leave),
        )
        made = SimpleNamespace(remote=lambda: actor)
        return SimpleNamespace(options=lambda **_: made)

    def _leave(self, _):
        self.left += 1

    def get(self, answer, timeout=None):
        return answer


@pytest.mark.parametrize(
    ("raised", "left"),
    [(None, 1), (ValueError("a bug"), 1), (KeyboardInterrupt(), 1), (RayError("gone"), 0)],
)
def test_a_supervisor_leaves_its_control_however_it_ends(raised, left):
    ray = ControlledRay()
    expected = pytest.raises(type(raised)) if raised is not None else nullcontext()
    with expected, controlling(ray):
        if raised is not None:
            raise raised
    assert ray.left == left


def test_an_error_of_ray_is_one_line_with_the_code_of_engines():
    expected = pytest.raises(EngineError, match="does not answer \\(timed out\\)")
    with expected as caught, cluster_errors(FakeRay()):
        raise RayError("timed out\nwith more lines")
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
