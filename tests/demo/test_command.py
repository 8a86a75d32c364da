"""The command as users start it: how soon its page comes, behind its password; whom it calls."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse

import pytest

from tests.demo.serving import ask

pytest.importorskip("gradio", reason="gradio is not installed: pip install '.[demo]'")
PASSWORD = "correct horse"
# The command, telling on standard error of every address that it looks up or connects to.
LISTENED = """
import sys
CALLS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")
def hook(event, given):
    if event in CALLS:
        print("called", given, file=sys.stderr)
sys.addaudithook(hook)
from microspot.demo.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(port, headers of who has logged in, file of the command's standard error)."""
    began = time.monotonic()
    log = tmp_path_factory.mktemp("log") / "stderr"
    command = [sys.executable, "-c", LISTENED, "--port", "0", "--source", "sample"]
    surroundings = os.environ | {"MICROSPOT_DEMO_PASSWORD": PASSWORD}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=surroundings
        ) as process,
    ):
        port = int(re.search(r":(\d+)", process.stdout.readline())[1])
        form = urllib.parse.urlencode({"password": PASSWORD})
        own = f"http://127.0.0.1:{port}"
        _, answer, _ = ask(port, "/demo/login", "POST", form, Origin=own)
        login = {"Cookie": answer["set-cookie"].partition(";")[0]}
        assert ask(port, "/", **login)[0] == 200
        print(f"\ncold start to a served page: {time.monotonic() - began:.1f} s")
        yield port, login, log
        process.send_signal(signal.SIGINT)


def test_the_page_is_gradios_with_our_three_tabs_and_only_behind_the_password(served):
    port, login, _ = served
    page = ask(port, "/", **login)[2].decode()
    for tab in ("live", "camera", "analyse"):
        assert f"/demo/static/{tab}.js" in page
    assert ask(port, "/")[0] == 401
    assert ask(port, "/config")[0] == 401


def test_analytics_are_off_and_nobody_is_called(served):
    port, login, log = served
    assert b'"analytics_enabled":false' in ask(port, "/config", **login)[2].replace(b" ", b"")
    assert "called" not in log.read_text()
