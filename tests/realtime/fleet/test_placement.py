"""The rules of placement, over random fleets, and a table of cases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from microspot.realtime.fleet.cluster import CameraWanted, GroupState, Node
from microspot.realtime.fleet.placement import Actions, is_fault, place
from microspot.realtime.fleet.settings import SupervisorSettings

from .told_cluster import ToldCluster

SETTINGS = SupervisorSettings(
    group_size=3,
    starts_per_round=3,
    starts_per_node=2,
    patience_s=5.0,
    start_s=9.0,
    failed_pause_s=20.0,
)
HOSTS = ("north", "south", "east")
MOST_ROUNDS = 60  # in which a fleet must come to rest


def lost(state: GroupState, now_s: float) -> bool:
    limit_s = SETTINGS.patience_s if state.alive else SETTINGS.start_s
    return state.failed or now_s - state.last_seen_s >= limit_s


def failed_within(node: Node, pause_s: float, now_s: float) -> bool:
    return node.failed_s is not None and now_s - node.failed_s < pause_s


def held(state: GroupState) -> set[str]:
    return {camera.name for camera in state.cameras} | set(state.releasing)


class Fleet(RuleBasedStateMachine):
    """Cameras come, go and change; nodes join, drain and die; groups fall silent and fail."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = ToldCluster()
        self.wanted: dict[str, CameraWanted] = {}
        self.count = 0

    @rule(host=st.sampled_from(HOSTS), cameras_max=st.integers(0, 8))
    def join(self, host: str, cameras_max: int) -> None:
        self.count += 1
        node = Node(f"node-{self.count}", host, cameras_max)
        self.cluster.known[node.id] = node

    @rule(numbers=st.sets(st.integers(0, 25), min_size=1), host=st.sampled_from((None, *HOSTS)))
    def want(self, numbers: set[int], host: str | None) -> None:
        for number in sorted(numbers):
            name = f"camera-{number}"
            self.wanted[name] = CameraWanted(name, "rtsp://a/", host)

    @precondition(lambda self: self.wanted)
    @rule(data=st.data())
    def leave_out(self, data: st.DataObject) -> None:
        del self.wanted[data.draw(st.sampled_from(sorted(self.wanted)))]

    @precondition(lambda self: self.wanted)
    @rule(data=st.data(), host=st.sampled_from((None, *HOSTS)), source=st.sampled_from("ab"))
    def wish_otherwise(self, data: st.DataObject, host: str | None, source: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.wanted)))
        self.wanted[name] = CameraWanted(name, f"rtsp://{source}/", host)

    @precondition(lambda self: self.cluster.known)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.cluster.lose(data.draw(st.sampled_from(sorted(self.cluster.known))))

    @precondition(lambda self: self.cluster.known)
    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.cluster.known)))
        self.cluster.known[name] = replace(self.cluster.known[name], draining=True)

    @rule(data=st.data(), seconds=st.integers(0, 6))
    def pass_time(self, data: st.DataObject, seconds: int) -> None:
        self.cluster.now_s += seconds
        names = sorted(self.cluster.states)
        silent = data.draw(st.sets(st.sampled_from(names))) if names else set()
        self.cluster.answer(*silent)

    @precondition(lambda self: self.cluster.states)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self.cluster.fail(data.draw(st.sampled_from(sorted(self.cluster.states))))

    def place(self) -> Actions:
        now_s = self.cluster.now_s
        wanted = tuple(self.wanted.values())
        nodes = self.cluster.nodes()
        groups = self.cluster.groups()
        actions = place(wanted, nodes, groups, SETTINGS, now_s)
        mixer = random.Random(0)
        others = mixer.sample(nodes, len(nodes)), mixer.sample(groups, len(groups))
        assert place(wanted, *others, SETTINGS, now_s) == actions
        return actions

    @rule()
    def round(self) -> None:
        before = dict(self.cluster.states)
        stays = self.must_stay()
        actions = self.place()
        self.cluster.do(actions)
        self.check_budget(actions, before)
        self.check_failed_nodes_come_last(actions, before)
        for name, group in stays.items():
            assert self.cluster.where().get(name) == group, f"{name} was moved without need"
        for part in (*actions.starts, *actions.changes):
            node = self.cluster.known[self.cluster.states[part.group].node_id]
            assert all(camera == self.wanted[camera.name] for camera in part.cameras)
            assert all(camera.host in (None, node.host) for camera in part.cameras)
            assert len(part.cameras) <= SETTINGS.group_size

    def must_stay(self) -> dict[str, str]:
        """The group of each camera that has no need to move."""
        found: dict[str, str] = {}
        for state in self.cluster.groups():
            node = self.cluster.known.get(state.node_id)
            if node is None or node.draining or state.stopping or lost(state, self.cluster.now_s):
                continue
            same = [camera for camera in state.cameras if self.wanted.get(camera.name) == camera]
            found |= {camera.name: state.name for camera in same}
        return found

    def check_budget(self, actions: Actions, before: dict[str, GroupState]) -> None:
        assert len(actions.starts) <= SETTINGS.starts_per_round
        silent = {s.node_id for s in before.values() if lost(s, self.cluster.now_s)}
        starting = Counter(s.node_id for s in self.cluster.groups() if not s.alive)
        for start in actions.starts:
            node = self.cluster.known[start.node_id]
            assert not node.draining
            assert node.id not in silent
            assert starting[node.id] <= SETTINGS.starts_per_node
        emptied = [
            before[name]
            for name in actions.stops
            if (node := self.cluster.known.get(before[name].node_id)) and node.draining
        ]
        assert sum(not lost(s, self.cluster.now_s) for s in emptied) <= SETTINGS.starts_per_round

    def check_failed_nodes_come_last(self, actions: Actions, before: dict[str, GroupState]) -> None:
        now_s = self.cluster.now_s
        free = {node.id: node.cameras_max for node in self.cluster.nodes() if not node.draining}
        for state in self.cluster.groups():
            if state.node_id in free:
                free[state.node_id] -= len(held(state))
        spared = {s.node_id for s in before.values() if lost(s, now_s)}
        sound = [
            node
            for node in self.cluster.nodes()
            if free.get(node.id)
            and node.id not in spared
            and not failed_within(node, SETTINGS.failed_pause_s, now_s)
        ]
        for part in (*actions.starts, *actions.changes):
            node = self.cluster.known[self.cluster.states[part.group].node_id]
            old = before[part.group].cameras if part.group in before else ()
            names = {camera.name for camera in old}
            for camera in part.cameras:
                if camera.name not in names:
                    assert not failed_within(node, SETTINGS.patience_s, now_s)
                    if failed_within(node, SETTINGS.failed_pause_s, now_s):
                        assert not [n for n in sound if camera.host in (None, n.host)]

    @invariant()
    def capacity_is_kept_and_cameras_are_held_once(self) -> None:
        used: Counter[str] = Counter()
        holders = defaultdict(set)
        for state in self.cluster.groups():
            if state.node_id in self.cluster.known:
                used[state.node_id] += len(held(state))
                for name in held(state):
                    holders[name].add(state.name)
        for node in self.cluster.nodes():
            assert used[node.id] <= node.cameras_max
        assert all(len(groups) == 1 for groups in holders.values())

    def teardown(self) -> None:
        """Left alone, it comes to rest with every camera in place that has one."""
        self.cluster.now_s += SETTINGS.patience_s  # no failure is as young as that
        self.cluster.answer()
        for _ in range(MOST_ROUNDS):
            self.round()
            self.cluster.answer()
            self.capacity_is_kept_and_cameras_are_held_once()
        actions = self.place()
        assert not actions.count
        where = self.cluster.where()
        assert set(where) | set(actions.waiting) == set(self.wanted)
        assert not set(where) & set(actions.waiting)
        free = {node.id: node.cameras_max for node in self.cluster.nodes() if not node.draining}
        for state in self.cluster.groups():
            assert state.node_id in free, "a drained node is empty"
            free[state.node_id] -= len(state.cameras)
        for name in actions.waiting:
            host = self.wanted[name].host
            room = [
                node.id
                for node in self.cluster.nodes()
                if free.get(node.id) and host in (None, node.host)
            ]
            assert not room, f"{name} waits although there is room"


