"""What a source is called: its kind, what to open, and a name that gives no secret away.

Camera URIs carry credentials, names of files may hold characters that no terminal can show, and
names go into logs, events, ids and pages. So the URI is read once, here, and everything downstream
sees the redacted, printable name (`engines.text.redaction`); texts of libraries, which often
quote the URI, pass through `scrub`.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from microspot.engines.text.redaction import (
    HIDDEN,
    printable,
    redact,
    redact_uri,
    secrets_of,
    shown,
)

from ..errors import UsageError
from .capture.device import BY_NAME

__all__ = ["Address", "names_of", "parse", "redact"]

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
_RESERVED = set(":/?#[]@!$&'()*+,;=% ")  # of a URI (RFC 3986, 2.2), and % itself
_SAMPLE = re.compile(r"sample(:synthetic(:\d+)?)?")
_REFUSED = ("401", "unauthorized", "403", "forbidden")


@dataclass(frozen=True)
class Address:
    """`kind` is a key of `open.SOURCES`; `target` is opened and never shown; `name` is shown."""

    kind: str
    target: str = field(repr=False)
    name: str

    def scrub(self, text: str) -> str:
        """`text` as one printable line, without what is hidden of this source.

        That is its URI, user, password and other secrets.
        """
        if self.kind == "stream":
            text = text.replace(self.target, self.name)
            for secret in secrets_of(self.target):
                text = text.replace(secret, HIDDEN)
        return shown(text)


def parse(uri: str) -> Address:
    """The address behind a SOURCE of the command line. Opens nothing.

    A number is a camera unless a file or folder is called so: data sets number their folders, and a
    camera has a path or a name too. A file whose own name begins as `camera:NAME` does is given as
    ./camera:NAME. Raises UsageError for a scheme that is not known, an `env:NAME` that is not set,
    an empty or impossible URI.
    """
    if not uri:
        raise UsageError(
            "the source is empty; give a camera index, URL, video file or folder of images"
        )
    if not _can_be_a_path(uri):
        raise UsageError(f"source {uri}: no file and no address is called so")
    if uri.startswith("env:"):
        return _from_environment(uri)
    if uri == "sample" or uri.startswith("sample:"):
        return _sample(uri)
    if uri.startswith(BY_NAME):
        return _named_camera(uri)
    if _is_camera(uri):
        return Address("camera", uri, uri)
    scheme, found, _ = uri.partition("://")
    if found:
        if scheme.lower() not in STREAM_SCHEMES:
            raise UsageError(
                f"source {redact_uri(uri)}: "
                f"expected one of {', '.join(STREAM_SCHEMES)}, a file or a camera"
            )
        return Address("stream", uri, printable(redact_uri(uri)))
    return _on_disk(uri)


def names_of(uri: str) -> set[str]:
    """What events may call the source of `uri`: itself as it may be shown, and its address's name.

    For a source that may be gone: neither needs to be there.
    """
    names = {printable(redact_uri(uri))}
    with suppress(UsageError):
        names.add(parse(uri).name)
    return names


def is_number(uri: str) -> bool:
    """Whether `uri` is what a camera's index looks like."""
    return uri.isascii() and uri.isdecimal()


def _is_camera(uri: str) -> bool:
    return (is_number(uri) and not os.path.exists(uri)) or uri.startswith("/dev/video")


def _can_be_a_path(uri: str) -> bool:
    try:
        return b"\0" not in os.fsencode(uri)
    except UnicodeEncodeError:  # half of a character, from a program: no command line can give that
        return False


def _on_disk(uri: str) -> Address:
    """A file or folder, there or not.

    Only what is there keeps a name that looks like a URI without its scheme.
    """
    name = printable(Path(uri).name or Path(uri).resolve().name or uri)
    # os.path.isdir, unlike Path.is_dir, raises no error for a path too long or forbidden.
    kind = "folder" if os.path.isdir(uri) else "file"
    return Address(kind, uri, name if os.path.exists(uri) else redact(name))


def _named_camera(uri: str) -> Address:
    if not uri.removeprefix(BY_NAME).strip():
        raise UsageError(f"source {uri}: name a camera, as `microspot cameras` lists them")
    return Address("camera", uri, printable(uri))


def _from_environment(uri: str) -> Address:
    variable = uri.removeprefix("env:")
    value = os.environ.get(variable, "")
    if value.partition("://")[0].lower() not in STREAM_SCHEMES:
        raise UsageError(f"source {uri}: set {variable} to an rtsp, rtsps, http or https URL")
    return Address("stream", value, printable(uri))


def _sample(uri: str) -> Address:
    if not _SAMPLE.fullmatch(uri):
        raise UsageError(
            f"source {uri}: expected sample, sample:synthetic or sample:synthetic:SEED"
        )
    return Address("sample", uri, uri)


def password_advice(uri: str, failure: str) -> str:
    """What to do about a password that `uri` may carry wrongly, given why opening failed; or ""."""
    rest = uri.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    cut_short = "@" in rest and "@" not in authority and ":" in authority  # by / ? or # in it
    password = urllib.parse.unquote(rest.rpartition("@")[0].partition(":")[2])
    refused = any(word in failure.lower() for word in _REFUSED)
    if not cut_short and not (refused and set(password) & _RESERVED):
        return ""
    return (
        "write reserved characters of the password percent-encoded: "
        "/ as %2F, @ as %40, # as %23, % as %25"
    )
