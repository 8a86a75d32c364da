"""How a cluster is joined or started; a stand-in takes the place of Ray."""

import os
import sys
from types import SimpleNamespace

import pytest

from microspot.realtime.fleet.ray_start import AUTH_MODE, connect


@pytest.fixture
def started(monkeypatch):
    """The arguments of `ray.init`, with the mode that Ray found when it was called."""
    found = {}
    monkeypatch.setitem(
        sys.modules,
        "ray",
        SimpleNamespace(init=lambda **given: found.update(given, mode=os.environ.get(AUTH_MODE))),
    )
    monkeypatch.setenv(AUTH_MODE, "")  # so that it is put back
    monkeypatch.delenv(AUTH_MODE)
    return found


def test_a_cluster_of_our_own_checks_a_token_and_others_are_as_they_are(started, monkeypatch):
    connect("auto")
    assert (started["address"], started["mode"]) == ("auto", None)
    connect(None)
    assert (started["address"], started["mode"]) == ("local", "token")
    monkeypatch.setenv(AUTH_MODE, "disabled")
    connect(None)
    assert started["mode"] == "disabled"