TestRandomFleets = Fleet.TestCase
TestRandomFleets.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, derandomize=True
)


def cameras(count: int, host: str | None = None, first: int = 0) -> tuple[CameraWanted, ...]:
    return tuple(
        CameraWanted(f"camera-{i:02}", f"rtsp://{i}/", host) for i in range(first, first + count)
    )


def at_rest(cluster: ToldCluster, wanted: tuple[CameraWanted, ...]) -> Actions:
    """Rounds until nothing is asked for; the last of them."""
    for _ in range(MOST_ROUNDS):
        actions = place(wanted, cluster.nodes(), cluster.groups(), SETTINGS, cluster.now_s)
        cluster.do(actions)
        cluster.answer()
        if not actions.count:
            return actions
    raise AssertionError("it does not come to rest")


def next_actions(cluster: ToldCluster, wanted: tuple[CameraWanted, ...]) -> Actions:
    return place(wanted, cluster.nodes(), cluster.groups(), SETTINGS, cluster.now_s)


def test_cameras_spread_over_the_emptiest_nodes_in_groups() -> None:
    cluster = ToldCluster([Node("a", "north", 10), Node("b", "south", 10)])
    actions = next_actions(cluster, cameras(8))
    assert [(start.node_id, len(start.cameras)) for start in actions.starts] == [
        ("a", 3),
        ("b", 3),
        ("a", 2),
    ]
    assert [start.group for start in actions.starts] == ["group-1", "group-2", "group-3"]
    assert actions.waiting == {}


