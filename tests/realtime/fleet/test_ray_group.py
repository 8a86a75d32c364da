"""The supervisor's end of an actor: what it asks, how often, and what it makes of the answers.

A stand-in for Ray answers at once, later, or not at all.
"""

import time
from types import SimpleNamespace

import pytest

from microspot.realtime.fleet.camera_group import GroupReport
from microspot.realtime.fleet.cluster import CameraWanted
from microspot.realtime.fleet.ray_group import RayGroup
from microspot.realtime.meter import Figures

ONE, TWO, THREE = (CameraWanted(name, "0") for name in ("one", "two", "three"))


class RayError(Exception):
    pass


class DiedError(RayError):
    pass


class TooManyError(RayError):
    pass


class FakeRay:
    """Calls are kept in order with their answers, None while there is none."""

    exceptions = SimpleNamespace(
        RayError=RayError, ActorDiedError=DiedError, PendingCallsLimitExceeded=TooManyError
    )

    def __init__(self):
        self.calls = []
        self.full = False
        self.killed = False

    def actor(self):
        def method(name):
            def remote(*arguments):
                if self.full:
                    raise TooManyError
                call = SimpleNamespace(name=name, arguments=arguments, answer=None)
                self.calls.append(call)
                return call

            return SimpleNamespace(remote=remote)

        return SimpleNamespace(**{name: method(name) for name in ("change", "report", "close")})

    def wait(self, calls, timeout):
        assert timeout == 0
        return [call for call in calls if call.answer is not None], []

    def get(self, call):
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def kill(self, actor, no_restart):
        self.killed = no_restart

    def names(self):
        return [call.name for call in self.calls]


def report(number, cameras, held=None, **changes):
    held = tuple(camera.name for camera in cameras) if held is None else held
    values = {
        "place": "node",
        "epoch_ns": 1,
        "number": number,
        "cameras": tuple(cameras),
        "held": held,
        "failure": "",
        "silent_s": 0.0,
        "closed": False,
        "ended": {},
        "figures": Figures(),
    }
    return GroupReport(**values | changes)


@pytest.fixture
def ray():
    return FakeRay()


@pytest.fixture
def group(ray):
    made = RayGroup(ray, "group-1", ray.actor(), "node", ())
    made.change((ONE, TWO))
    return made


def test_it_is_alive_once_it_answers_and_one_report_is_under_way(ray, group):
    assert group.state().cameras == (ONE, TWO)
    assert not group.state().alive
    for _ in range(3):
        group.look()
    assert ray.names() == ["change", "report"]
    ray.calls[1].answer = report(1, (ONE, TWO))
    group.look()
    assert group.state().alive
    assert ray.names() == ["change", "report", "report"]


def test_what_it_leaves_is_held_until_it_says_that_it_has_let_go(ray, group):
    group.look()
    ray.calls[-1].answer = report(1, (ONE, TWO))
    group.change((TWO, THREE))
    assert group.state().releasing == ("one",)
    group.look()  # the report is of before the change
    assert group.state().releasing == ("one",)
    ray.calls[-1].answer = report(2, (TWO, THREE), held=("one", "two"))
    group.look()
    assert group.state().releasing == ("one",)
    ray.calls[-1].answer = report(2, (TWO, THREE))
    group.look()
    assert group.state().releasing == ()
    group.change((TWO, THREE, ONE))
    assert group.state().releasing == ()


def test_one_that_was_started_again_is_given_its_cameras(ray, group):
    group.look()
    ray.calls[-1].answer = RayError("unavailable")
    group.look()
    assert not group.state().alive
    ray.calls[-1].answer = report(0, ())
    group.look()
    assert group.state().alive
    again = [call for call in ray.calls if call.name == "change"][-1]
    assert again.arguments == ((ONE, TWO), 1)
    assert ray.names().count("change") == 2


def test_one_that_fails_or_cannot_be_made_says_why_and_is_not_alive(ray, group):
    group.look()
    ray.calls[-1].answer = report(1, (ONE, TWO), failure="disk full")
    seen_s = group.state().last_seen_s
    group.look()
    assert (group.state().alive, group.failure) == (False, "disk full")
    assert group.state().failed
    assert group.state().last_seen_s == seen_s
    ray.calls[-1].answer = DiedError("The actor died\n\nDataError: cannot use /x/events.db")
    group.look()
    assert (group.state().alive, group.failure) == (False, "DataError: cannot use /x/events.db")


def test_it_ends_when_it_has_closed_or_its_time_is_up(ray, group):
    assert not group.ended()
    group.stop(60.0)
    group.stop(60.0)
    assert ray.names() == ["change", "close"]
    assert group.state().stopping
    assert not group.ended()
    ray.calls[-1].answer = "closed"
    assert group.ended()
    hung = RayGroup(ray, "group-2", ray.actor(), "node", ())
    hung.stop(0.01)
    assert not hung.ended()
    time.sleep(0.02)
    assert hung.ended()
    hung.kill()
    assert ray.killed


def test_a_full_queue_of_calls_costs_nothing_but_time(ray, group):
    ray.full = True
    group.change((ONE,))
    group.look()
    group.stop(60.0)
    assert not group.ended()
    ray.full = False
    assert not group.ended()
    assert ray.names() == ["change", "close"]
    group.look()
    group.look()
    ray.calls[-1].answer = report(1, (ONE, TWO))
    stopping = RayGroup.adopted(ray, "group-1", ray.actor(), report(2, (ONE,)))
    assert stopping.state().alive
    stopping.change((ONE, TWO))
    assert ray.calls[-1].arguments == ((ONE, TWO), 3)


def test_one_that_an_earlier_supervisor_closed_is_stopped(ray):
    closed = RayGroup.adopted(ray, "group-1", ray.actor(), report(2, (), closed=True))
    assert closed.state().stopping
    assert closed.ended()


def test_one_that_is_dead_twice_has_failed_and_one_that_is_started_again_has_not(ray, group):
    died = DiedError("The actor died\n\nDataError: cannot use /x/events.db")
    group.look()
    for answer, failed in (
        (died, False),  # the call died with the process
        (RayError("unavailable"), False),
        (died, False),
        (report(1, (ONE, TWO)), False),
        (died, False),
        (died, True),
        (died, True),
    ):
        ray.calls[-1].answer = answer
        group.look()
        assert group.state().failed is failed


def test_before_its_first_round_it_still_starts(ray, group):
    group.look()
    seen_s = group.state().last_seen_s
    ray.calls[-1].answer = report(1, (ONE, TWO), silent_s=None)
    group.look()
    assert not group.state().alive
    assert not group.state().failed
    assert group.state().last_seen_s == seen_s
