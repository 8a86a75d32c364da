"""Passwords: the right one is answered at once; wrong ones delay only those who give them."""

import asyncio
import random
import time
import urllib.parse

import pytest
from websockets.exceptions import ConnectionClosed

from microspot.demo.access.backoff import Caller, LoginBackoff, caller
from microspot.demo.access.binding import Binding
from microspot.demo.access.logins import Logins
from microspot.demo.limits import Limits
from tests.demo.serving import (
    TIMEOUT_S,
    answered,
    ask,
    connect_page,
    messages,
    raw_connections,
    serving,
    until,
    wait_for,
)

PASSWORD = "correct horse"
FOR_EVER_S = 3600.0
ONE = Caller("203.0.113.7/32", False)
OTHER = Caller("203.0.113.8/32", False)
PROXY = "127.0.0.1"
HEAD = "POST /demo/login HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\n"
GUESS = HEAD + "Content-Length: 14\r\n\r\npassword=guess"


class Clock:
    """Time that a test moves."""

    now = 1000.0

    def __call__(self):
        return self.now


def log_in(port, password, **headers):
    form = urllib.parse.urlencode({"password": password})
    return ask(
        port, "/demo/login", "POST", form, **({"Origin": f"http://127.0.0.1:{port}"} | headers)
    )


def cookie_of(answer):
    return answer[1]["set-cookie"].partition(";")[0]


def test_the_right_password_does_not_wait_behind_wrong_ones():
    """Those answered late still wait when the right one is in; those beyond the bound do not."""
    waiting = 6
    crowd = 25
    with (
        serving(
            password=PASSWORD,
            login_first_s=FOR_EVER_S,
            login_longest_s=FOR_EVER_S,
            login_waiting=waiting,
        ) as port,
        raw_connections(port, GUESS.format(f"127.0.0.1:{port}"), crowd) as wrong,
    ):
        wait_for(lambda: sum(answered(one) for one in wrong) == crowd - waiting)
        time.sleep(Limits().shared_every_s)
        assert log_in(port, PASSWORD)[0] == 303
        assert sum(answered(one) for one in wrong) == crowd - waiting


def test_where_no_more_can_wait_shared_passwords_are_looked_at_some_time_apart():
    waits = {"login_first_s": FOR_EVER_S, "login_longest_s": FOR_EVER_S, "login_waiting": 1}
    with (
        serving(password=PASSWORD, shared_every_s=FOR_EVER_S, **waits) as port,
        raw_connections(port, GUESS.format(f"127.0.0.1:{port}"), 2) as wrong,
    ):
        wait_for(lambda: sum(answered(one) for one in wrong) == 1)  # the one look in so long
        status, headers, text = log_in(port, PASSWORD)
        assert (status, headers["retry-after"]) == (429, "1")
        assert b"Busy: try again" in text


def test_only_shared_addresses_are_ever_busy_and_not_for_long():
    async def story():
        clock = Clock()
        shared = Caller(PROXY, True)
        backoff = LoginBackoff(Limits(login_waiting=1, shared_every_s=1), clock)
        before = [backoff.busy(shared) for _ in range(2)]
        waiting = asyncio.create_task(backoff.wait(FOR_EVER_S))
        await asyncio.sleep(0)
        full = [backoff.busy(shared) for _ in range(3)]
        own = backoff.busy(ONE)
        clock.now += 1
        later = [backoff.busy(shared) for _ in range(2)]
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return before, full, own, later, backoff.busy(shared)

    before, full, own, later, after = asyncio.run(story())
    assert before == [False, False]
    assert full == [False, True, True]
    assert not own
    assert later == [False, True]
    assert not after