def test_a_change_of_one_camera_asks_its_group_alone() -> None:
    cluster = ToldCluster([Node("a", "north", 10), Node("b", "south", 10)])
    wanted = cameras(6)
    at_rest(cluster, wanted)
    group = cluster.where()["camera-01"]
    other = replace(wanted[1], source="rtsp://new/")
    actions = next_actions(cluster, (wanted[0], other, *wanted[2:]))
    (change,) = actions.changes
    assert change.group == group
    assert other in change.cameras
    assert actions.count == 1


def test_a_new_camera_takes_a_free_place_of_a_running_group() -> None:
    cluster = ToldCluster([Node("a", "north", 10)])
    at_rest(cluster, cameras(2))
    actions = next_actions(cluster, cameras(3))
    (change,) = actions.changes
    assert change.cameras == cameras(3)
    assert not actions.starts


def test_what_a_dead_node_had_is_placed_in_the_same_round() -> None:
    cluster = ToldCluster([Node("a", "north", 3), Node("b", "south", 6)])
    at_rest(cluster, cameras(6))
    cluster.lose("a")
    actions = next_actions(cluster, cameras(6))
    assert len(actions.stops) == 1
    (start,) = actions.starts
    assert start.node_id == "b"
    assert len(start.cameras) == 3


def test_a_drained_node_lets_go_before_others_take_up() -> None:
    cluster = ToldCluster([Node("a", "north", 3), Node("b", "south", 6)])
    at_rest(cluster, cameras(3, "north"))
    free = cameras(3)
    assert next_actions(cluster, free).count == 1  # the pins are gone, and nothing moves
    cluster.known["a"] = replace(cluster.known["a"], draining=True)
    actions = next_actions(cluster, free)
    assert len(actions.stops) == 1
    assert not actions.starts
    assert set(actions.waiting.values()) == {"until the group that it leaves has let it go"}
    cluster.do(actions)
    assert not next_actions(cluster, free).count  # it has been asked
    cluster.answer()
    (start,) = next_actions(cluster, free).starts
    assert start.node_id == "b"


