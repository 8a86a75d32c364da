"""A proxy before the page: it speaks TLS, serves the page under a path, and says who asked."""

import contextlib
import socket
import ssl
import threading

HEAD_END = b"\r\n\r\n"


@contextlib.contextmanager
def proxying(listener, port, certificate, stripped=""):
    """Hand on what comes to `listener` to `port`, without the path `stripped`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    accepting = threading.Thread(
        target=_accept, args=(listener, port, context, stripped), daemon=True
    )
    accepting.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def _accept(listener, port, context, stripped):
    with contextlib.suppress(OSError):
        while True:
            raw, _ = listener.accept()
            threading.Thread(
                target=_carry, args=(raw, port, context, stripped), daemon=True
            ).start()


def _carry(raw, port, context, stripped):
    """One request, or one websocket."""
    with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as outer:
        data = b""
        while HEAD_END not in data:
            if not (piece := outer.recv(1 << 16)):
                return
            data += piece
        head, _, body = data.partition(HEAD_END)
        lines = [line for line in head.split(b"\r\n") if line.lower() != b"connection: keep-alive"]
        lines[0] = lines[0].replace(f" {stripped}/".encode(), b" /", 1)
        lines += [b"X-Forwarded-For: 203.0.113.7"]
        lines += [] if any(b"upgrade" in line.lower() for line in lines) else [b"Connection: close"]
        with socket.create_connection(("127.0.0.1", port)) as inner:
            inner.sendall(b"\r\n".join(lines) + HEAD_END + body)
            back = threading.Thread(target=_pour, args=(inner, outer), daemon=True)
            back.start()
            _pour(outer, inner)
            back.join()


def _pour(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
