"""A running demo in a thread, without Gradio, and a page that speaks its protocol.

To import Gradio takes seconds.
"""

import contextlib
import http.client
import json
import socket as sockets
import struct
import threading
import time

import cv2
import numpy as np
from websockets.sync.client import connect

from microspot.demo.access.binding import Binding
from microspot.demo.app import build
from microspot.demo.limits import Limits
from microspot.demo.server.serve import listen, server
from microspot.demo.views.pipeline_run import THREAD, PipelineSetup
from microspot.realtime.config import Settings
from microspot.realtime.overlay.event_text import caption, confounder_words, movement_words
from tests.fakes import engine_set

GREY = np.full((48, 64, 3), 90, np.uint8)
TIMEOUT_S = 60


@contextlib.contextmanager
def serving(
    load=engine_set, sources=(), password=None, page=False, binding=None, tls=None, **limits
):
    """The port of a demo that is up; gone, with all its threads, afterwards."""
    bounds = Limits(**limits)
    binding = binding or Binding(port=0, password=password)
    setup = PipelineSetup.checked(load, Settings())
    with listen(binding) as listener:
        port = listener.getsockname()[1]
        application = build(setup, sources, binding, port, limits=bounds, page=page)
        running = server(application, bounds, tls)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_for(lambda: running.started)
        try:
            yield port
        finally:
            running.should_exit = True
            thread.join(TIMEOUT_S)
            wait_for(lambda: not at_work())


def at_work():
    """Names of the threads of all runs."""
    return [t.name for t in threading.enumerate() if t.name.startswith((THREAD, "feed "))]


def wait_for(condition):
    """Until `condition()` is true; fails the test when that takes too long."""
    until = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
    return found


def connect_page(port, path, **options):
    """A websocket as the page opens it."""
    headers = options.pop("headers", {}) | {"Origin": f"http://127.0.0.1:{port}"}
    return connect(
        f"ws://127.0.0.1:{port}/demo/{path}",
        additional_headers=headers,
        compression=None,
        max_size=None,
        open_timeout=TIMEOUT_S,
        **options,
    )


def drop_connection(page):
    """The page's process is gone: no goodbye."""
    page.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    page.socket.shutdown(sockets.SHUT_RDWR)


@contextlib.contextmanager
def raw_connections(port, data, times=1):
    """Connections that have sent `data` and say no more."""
    opened = []
    try:
        for _ in range(times):
            opened.append(sockets.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S))
            opened[-1].sendall(data if isinstance(data, bytes) else data.encode())
        yield opened
    finally:
        for one in opened:
            one.close()


def answered(one):
    """Whether something came from the server, or its end of the connection."""
    one.setblocking(False)
    try:
        one.recv(1, sockets.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def ended(one):
    """Whether the server has ended a connection; takes what it said before."""
    one.setblocking(False)
    try:
        while one.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def ask(port, path, method="GET", body=None, **headers):
    """(status, headers, bytes) of one request, its headers as given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def messages(socket):
    """What the server says, JSON as dictionaries, pictures as bytes."""
    while True:
        data = socket.recv(timeout=TIMEOUT_S)
        yield data if isinstance(data, bytes) else json.loads(data)


def until(socket, kind, **values):
    """The next message of a type (with these values) and everything before it."""
    before = []
    for message in messages(socket):
        if (
            isinstance(message, dict)
            and message["type"] == kind
            and values.items() <= message.items()
        ):
            return message, before
        before.append(message)
    raise AssertionError(kind)


def jpeg(image=GREY):
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def frame(seq, captured_us, data=None):
    return struct.pack("<QII", captured_us, seq, 0) + (jpeg() if data is None else data)


def send_json(socket, **message):
    socket.send(json.dumps(message))


def worded(event):
    """The message of an event's record: with its words, as the page shows them."""
    beside = [words for words in (movement_words(event), confounder_words(event)) if words]
    return event | {"caption": caption(event), "beside": ", ".join(beside)}