def test_pinned_cameras_come_first_and_their_host_is_named_where_it_is_away() -> None:
    cluster = ToldCluster([Node("a", "north", 3)])
    wanted = (*cameras(2), *cameras(3, "north", 2), *cameras(1, "west", 5))
    actions = next_actions(cluster, wanted)
    (start,) = actions.starts
    assert {camera.name for camera in start.cameras} == {"camera-02", "camera-03", "camera-04"}
    assert actions.waiting == {
        "camera-00": "for a node that is there and has room",
        "camera-01": "for a node that is there and has room",
        "camera-05": "for host west that is there and has room",
    }


def test_places_of_pinned_cameras_whose_turn_comes_later_are_kept() -> None:
    cluster = ToldCluster([Node("a", "north", 8), Node("b", "south", 8)])
    wanted = (*cameras(8), *cameras(8, "north", 8))
    actions = at_rest(cluster, wanted)
    assert actions.waiting == {}
    assert {cluster.states[cluster.where()[f"camera-{i:02}"]].node_id for i in range(8)} == {"b"}


def test_a_turn_that_comes_later_is_told() -> None:
    cluster = ToldCluster([Node("a", "north", 50)])
    actions = next_actions(cluster, cameras(7))
    assert len(actions.starts) == SETTINGS.starts_per_node
    assert actions.waiting == {"camera-06": "for its turn to start"}
    cluster.do(actions)
    assert not next_actions(cluster, cameras(7)).count  # both still start
    cluster.answer()
    assert len(next_actions(cluster, cameras(7)).starts) == 1


def test_a_camera_that_is_let_go_counts_until_it_is() -> None:
    cluster = ToldCluster([Node("a", "north", 3), Node("b", "south", 9)])
    leaving = ("camera-02",)
    cluster.states["group-1"] = GroupState("group-1", "a", cameras(2), True, 0.0, leaving)
    assert not next_actions(cluster, cameras(3)).count
    (start,) = next_actions(cluster, (*cameras(2), *cameras(1, None, 7))).starts
    assert start.node_id == "b"  # a has no place, and its group none for a fourth
    cluster.known["a"] = replace(cluster.known["a"], cameras_max=30)
    assert not next_actions(cluster, (*cameras(2), *cameras(1, None, 7))).changes


def test_a_running_group_is_filled_with_pinned_cameras_first_and_no_further() -> None:
    cluster = ToldCluster([Node("a", "north", 9)])
    cluster.states["group-1"] = GroupState("group-1", "a", cameras(1), True, 0.0)
    pinned = cameras(1, "north", 8)
    actions = next_actions(cluster, (*cameras(4), *pinned))
    (change,) = actions.changes
    assert change.cameras == (*cameras(1), *pinned, *cameras(1, None, 1))
    assert [start.cameras for start in actions.starts] == [cameras(2, None, 2)]


def test_a_group_that_starts_gets_no_more_cameras() -> None:
    cluster = ToldCluster([Node("a", "north", 9)])
    cluster.states["group-1"] = GroupState("group-1", "a", cameras(1), False, 0.0)
    actions = next_actions(cluster, cameras(2))
    assert not actions.changes
    assert len(actions.starts) == 1


def test_a_drained_node_is_emptied_in_steps() -> None:
    cluster = ToldCluster([Node("a", "north", 30)])
    for i in range(4):
        name = f"group-{i}"
        cluster.states[name] = GroupState(name, "a", cameras(1, None, i), True, 0.0)
    cluster.known["a"] = replace(cluster.known["a"], draining=True)
    assert next_actions(cluster, cameras(4)).stops == ("group-0", "group-1", "group-2")


@pytest.mark.parametrize(
    ("alive", "silence_s", "stopped"),
    [(True, 4.9, False), (True, 5.0, True), (False, 8.9, False), (False, 9.0, True)],
)
def test_a_silent_group_is_given_up_and_its_node_spared(
    alive: bool, silence_s: float, stopped: bool
) -> None:
    cluster = ToldCluster([Node("a", "north", 30), Node("b", "south", 9)])
    cluster.states["group-1"] = GroupState("group-1", "a", cameras(3), alive, 0.0)
    cluster.now_s = silence_s
    cluster.states["group-2"] = GroupState("group-2", "b", cameras(3, None, 6), True, silence_s)
    actions = next_actions(cluster, cameras(9))
    assert bool(actions.stops) is stopped
    (start,) = actions.starts
    assert start.node_id == ("b" if stopped else "a")
    assert {camera.name for camera in start.cameras} == {"camera-03", "camera-04", "camera-05"}


