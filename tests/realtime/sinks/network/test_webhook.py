"""A webhook gets every final event, in order, whatever becomes of it and of us meanwhile."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sqlite3
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from microspot.engines.errors import UsageError
from microspot.realtime.commands.watch_steps import check_keep
from microspot.realtime.sinks.network import delivery, spool, spooled
from microspot.realtime.sinks.network.delivery import Answer, Delivery
from microspot.realtime.sinks.network.secret import read_secret
from microspot.realtime.sinks.network.signing import VARIABLE
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.watch import follow
from tests.realtime.sinks.test_sinks import START, event
from tests.realtime.test_watch import FakeRecords

SECRET = "sixteen bytes or more"


def certificate(folder: Path) -> tuple[Path, Path]:
    """(chain, key) of a certificate for localhost that nobody signed."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("no openssl: a certificate cannot be made")
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-days", "2", "-out", str(chain), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return chain, key


class Receiver:
    """A web server that keeps what it is sent and answers as it is told.

    answers: status codes to give next, the last one for ever; a negative one takes the event and
    closes the connection without an answer.
    """

    def __init__(self, port: int = 0) -> None:
        self.answers = [200]
        self.taken: list[dict[str, Any]] = []
        self.requests: list[tuple[dict[str, str], bytes, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), body, self.path))
                answers = receiver.answers
                code = answers.pop(0) if len(answers) > 1 else answers[0]
                if code < 300:
                    receiver.taken.append(json.loads(body))
                if code < 0:
                    self.close_connection = True
                    return
                self.send_response(code)
                self.send_header("Content-Length", "0")
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?lab=1"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _spools_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_PAUSE_S", 0.05)


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_final_events_come_as_json_with_their_id_and_signature(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MICROSPOT_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("MICROSPOT_WEBHOOK_TOKEN", "t0ken")
    with open_sink(receiver.address) as sink:
        for record in (START, event("a", "provisional"), event("a"), event("b", "withdrawn")):
            sink.take(record)
    assert receiver.taken == [event("a")]
    ((headers, body, path),) = receiver.requests
    assert path == "/hook?lab=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "a"
    assert headers["Authorization"] == "Bearer t0ken"
    stamp = headers["X-Microspot-Timestamp"]
    assert abs(int(stamp) - time.time()) < 60
    expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Microspot-Signature"] == f"sha256={expected}"


def test_events_are_never_unsigned_once_they_were_signed(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    monkeypatch.setenv(f"{VARIABLE}_FILE", str(file))
    with open_sink(receiver.address) as sink:
        monkeypatch.delenv(f"{VARIABLE}_FILE")
        with pytest.raises(UsageError, match=f"{VARIABLE} is gone"):
            sink.reload()
        sink.take(event("a"))
    ((headers, body, _),) = receiver.requests
    signed = f"{headers['X-Microspot-Timestamp']}.".encode() + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Microspot-Signature"] == f"sha256={expected}"


def test_events_wait_while_the_other_side_is_away_and_come_in_order(receiver: Receiver) -> None:
    receiver.answers = [503, 500, 404, 302, 429, 200]
    with open_sink(receiver.address) as sink:
        for i in range(20):
            sink.take(event(f"e{i}"))
        wait_for(lambda: len(receiver.taken) == 20)
    assert ids(receiver.taken) == [f"e{i}" for i in range(20)]
    assert {path for _, _, path in receiver.requests} == {"/hook?lab=1"}, "no redirection"


def test_a_lost_answer_brings_the_event_again_under_the_same_id(receiver: Receiver) -> None:
    receiver.answers = [-1, 200]
    with open_sink(receiver.address) as sink:
        sink.take(event("a"))
        sink.take(event("b"))
        wait_for(lambda: len(receiver.taken) == 3)
    assert Counter(ids(receiver.taken)) == {"a": 2, "b": 1}


def test_a_later_run_sends_what_an_earlier_one_could_not(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled, "CLOSING_S", 0.05)
    port = receiver.port
    address = receiver.address
    receiver.close()
    sink = open_sink(address)
    for i in range(3):
        sink.take(event(f"e{i}"))
    sink.close()
    assert (
        sink.remark
        == f"3 events wait for http://127.0.0.1:{port}/hook?***: the next run sends them"
    )
    back = Receiver(port)
    try:
        with open_sink(address) as again:
            again.take(event("e1"))  # watched again: it waits already
            again.take(event("e3"))
            wait_for(lambda: len(back.taken) == 4)
        assert again.remark == ""
    finally:
        back.close()
    assert ids(back.taken) == ["e0", "e1", "e2", "e3"]


def test_a_run_that_is_killed_leaves_its_events_in_the_spool(receiver: Receiver) -> None:
    receiver.answers = [503]
    sink = open_sink(receiver.address)
    sink.take(event("a"))
    copy = spool.Spool(receiver.address)  # as a later run opens it, the sink still open
    waiting = copy.oldest()
    assert waiting is not None
    assert (waiting.id, json.loads(waiting.body)) == ("a", event("a"))
    receiver.answers = [200]
    wait_for(lambda: receiver.taken)
    copy.close()
    sink.close()


def test_what_is_refused_for_good_holds_nothing_up_and_is_told(receiver: Receiver) -> None:
    receiver.answers = [422, 200]
    sink = open_sink(receiver.address)
    outcome = follow(FakeRecords(), [sink])
    assert receiver.taken == []
    assert (
        f"http://127.0.0.1:{receiver.port}/hook?*** refused 1 events for good" in outcome.warnings
    )


def test_what_was_taken_is_in_no_byte_of_the_spool(receiver: Receiver, tmp_path: Path) -> None:
    with open_sink(receiver.address) as sink:
        for i in range(30):
            sink.take(event(f"garden-{i}", detail="garden " * 100))
    assert len(receiver.taken) == 30
    (file,) = (tmp_path / "state").rglob("*.spool*")
    assert b"garden" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert str(receiver.port) not in file.name


def test_what_waits_is_forgotten_and_kept_for_days(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled, "CLOSING_S", 0.01)
    receiver.answers = [503]
    with open_sink(receiver.address) as sink:
        sink.take(event("a", source="garden-cam"))
        sink.take(event("b"))
    assert spool.forget({"garden-cam", "other"}) == 1
    (file,) = (tmp_path / "state").rglob("*.spool")
    assert b"garden" not in file.read_bytes()
    assert spool.drop_older(file, 30).events == 0
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE queue SET recorded_utc = '2026-01-01T00:00:00Z'")
        connection.commit()
    with open_sink(receiver.address, keep_days=30):
        pass
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM queue").fetchone() == (0,)
    check_keep(30, [receiver.address])


def test_a_server_that_cannot_prove_who_it_is_gets_nothing(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    address = f"https://localhost:{receiver.port}/hook"
    monkeypatch.setattr(spooled, "CLOSING_S", 0.2)
    with open_sink(address) as sink:
        sink.take(event("a"))
    assert receiver.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    monkeypatch.setattr(spooled, "CLOSING_S", 30)
    with open_sink(address):
        pass
    assert ids(receiver.taken) == ["a"]


def test_a_spool_that_fails_ends_the_run() -> None:
    class Broken:
        def oldest(self) -> Any:
            raise UsageError("broken")

    made = Delivery(Broken(), lambda _: Answer.TAKEN, 0.1)  # type: ignore[arg-type]
    made._thread.join(10)
    with pytest.raises(UsageError, match="broken"):
        made.wake()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://lab.example/hook", "by https alone"),
        ("https://user:pass@lab.example/hook", "MICROSPOT_WEBHOOK_TOKEN"),
        ("https:///hook", "no host"),
        ("https://lab.example:port/hook", "--out"),
    ],
)
def test_an_address_that_events_may_not_go_to_is_refused(address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        open_sink(address)
    assert "pass" not in str(caught.value).replace("password", "")


def test_an_address_may_stand_in_the_environment(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.address)
    with open_sink("env:HOOK") as sink:
        assert sink.note == f"sending events to http://127.0.0.1:{receiver.port}/hook?***"
        sink.take(event("a"))
    assert ids(receiver.taken) == ["a"]


def test_a_secret_is_long_and_may_stand_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_secret(VARIABLE) is None
    monkeypatch.setenv("MICROSPOT_WEBHOOK_SECRET", "short")
    with pytest.raises(UsageError, match="16 bytes or more"):
        read_secret(VARIABLE)
    monkeypatch.setenv("MICROSPOT_WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_secret(VARIABLE)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    assert read_secret(VARIABLE) == SECRET.encode()


def test_events_that_wait_for_an_address_of_the_environment_may_be_deleted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK", "https://example.invalid/events")
    check_keep(30, ["env:HOOK"])
    check_keep(30, ["events.DB"])
    with pytest.raises(UsageError, match=r"add --out events\.db"):
        check_keep(30, ["events.csv", "ws:127.0.0.1:0", "httpd.csv"])
