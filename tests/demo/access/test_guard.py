"""The gate: a wrong host or origin, or no password, reaches no route and no websocket."""

import urllib.parse

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from microspot.demo.access.guard import GRADIO_FOLDERS, GRADIO_PATHS, Guard
from tests.demo.serving import ask, connect_page, serving, until

PASSWORD = "correct horse"
SOCKETS = ("live", "camera", "analyse")
OWN_PATHS = (
    "/demo/static/live.js",
    "/demo/result/token/report.html",
    "/demo/review/token/",
    "/demo/model-card",
    "/demo/overlay",
    "/demo/nothing",
)
GRADIO_SHUT = (
    "/gradio_api/upload",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/proxy=http://example.org/",
    "/gradio_api/run/x",
    "/gradio_api/call/x",
    "/gradio_api/queue/join",
    "/gradio_api/vibe-edit",
    "/monitoring",
    "/login",
    "/docs",
)


@pytest.fixture(scope="module")
def closed():
    with serving(password=PASSWORD, login_first_s=0.05) as port:
        yield port


@pytest.fixture(scope="module")
def open_port():
    with serving(sources=["sample"]) as port:
        yield port


@pytest.mark.parametrize("path", [*GRADIO_PATHS, *GRADIO_FOLDERS, *GRADIO_SHUT, *OWN_PATHS])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_route_is_reached_without_the_password(closed, path, method):
    status, headers, _ = ask(closed, path, method, Origin=f"http://127.0.0.1:{closed}")
    assert status == 401
    assert "default-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize("path", SOCKETS)
def test_no_websocket_is_reached_without_the_password(closed, path):
    with pytest.raises(InvalidStatus), connect_page(closed, path):
        pass


def test_the_password_opens_every_door_and_a_wrong_one_none(closed):
    own = {
        "Origin": f"http://127.0.0.1:{closed}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    status, headers, _ = ask(closed, "/", Accept="text/html")
    assert (status, headers["location"]) == (303, "/demo/login")
    status, _, text = ask(closed, "/demo/login")
    assert status == 200
    assert b"password" in text
    assert ask(closed, "/demo/login", "POST", "password=wrong", **own)[0] == 401
    form = urllib.parse.urlencode({"password": PASSWORD})
    assert (
        ask(closed, "/demo/login", "POST", form, **(own | {"Origin": "http://evil.example"}))[0]
        == 403
    )
    status, headers, _ = ask(closed, "/demo/login", "POST", form, **own)
    assert status == 303
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=strict" in headers["set-cookie"]
    cookie = headers["set-cookie"].partition(";")[0]
    assert ask(closed, "/demo/static/live.js", Cookie=cookie)[0] == 200
    with connect_page(closed, "live", headers={"Cookie": cookie}) as socket:
        assert until(socket, "start")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_another_host_is_turned_away(open_port, host):
    assert ask(open_port, "/demo/static/live.js", Host=host)[0] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}"]
)
def test_another_origin_is_turned_away(open_port, origin):
    origin = origin.format(port=open_port)
    assert ask(open_port, "/demo/static/live.js", Origin=origin)[0] == 403
    url = f"ws://127.0.0.1:{open_port}/demo/live"
    with pytest.raises(InvalidStatus), connect(url, additional_headers={"Origin": origin}):
        pass


def test_a_websocket_without_an_origin_is_turned_away(open_port):
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{open_port}/demo/live"):
        pass


def test_localhost_is_this_machine_too(open_port):
    assert ask(open_port, "/demo/static/live.js", Host=f"localhost:{open_port}")[0] == 200


@pytest.mark.parametrize("path", GRADIO_SHUT)
def test_what_the_page_does_not_need_of_gradio_is_shut(open_port, path):
    own = f"http://127.0.0.1:{open_port}"
    assert ask(open_port, path, Origin=own)[0] == 404
    assert ask(open_port, path, "POST", Origin=own)[0] == 404


def test_a_static_path_does_not_climb(open_port):
    assert ask(open_port, "/demo/static/../app.py")[0] == 404
    assert ask(open_port, "/demo/static/%2e%2e/app.py")[0] == 404


def test_the_guard_stands_outside_everything():
    with serving() as port:
        assert ask(port, "/demo/model-card")[0] == 200
    from microspot.demo.access.binding import Binding
    from microspot.demo.app import build
    from microspot.demo.views.pipeline_run import PipelineSetup
    from microspot.realtime.config import Settings
    from tests.fakes import engine_set

    application = build(PipelineSetup.checked(engine_set, Settings()), [], Binding(), 1, page=False)
    assert isinstance(application, Guard)
