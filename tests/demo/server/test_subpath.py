"""Behind a proxy, under a path of its host: all that the page asks for lies under that path."""

import socket
import urllib.parse

import pytest

from microspot.demo.access.binding import Binding
from tests.demo.conftest import MOUNTED, SLOW_MS, foreign
from tests.demo.proxy import proxying
from tests.demo.serving import ask, serving

PASSWORD = "correct horse"
ROOT = "/lab/spot"
PROXIED = Binding(port=0, name=f"lab.example{ROOT}", behind_proxy=True, password=PASSWORD)
OWN = {"Host": "lab.example", "Origin": "https://lab.example"}


@pytest.fixture(scope="module")
def port():
    with serving(binding=PROXIED, login_first_s=0.01) as port:
        yield port


def log_in(port, path):
    form = urllib.parse.urlencode({"password": PASSWORD})
    return ask(port, path, "POST", form, **OWN)


@pytest.mark.parametrize("prefix", ["", ROOT])
def test_a_proxy_may_hand_the_path_on_or_keep_it(port, prefix):
    status, headers, _ = ask(port, f"{prefix}/", Accept="text/html", **OWN)
    assert (status, headers["location"]) == (303, f"{ROOT}/demo/login")
    status, headers, _ = log_in(port, f"{prefix}/demo/login")
    assert (status, headers["location"]) == (303, f"{ROOT}/")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert f"Path={ROOT}" in attributes
    assert "Secure" in attributes
    assert ask(port, f"{prefix}/demo/static/live.js", Cookie=cookie, **OWN)[0] == 200
    assert ask(port, f"{prefix}/demo/static/live.js", **OWN)[0] == 401
    assert ask(port, f"{prefix}/gradio_api/upload", Cookie=cookie, **OWN)[0] == 404


def test_the_path_without_its_end_leads_to_it_and_another_nowhere(port):
    cookie = log_in(port, "/demo/login")[1]["set-cookie"].partition(";")[0]
    status, headers, _ = ask(port, ROOT, Cookie=cookie, **OWN)
    assert (status, headers["location"]) == (303, f"{ROOT}/")
    for path in (
        "/lab",
        "/lab/",
        "/lab/spotted/demo/static/live.js",
        f"{ROOT}{ROOT}/demo/static/live.js",
    ):
        assert ask(port, path, Cookie=cookie, **OWN)[0] == 404


def test_in_a_browser_everything_lies_under_the_path(launch, certificate):
    pytest.importorskip("gradio", reason="gradio is not installed: pip install '.[demo]'")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        binding = Binding(port=0, name=f"{host}{ROOT}", behind_proxy=True, password=PASSWORD)
        with (
            serving(binding=binding, page=True, sources=["sample:synthetic:7"]) as port,
            proxying(listener, port, certificate, ROOT),
        ):
            context = launch().new_context(ignore_https_errors=True)
            try:
                under(context.new_page(), f"https://{host}{ROOT}/")
            finally:
                context.close()


def under(page, address):
    """Log in, watch a source, log out; nothing outside the path is asked for."""
    asked = []
    troubles = []
    page.set_default_timeout(SLOW_MS)
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url.replace("wss", "https", 1)))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("tab", name="Camera").click()
    page.wait_for_function(MOUNTED["Camera"])
    page.get_by_role("button", name="Watch").click()
    page.wait_for_function(
        "Number(document.querySelectorAll('[data-fact=scored]')[1].textContent) > 0"
    )
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Password").wait_for()
    page.goto(address)
    page.get_by_label("Password").wait_for()  # the browser is a stranger again
    for url in asked:
        foreign(url, address, troubles)
        assert urllib.parse.urlparse(url).path.startswith(f"{ROOT}/") or url.startswith(
            ("data:", "blob:")
        )
    assert any("/demo/camera" in url for url in asked)
    assert troubles == []
