"""Who may come in, decided at start."""

import pytest

from microspot.demo.access.binding import Binding, read_password
from microspot.realtime.errors import UsageError

PASSWORD = "correct horse"

REFUSED = [
    ({"host": "0.0.0.0"}, "password"),  # others reach it: who are they?
    ({"host": "192.168.1.5", "password": PASSWORD}, "clear"),
    ({"behind_proxy": True}, "password"),
    ({"behind_proxy": True, "password": PASSWORD}, "--name"),
    ({"host": "0.0.0.0", "tls": True, "password": PASSWORD}, "--name"),
    ({"password": "short"}, "characters"),
    (
        {"name": "lab.example/spot", "host": "0.0.0.0", "tls": True, "password": PASSWORD},
        "behind-proxy",
    ),
    *(
        ({"name": name, "behind_proxy": True, "password": PASSWORD}, words)
        for name, words in [
            ("https://lab.example", "HOST"),
            ("me@lab.example", "HOST"),
            ("lab.example/a b", "HOST"),
            ("lab.example/../spot", "HOST"),
            ("lab.example//spot", "HOST"),
            ("lab.example/spot?x=1", "HOST"),
            ("lab.example:port", "HOST"),
            ("läb.example", "HOST"),
            ("", "HOST"),
            ("lab.example/demo/spot", "another path"),
            ("lab.example/assets", "another path"),
        ]
    ),
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
    (
        {"host": "0.0.0.0", "tls": True, "password": PASSWORD, "name": "lab.example"},
        "https://lab.example:7860",
    ),
    ({"behind_proxy": True, "password": PASSWORD, "name": "lab.example"}, "https://lab.example"),
    (
        {"behind_proxy": True, "password": PASSWORD, "name": "lab.example:8443/a/spot/"},
        "https://lab.example:8443",
    ),
]


@pytest.mark.parametrize(("options", "origin"), ORIGINS)
def test_the_page_may_be_called(options, origin):
    assert origin in Binding(**options).origins(7860)


@pytest.mark.parametrize(
    ("name", "root"),
    [("lab.example", ""), ("lab.example/", ""), ("lab.example/a/spot/", "/a/spot")],
)
def test_a_name_may_say_under_which_path_the_page_lies(name, root):
    binding = Binding(name=name, behind_proxy=True, password=PASSWORD)
    assert binding.root == root
    assert binding.public == f"https://lab.example{root}"


def test_only_a_name_that_is_ours_alone_is_told_to_come_by_https_for_a_year():
    assert Binding(host="192.168.1.5", tls=True, password=PASSWORD).strict
    assert not Binding(tls=True).strict  # localhost is every program's
    assert not Binding(
        behind_proxy=True, name="lab.example/spot", password=PASSWORD
    ).strict  # the proxy may say so


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
