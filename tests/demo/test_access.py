"""Who may come in, decided at start."""

import pytest

from demo.access import Binding, Logins, read_password
from demo.limits import Limits
from realtime.errors import UsageError

PASSWORD = "correct horse"

REFUSED = [
    ({"host": "0.0.0.0"}, "password"),  # others reach it: who are they?
    ({"host": "192.168.1.5", "password": PASSWORD}, "clear"),
    ({"behind_proxy": True}, "password"),
    ({"behind_proxy": True, "password": PASSWORD}, "--name"),
    ({"host": "0.0.0.0", "tls": True, "password": PASSWORD}, "--name"),
    ({"password": "short"}, "characters"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED)
def test_an_open_door_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Binding(**options)


ORIGINS = [
    ({}, "http://localhost:7860"),
    ({}, "http://127.0.0.1:7860"),
    ({"host": "::1"}, "http://[::1]:7860"),
    ({"host": "192.168.1.5", "tls": True, "password": PASSWORD}, "https://192.168.1.5:7860"),
    ({"host": "0.0.0.0", "tls": True, "password": PASSWORD, "name": "lab.example"}, "https://lab.example:7860"),
    ({"behind_proxy": True, "password": PASSWORD, "name": "lab.example"}, "https://lab.example"),
]


@pytest.mark.parametrize(("options", "origin"), ORIGINS)
def test_the_page_may_be_called(options, origin):
    assert origin in Binding(**options).origins(7860)


def test_no_password_is_shown():
    assert PASSWORD not in repr(Binding(password=PASSWORD))


def test_the_password_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("MICROSPOT_DEMO_PASSWORD", raising=False)
    assert read_password(None) is None
    monkeypatch.setenv("MICROSPOT_DEMO_PASSWORD", PASSWORD)
    assert read_password(None) == PASSWORD
    (tmp_path / "word").write_text(f"{PASSWORD}\n")
    assert read_password(tmp_path / "word") == PASSWORD
    (tmp_path / "empty").write_text("\n")
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(UsageError):
            read_password(path)


def test_logins_know_their_tokens_and_forget_the_oldest():
    logins = Logins(PASSWORD, Limits(sessions=2))
    assert logins.enter("wrong") is None
    first, *others = (logins.enter(PASSWORD) for _ in range(3))
    assert not logins.knows(first)
    assert all(logins.knows(token) for token in others)
    assert not logins.knows(None)
    assert not logins.knows("é")
    assert Logins(None, Limits()).enter("") is None
