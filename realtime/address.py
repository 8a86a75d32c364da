"""What a source is called: its kind, what to open, and a name that gives no secret away.

Credentials stand in camera URIs, and names go into logs, events, ids and pages. So the URI is read once, here, and
everything downstream sees the redacted name; texts of libraries, which like to quote the URI, pass through `scrub`.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from .errors import UsageError

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
HIDDEN = "***"
_SECRET_KEYS = "pass|passw|passwd|password|pwd|token|key|apikey|api_key|auth|sig|signature|secret"
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)\S*@", re.IGNORECASE)
_VALUE = r"=([^&;/?#\s'\"]+)"
_RESERVED = set(":/?#[]@!$&'()*+,;=% ")  # of a URI (RFC 3986, 2.2), and % itself
_REFUSED = ("401", "unauthorized", "403", "forbidden")
_SECRET_VALUE = re.compile(rf"(?<![a-z0-9])({_SECRET_KEYS}){_VALUE}", re.IGNORECASE)
_HIDDEN_VALUE = re.compile(rf"(?<![a-z0-9])({_SECRET_KEYS}|user|usr|username|login){_VALUE}", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """`kind` is a key of `sources.SOURCES`; `target` is opened and never shown; `name` is shown."""

    kind: str
    target: str = field(repr=False)
    name: str

    def scrub(self, text: str) -> str:
        """`text` without this source's URI, user or password."""
        if self.kind != "stream":
            return text
        text = text.replace(self.target, self.name)
        for secret in _secrets(self.target):
            text = text.replace(secret, HIDDEN)
        return redact(text)


def redact(text: str) -> str:
    """Hide user:password@ (up to the last @: passwords contain them) and secret-looking key=value pairs of URIs."""
    return _HIDDEN_VALUE.sub(rf"\g<1>={HIDDEN}", _USERINFO.sub(rf"\g<1>{HIDDEN}@", text))


def _secrets(uri: str) -> list[str]:
    """Passwords and tokens of `uri`, also decoded, longest first; a user name alone is too common a word to hide."""
    userinfo = uri.partition("://")[2].rpartition("@")[0]
    found = [userinfo, userinfo.partition(":")[2], *(value for _, value in _SECRET_VALUE.findall(uri))]
    return sorted({s for f in found for s in (f, urllib.parse.unquote(f)) if s}, key=len, reverse=True)


def parse(uri: str) -> Address:
    """The address behind a SOURCE of the command line. Opens nothing.

    Raises UsageError for a scheme that is not known, an `env:NAME` that is not set, or an empty URI.
    """
    if not uri:
        raise UsageError("the source is empty; give a camera index, URL, video file or folder of images")
    if uri.startswith("env:"):
        return _from_environment(uri)
    if uri == "sample" or uri.startswith("sample:"):
        return _sample(uri)
    if uri.isdecimal() or uri.startswith("/dev/video"):
        return Address("camera", uri, uri)
    scheme, found, _ = uri.partition("://")
    if found:
        if scheme.lower() not in STREAM_SCHEMES:
            raise UsageError(f"source {redact(uri)}: expected one of {', '.join(STREAM_SCHEMES)}, a file or a camera")
        return Address("stream", uri, redact(uri))
    return Address("folder" if Path(uri).is_dir() else "file", uri, Path(uri).name or str(Path(uri).resolve().name))


def _from_environment(uri: str) -> Address:
    variable = uri.removeprefix("env:")
    value = os.environ.get(variable, "")
    if value.partition("://")[0].lower() not in STREAM_SCHEMES:
        raise UsageError(f"source {uri}: set {variable} to an rtsp, rtsps, http or https URL")
    return Address("stream", value, uri)


def _sample(uri: str) -> Address:
    _, *rest = uri.split(":")
    if rest and (rest[0] != "synthetic" or len(rest) > 2 or not all(part.isdecimal() for part in rest[1:])):
        raise UsageError(f"source {uri}: expected sample, sample:synthetic or sample:synthetic:SEED")
    return Address("sample", uri, uri)


def password_advice(uri: str, failure: str) -> str:
    """What to do about a password that `uri` does not carry as it should, given why opening failed; "" if it may."""
    rest = uri.partition("://")[2]
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    cut = "@" in rest and "@" not in authority and ":" in authority  # a / ? or # in the password ended it
    password = urllib.parse.unquote(rest.rpartition("@")[0].partition(":")[2])
    refused = any(word in failure.lower() for word in _REFUSED) and set(password) & _RESERVED
    if not (cut or refused):
        return ""
    return "write reserved characters of the password percent-encoded: / as %2F, @ as %40, # as %23, % as %25"
