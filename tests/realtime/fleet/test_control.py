"""The control: one supervisor at a time, and nodes that should be emptied."""

from microspot.realtime.fleet.control import SILENCE_S, Control


def test_one_supervisor_works_at_a_time_and_another_follows_its_silence():
    now = [100.0]
    control = Control()
    control.clock = lambda: now[0]
    assert not control.supervised()
    assert control.beat("one") == frozenset()
    assert control.supervised()
    assert control.beat("two") is None
    now[0] += SILENCE_S - 0.1
    assert control.beat("two") is None
    now[0] += 0.1
    assert not control.supervised()
    assert control.beat("two") == frozenset()
    assert control.beat("one") is None
    control.leave("one")
    assert control.supervised()
    control.leave("two")
    assert not control.supervised()
    assert control.beat("one") == frozenset()


def test_nodes_are_drained_until_it_is_undone():
    control = Control()
    control.drain(["a", "b"])
    assert control.beat("one") == control.draining() == {"a", "b"}
    control.drain(["b"], undo=True)
    assert control.beat("one") == {"a"}