def test_wrong_ones_of_an_address_wait_longer_each_time_and_those_of_others_do_not():
    backoff = LoginBackoff(Limits(login_first_s=1, login_longest_s=5), Clock())
    assert [backoff.count_wrong(ONE) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.count_wrong(OTHER) == 1
    backoff.forget(ONE)
    assert backoff.count_wrong(ONE) == 1


def test_an_address_of_many_wrong_ones_is_refused_for_a_while_and_no_other_is():
    clock = Clock()
    backoff = LoginBackoff(Limits(login_tries=3, login_longest_s=30, login_forget_s=100), clock)
    shared = Caller("127.0.0.1", True)
    for _ in range(3):
        assert not backoff.refused_s(ONE)
        backoff.count_wrong(ONE)
        backoff.count_wrong(shared)
    assert backoff.refused_s(ONE) == 30
    assert not backoff.refused_s(OTHER)
    assert not backoff.refused_s(shared)  # one of many must not shut the others out
    clock.now += 30
    assert not backoff.refused_s(ONE)
    backoff.count_wrong(ONE)
    assert backoff.refused_s(ONE) == 30  # one guess in 30 s
    clock.now += 101
    assert backoff.count_wrong(ONE) == Limits().login_first_s  # forgotten


def test_the_table_of_addresses_is_bounded():
    backoff = LoginBackoff(Limits(login_addresses=10))
    for number in range(1000):
        backoff.count_wrong(Caller(str(number), False))
    assert len(backoff._attempts) == 10
    assert (
        backoff.count_wrong(Caller("999", False)) == 2 * Limits().login_first_s
    )  # the newest are remembered


def test_no_more_than_so_many_wait():
    async def story():
        backoff = LoginBackoff(Limits(login_waiting=2))
        waiting = [asyncio.create_task(backoff.wait(FOR_EVER_S)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await backoff.wait(FOR_EVER_S)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return refused, await backoff.wait(0)

    assert asyncio.run(story()) == (False, True)


CALLERS = [  # peer, X-Forwarded-For, behind a proxy: who it is
    ("203.0.113.7", [], False, ONE),
    ("203.0.113.7", ["198.51.100.1"], False, ONE),  # whoever calls directly may say what it likes
    (
        "203.0.113.7",
        ["198.51.100.1"],
        True,
        Caller("203.0.113.7", True),
    ),  # nor does every peer speak for others
    (PROXY, ["203.0.113.7"], False, Caller(PROXY, True)),
    (PROXY, ["203.0.113.7"], True, ONE),
    (
        PROXY,
        ["198.51.100.1, 203.0.113.7"],
        True,
        ONE,
    ),  # what stands before is the client's own word
    (PROXY, ["198.51.100.1", "203.0.113.7:5000"], True, ONE),
    ("::1", ["[2001:db8::1]:80"], True, Caller("2001:db8::/64", False)),
    ("::ffff:203.0.113.7", [], False, ONE),
    ("2001:db8::5", [], False, Caller("2001:db8::/64", False)),  # a household has all of it
    (PROXY, [], True, Caller(PROXY, True)),
    (PROXY, ["unknown"], True, Caller(PROXY, True)),
    (PROXY, [PROXY], True, Caller(PROXY, True)),
]


@pytest.mark.parametrize(("peer", "told", "behind_proxy", "who"), CALLERS)
def test_an_address_is_believed_only_from_a_proxy_on_this_machine(peer, told, behind_proxy, who):
    headers = [(b"x-forwarded-for", line.encode()) for line in told]
    assert caller({"type": "http", "client": (peer, 1), "headers": headers}, behind_proxy) == who


def test_behind_a_proxy_a_stranger_locks_out_himself_and_dodges_nothing():
    binding = Binding(port=0, name="lab.example", behind_proxy=True, password=PASSWORD)
    own = {"Host": "lab.example", "Origin": "https://lab.example"}
    stranger = {"X-Forwarded-For": "203.0.113.7"}
    owner = {"X-Forwarded-For": "198.51.100.1"}
    with serving(
        binding=binding, login_first_s=0.001, login_tries=3, login_longest_s=FOR_EVER_S
    ) as port:
        assert [log_in(port, "wrong one", **own, **stranger)[0] for _ in range(4)] == [
            401,
            401,
            401,
            429,
        ]
        status, headers, text = log_in(port, PASSWORD, **own, **stranger)
        assert status == 429  # not even looked at: guessing is slow, however many connections guess
        assert int(headers["retry-after"]) > 0
        assert b"your address" in text
        made_up = {"X-Forwarded-For": f"192.0.2.{random.randrange(255)}, 203.0.113.7"}
        assert log_in(port, PASSWORD, **own, **made_up)[0] == 429
        assert log_in(port, PASSWORD, **own, **owner)[0] == 303


def test_an_address_that_sends_heads_first_and_bodies_later_gets_no_more_tries():
    """A client that expects "100 Continue" is told so when its body is waited for."""
    tries = 3
    crowd = 8
    body = b"password=guess"
    binding = Binding(port=0, name="lab.example", behind_proxy=True, password=PASSWORD)
    head = (
        "POST /demo/login HTTP/1.1\r\nHost: lab.example\r\nOrigin: https://lab.example\r\n"
        f"X-Forwarded-For: 203.0.113.7\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    bounds = {"login_first_s": 0.001, "login_tries": tries, "login_longest_s": FOR_EVER_S}
    with serving(binding=binding, **bounds) as port, raw_connections(port, head, crowd) as opened:
        wait_for(lambda: all(answered(one) for one in opened))
        said = []
        for one in opened:
            one.settimeout(TIMEOUT_S)
            one.sendall(body)
        for one in opened:
            with one.makefile("rb") as answer:
                said.append(answer.read().partition(b"\r\n\r\n")[2].split()[1])
    assert (said.count(b"401"), said.count(b"429")) == (tries, crowd - tries)


def test_who_logs_out_is_a_stranger_again_and_what_was_open_ends():
    with serving(password=PASSWORD) as port:
        mine, other = (cookie_of(log_in(port, PASSWORD)) for _ in range(2))
        own = {"Origin": f"http://127.0.0.1:{port}"}
        with (
            connect_page(port, "live", headers={"Cookie": mine}) as page,
            connect_page(port, "live", headers={"Cookie": other}) as stays,
        ):
            until(page, "start")
            assert (
                ask(port, "/demo/logout", Cookie=mine)[0] == 404
            )  # a link does not log anybody out
            assert (
                ask(port, "/demo/logout", "POST", Cookie=mine, Origin="http://evil.example")[0]
                == 403
            )
            status, headers, _ = ask(port, "/demo/logout", "POST", Cookie=mine, **own)
            assert (status, headers["location"]) == (303, "/demo/login")
            assert 'microspot=""' in headers["set-cookie"]
            assert "Max-Age=0" in headers["set-cookie"]
            with pytest.raises(ConnectionClosed) as closed:
                list(messages(page))
            assert closed.value.rcvd.code == 1008
            assert until(stays, "start")
        assert ask(port, "/demo/static/live.js", Cookie=mine)[0] == 401
        assert ask(port, "/demo/static/live.js", Cookie=other)[0] == 200


def test_logins_know_their_tokens_and_forget_the_oldest():
    logins = Logins(PASSWORD, Limits(sessions=2))
    assert logins.log_in("wrong") is None
    first, *others = (logins.log_in(PASSWORD) for _ in range(3))
    assert not logins.knows(first)
    assert all(logins.knows(token) for token in others)
    assert not logins.knows(None)
    assert not logins.knows("é")
    assert logins.log_in("\ud800") is None
    assert Logins(None, Limits()).log_in("") is None