def test_a_group_that_tells_its_failure_is_replaced_at_once_and_elsewhere() -> None:
    cluster = ToldCluster([Node("a", "north", 30), Node("b", "south", 9)])
    cluster.states["group-1"] = GroupState("group-1", "a", cameras(3), False, 0.0)
    cluster.fail("group-1")
    actions = next_actions(cluster, cameras(3))
    assert actions.stops == ("group-1",)
    cluster.do(actions)
    cluster.answer()
    assert [start.node_id for start in next_actions(cluster, cameras(3)).starts] == ["b"]


@pytest.mark.parametrize(
    ("past_s", "other", "node_id"),
    [
        (4.9, False, None),
        (5.0, False, "a"),
        (5.0, True, "b"),
        (19.9, True, "b"),
        (20.0, True, "a"),
    ],
)
def test_a_node_on_which_a_group_failed_is_used_last_for_a_pause(
    past_s: float, other: bool, node_id: str | None
) -> None:
    failed = Node("a", "north", 30, failed_s=0.0)
    full = GroupState("group-1", "b", cameras(3), True, past_s)
    cluster = ToldCluster([failed, Node("b", "south", 9)] if other else [failed])
    if other:
        cluster.states["group-1"] = full
    cluster.now_s = past_s
    starts = next_actions(cluster, cameras(6)).starts
    assert {start.node_id for start in starts} == ({node_id} if node_id else set())


def test_while_a_sound_node_has_room_its_turn_to_start_is_waited_for() -> None:
    nodes = [Node("a", "north", 30, failed_s=0.0), Node("b", "south", 9)]
    cluster = ToldCluster(nodes)
    cluster.now_s = 6.0
    actions = next_actions(cluster, cameras(8))
    assert [start.node_id for start in actions.starts] == ["b", "b"]
    assert set(actions.waiting.values()) == {"for its turn to start"}


def test_what_did_not_come_up_may_be_a_fault_of_its_node() -> None:
    starts = GroupState("group-1", "a", cameras(1), False, 0.0)
    assert [is_fault(starts, SETTINGS, now_s) for now_s in (8.9, 9.0)] == [False, True]
    assert not is_fault(replace(starts, alive=True), SETTINGS, 99.0)
    assert is_fault(replace(starts, failed=True), SETTINGS, 0.0)
    assert not is_fault(replace(starts, node_id=""), SETTINGS, 99.0)


def test_nothing_is_done_before_groups_from_before_have_told_what_they_have() -> None:
    cluster = ToldCluster([Node("a", "north", 30)])
    cluster.states["group-7"] = GroupState("group-7", "", (), False, 0.0)
    actions = next_actions(cluster, cameras(2))
    assert not actions.count
    assert set(actions.waiting.values()) == {"until groups from before have answered"}
    cluster.now_s = SETTINGS.patience_s
    actions = next_actions(cluster, cameras(2))
    assert actions.stops == ("group-7",)
    assert [start.group for start in actions.starts] == ["group-8"]


def test_a_group_of_a_lost_node_is_stopped_once() -> None:
    cluster = ToldCluster([Node("b", "north", 30)])
    cluster.states["group-1"] = GroupState("group-1", "a", cameras(1), True, 0.0)
    assert next_actions(cluster, ()).stops == ("group-1",)
    cluster.states["group-1"] = replace(cluster.states["group-1"], stopping=True)
    assert next_actions(cluster, ()).stops == ()


def test_a_camera_that_two_groups_hold_stays_in_one() -> None:
    cluster = ToldCluster([Node("a", "north", 30)])
    for name in ("group-1", "group-2"):
        cluster.states[name] = GroupState(name, "a", cameras(1), True, 0.0)
    actions = next_actions(cluster, cameras(1))
    assert actions.stops == ("group-2",)
    assert actions.count == 1
