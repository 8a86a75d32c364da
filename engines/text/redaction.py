"""Text that may be shown: no control characters, no secrets of URIs, one line.

Names of files and the messages of libraries end in terminals, logs, tables, XML, pages and ids.
`printable` makes names printable, `redact` and `redact_uri` hide what may be a secret, `shown` does
both for a message. Each of them leaves its own result unchanged.

    rtsp://user:pass@10.0.0.5:554/live/8f3a9c1e77d0b2/main?channel=2&jwt=eyJh
    rtsp://***@10.0.0.5:554/live/***/main?channel=2&jwt=***

Of a URI scheme, host, port and first part of the path are shown, and what the lists below know to
be harmless; none of them is from the papers. The first part of a path is hidden too where it looks
like a token.
"""

from __future__ import annotations

import re
import unicodedata
import urllib.parse

HIDDEN = "***"
# Python carries a byte that is not UTF-8 as the surrogate of this number plus the byte.
FIRST_BYTE = 0xDC00
# Categories: control characters, surrogates, separators of lines and of paragraphs.
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Bidirectional classes of characters that make a name look like another one.
REORDERING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})

SECRET_KEYS = (
    "access_?key|api_?key|auth(?:_?token)?|credentials?|jwt|key|loginpas|pass|passw|passwd|"
    "password|psw|pwd|secret|j?session(?:_?id)?|sid|sig|signature|stream_?key|tok|"
    "(?:access_?)?token|userpwd|login|user(?:name)?|usr"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS_KEYS = _words("""
    audio cam camera channel channelid codec compression dev fps framerate height mode profile proto
    protocol quality rate resolution rtsp_transport size stream streamtype subtype transport
    transportmode unicast video videocodec videoresolution width
""")
HARMLESS_WORDS = _words("""
    amp api av axis bin c cam camera cameras cgi ch chan channel channels chunklist d enablesrtp
    feed fhd first flv fluent h hd hevc high hls img index input jpeg jpg k live livestream low m
    main manifest master media mediainput mjpeg mjpg mkv mov mp mpeg mpg multicast nphmpeg onvif p
    play playback playlist preview primary profile psia push real realmonitor rtsp rtsph s sav sd
    sdp second secondary sensor smp snl stream streaming streams sub tcp track trackid tracks ts u
    udp unicast v video videoinput videomain videostream videostreaming videosub vod webm x
""")
RESOLUTIONS = frozenset({"1080", "1440", "2160"})  # numbers of four digits that are no PIN
NUMBER_DIGITS = 3  # of a number that is no secret
VALUE = re.compile(r"[\w.:-]{1,16}")
NAME = re.compile(r"[\w.~%+$!-]+")  # a part of a path that is a name, at least
HOST = re.compile(r"(?:\[[\w:.%]+\]|[\w.-]*)(?::\d{1,5})?")
# Shortest tokens, in characters, see `_is_token`.
MIXED_RUN = 12  # letters and digits
CASED_RUN = 16  # letters of both cases
LONG_RUN = 20  # letters as words are written
LONG_PART = 24  # a part with a digit anywhere
MOST_WORDS = 6  # of a part that is known to be harmless
USER_KEYS = ("login", "user", "username", "usr")  # their values are common words
SHORTEST_VALUE = 4  # of a secret key that is hidden in other texts too; "1" is part of many numbers
SHORTEST_PIECE = 6  # of a path or query that is hidden in other texts too
LONGEST = 2000  # characters of a message

_STREAMS = "rtsps?|rtmps?|https?|rtp|srt|udp|tcp|mqtts?|wss?|ftps?"
_START = re.compile(rf"(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]+://+|(?:{_STREAMS}):/+)", re.IGNORECASE)
_AT_HOST = re.compile(r"@(?=[\w\[])")
_END = re.compile(r"[\s'\"<>]|$")
_WORD = re.compile(r"[a-z]+|\d+|[^a-z\d_.-]")
_PIECE = re.compile(r"[/?&;=#]")
_CHUNK = re.compile(r"[^\s'\"]+")
_SECRET_PAIR = re.compile(rf"(?<![a-z0-9])({SECRET_KEYS})=[^&;/?#\s'\"]+", re.IGNORECASE)


def printable(text: str) -> str:
    r"""`text` with escapes for what cannot be shown.

    Bytes that are not UTF-8 and control characters become \xNN; separators of lines, characters
    that change the direction of writing, surrogates and code points that are no character, \uNNNN.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(c) if _is_unfit(c) else c for c in text)


def _is_unfit(c: str) -> bool:
    no_character = ord(c) & 0xFFFE == 0xFFFE
    return (
        unicodedata.category(c) in UNSEEN
        or unicodedata.bidirectional(c) in REORDERING
        or no_character
    )


def _escaped(c: str) -> str:
    code = ord(c)
    if 0x80 <= code - FIRST_BYTE <= 0xFF:
        code -= FIRST_BYTE
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"


def shown(text: str) -> str:
    """A message as one printable line without secrets, of at most LONGEST characters."""
    line = redact(printable(" ".join(text.split())))
    if len(line) <= LONGEST:
        return line
    return f"{line[: LONGEST // 2]} … {line[3 - LONGEST // 2 :]}"


def redact(text: str) -> str:
    """Hide what may be a secret in the URIs of `text`, and values of secret keys anywhere in it."""
    parts = []
    at = 0
    while start := _START.search(text, at):
        end = _end_of_uri(text, start.end())
        parts += [_outside(text[at : start.start()]), redact_uri(text[start.start() : end])]
        at = end
    return "".join([*parts, _outside(text[at:])])


def _outside(text: str) -> str:
    """Redact what stands around URIs."""
    text = _CHUNK.sub(lambda found: _loose(found.group()), text)
    return _SECRET_PAIR.sub(rf"\g<1>={HIDDEN}", text)


def _loose(chunk: str) -> str:
    """Hide user:password@ of an address whose scheme was forgotten."""
    at = chunk.rfind("@")
    return HIDDEN + chunk[at:] if 0 <= chunk.find(":") < at else chunk


def _end_of_uri(text: str, at: int) -> int:
    """Where a URI ends whose host begins at `at`: not before the last @host.

    Passwords may hold blanks.
    """
    later = _START.search(text, at)
    limit = later.start() if later else len(text)
    begin = max([at, *(found.start() for found in _AT_HOST.finditer(text, at, limit))])
    end = _END.search(text, begin, limit)
    stop = end.start() if end else limit
    uri = text[begin:stop].rstrip(".,:;!)")  # without the punctuation of the sentence around it
    return begin + len(uri)


def redact_uri(uri: str) -> str:
    """`uri` as it may be shown; a text that does not begin with scheme:// is returned unchanged."""
    start = _START.match(uri)
    if start is None:
        return uri
    scheme = start.group()
    rest = uri[start.end() :]
    split = re.search(r"[/?#]|$", rest)
    at = split.start() if split else len(rest)
    authority = rest[:at]
    tail = rest[at:]
    if "@" in tail and ":" in authority:  # a password with one of /?# in it, or an @ of the tail
        if HOST.fullmatch(authority) or "@" in authority:
            return scheme + HIDDEN
        _, _, rest = rest.rpartition("@")
        return redact_uri(f"{scheme}{HIDDEN}@{rest}")
    _, found, host = authority.rpartition("@")
    host = host if HOST.fullmatch(host) else HIDDEN
    path, query, fragment = _split(tail)
    named = f"{HIDDEN}@{host}" if found else host
    shown_query = f"?{_pairs(query)}" if query else ""
    shown_fragment = f"#{HIDDEN}" if fragment else ""
    return scheme + named + _path(path) + shown_query + shown_fragment


def _split(tail: str) -> tuple[str, str, str]:
    rest, _, fragment = tail.partition("#")
    path, _, query = rest.partition("?")
    return path, query, fragment


def _path(path: str) -> str:
    parts = path.split("/")
    first = True
    for i, part in enumerate(parts):
        if part:
            parts[i] = _part(part, first)
            first = False
    return "/".join(parts)


def _part(part: str, first: bool) -> str:
    """One part of a path, where some cameras write a query such as user=admin&password=x."""
    if re.search(r"[&;=]", part):
        return _pairs(part)
    plain = urllib.parse.unquote(part)
    harmless = _is_harmless(plain) or (
        first and NAME.fullmatch(plain) is not None and not _is_token(plain)
    )
    return part if harmless else HIDDEN


def _pairs(text: str) -> str:
    return "".join(_pair(piece) for piece in re.split(r"([&;])", text))


def _pair(piece: str) -> str:
    """key=value, the value hidden unless both are harmless; a known key is always shown."""
    key, found, value = piece.partition("=")
    if not found:
        harmless = piece in ("", "&", ";") or _is_harmless(piece)
        return piece if harmless else HIDDEN
    if key.lower() in HARMLESS_KEYS:
        return piece if VALUE.fullmatch(value) and not _is_token(value) else f"{key}={HIDDEN}"
    return f"{key}={HIDDEN}" if re.fullmatch(SECRET_KEYS, key, re.IGNORECASE) else HIDDEN


def _is_harmless(part: str) -> bool:
    """Whether `part` is a few known words and short numbers, such as h264Preview_01_main."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", part)  # videoMain is video and main
    return any(_are_known(_WORD.findall(text.lower())) for text in (split, part))


def _are_known(words: list[str]) -> bool:
    return 0 < len(words) <= MOST_WORDS and all(map(_is_known, words))


def _is_known(word: str) -> bool:
    if word.isdecimal():
        return len(word) <= NUMBER_DIGITS or word in RESOLUTIONS
    return word in HARMLESS_WORDS


def _is_token(part: str) -> bool:
    """Whether `part` looks random: long with a digit, or with a long run of letters or digits."""
    if len(part) >= LONG_PART and any(map(str.isdigit, part)):
        return True
    return any(len(run) >= _shortest_token(run) for run in re.findall(r"[A-Za-z0-9]+", part))


def _shortest_token(run: str) -> int:
    if not run.isalpha():
        return MIXED_RUN
    return LONG_RUN if run[1:].islower() or run.isupper() else CASED_RUN


def secrets_of(uri: str) -> list[str]:
    """What `redact_uri` hides of `uri`, also decoded, longest first.

    A user name alone is too common a word to be hidden in other texts, and so is a short part that
    is no password.
    """
    userinfo = uri.partition("://")[2].rpartition("@")[0]
    hidden = set(_PIECE.split(uri)) - set(_PIECE.split(redact_uri(uri)))
    found = [userinfo, userinfo.partition(":")[2]]
    found += [piece for piece in hidden if len(piece) >= SHORTEST_PIECE]
    for pair in _secret_pairs(uri):
        key, _, value = pair.partition("=")
        if key.lower() not in USER_KEYS and len(value) >= SHORTEST_VALUE:
            found.append(value)
    found += [urllib.parse.unquote(text) for text in found]
    return sorted({text for text in found if text}, key=len, reverse=True)


def _secret_pairs(text: str) -> list[str]:
    return [match.group() for match in _SECRET_PAIR.finditer(text)]
