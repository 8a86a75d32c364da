"""What may be shown of names, messages and URIs."""

import os
import pickle
import random
import re
import string
import subprocess
import sys

import pytest

from microspot.engines.errors import MicrospotError, SourceError
from microspot.engines.text.redaction import (
    HIDDEN,
    LONGEST,
    printable,
    redact,
    redact_uri,
    secrets_of,
    shown,
)

NAMES = [  # as they are, as they are shown
    (os.fsdecode(b"v\xb1\xed.mp4"), r"v\xb1\xed.mp4"),
    ("a\x1b[31mb", r"a\x1b[31mb"),
    ("tab\tnew\nline\x7f", r"tab\x09new\x0aline\x7f"),
    ("c1 \x85\x9b", r"c1 \x85\x9b"),
    ("lines \u2028 \u2029", r"lines \u2028 \u2029"),
    ("ph\u202e4pm.exe\u2066", r"ph\u202e4pm.exe\u2066"),
    ("half \ud800, none \ufffe \U0001ffff", r"half \ud800, none \ufffe \U0001ffff"),
    ("é 日本 نام‌ه 👩\u200d👧.mp4", "é 日本 نام‌ه 👩\u200d👧.mp4"),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_names_are_printable(name, expected):
    assert printable(name) == expected
    assert printable(expected) == expected
    expected.encode()


def test_every_printable_character_is_legal_xml_and_utf8():
    illegal = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    ends = (
        code for plane in range(17) for code in range((plane << 16) + 0xFFF0, (plane + 1) << 16)
    )
    for code in (*range(0x3000), *range(0xD7F0, 0xE010), *range(0xFDC0, 0xFDF8), *ends):
        text = printable(chr(code))
        assert not illegal.search(text), hex(code)
        text.encode()


URIS = [  # what cameras and servers are really called, and what is shown of it
    ("rtsp://user:pass@10.0.0.5/stream", "rtsp://***@10.0.0.5/stream"),
    ("rtsp://u:my secret pass@10.0.0.5/stream", "rtsp://***@10.0.0.5/stream"),
    ("rtsp://u:sec'ret@h/x", "rtsp://***@h/x"),
    ("rtsp://admin:secret/stream", "rtsp://***/stream"),
    ("rtsp://[fe80::1]:554/live/1", "rtsp://[fe80::1]:554/live/1"),
    ("rtsp:/u:secret@h/x", "rtsp:/***@h/x"),
    ("rtsp://h:554/Streaming/Channels/101?transportmode=unicast", None),
    ("rtsp://h/cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif", None),
    ("rtsp://h/axis-media/media.amp?videocodec=h264&resolution=640x480", None),
    ("rtsp://h/h264Preview_01_main", None),
    ("rtsp://h/live/ch00_0", None),
    ("http://h/Entrance-Camera-2/video/1080p/index.m3u8", None),
    ("https://h/hls/secret01/index.m3u8", "https://h/hls/***/index.m3u8"),
    ("https://h/live/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "https://h/live/***"),
    ("rtsps://h:7441/AbCdEfGh12345678?enableSrtp", "rtsps://h:7441/***?enableSrtp"),
    ("https://h/3f2504e04f8911d39a0c0305e82c3301/live", "https://h/***/live"),
    ("rtsp://h/live/4711", "rtsp://h/live/***"),
    (
        "https://h/x?jwt=secret&sessionid=secret&streamkey=secret",
        "https://h/x?jwt=***&sessionid=***&streamkey=***",
    ),
    (
        "https://h/x?authtoken=secret&userpwd=a:secret&channel=2",
        "https://h/x?authtoken=***&userpwd=***&channel=2",
    ),
    ("https://h/x?zyx=secret&secret", "https://h/x?***&***"),
    ("https://h/x?channel=secret+token/0123", "https://h/x?channel=***"),
    ("https://h/x;jsessionid=secret", "https://h/x;jsessionid=***"),
    ("https://h/x#secret", "https://h/x#***"),
    ("rtsp://h/user=admin_password=secret_channel=1_stream=0.sdp", "rtsp://h/user=***"),
    ("https://h/x?user=me@secret", "https://h/x?user=***"),
    (
        "rtsp://h:554/x?password=secret@1",
        "rtsp://***",
    ),  # or a password with / and ? in it: nothing is sure
]


@pytest.mark.parametrize(("uri", "expected"), URIS)
def test_uris_show_only_what_is_harmless(uri, expected):
    expected = expected or uri
    assert redact_uri(uri) == redact(uri) == expected
    assert redact_uri(expected) == redact(expected) == shown(expected) == expected
    assert "secret" not in shown(f"cannot open '{uri}': no") + redact(
        f"{uri} and http://other/x: me@you"
    )


def test_no_random_secret_is_shown_wherever_it_stands():
    rng = random.Random(15)
    forms = [
        "rtsp://user:{}@cam/live",
        "rtsp://{}@cam:554/live",
        "https://cam/live/{}/index.m3u8",
        "https://cam/{}/live",
        "https://cam/live?{}",
        "https://cam/live?anything={}",
        "https://cam/live?channel=1&token={}",
        "ftp://a:{}@cam",
        "https://cam/live#{}",
        "rtsp://cam/user=a&password={}&channel=1",
        "user:{}@10.0.0.5/live",
        "rtsp:u:{}@10.0.0.5",
    ]
    for _ in range(300):
        secret = "".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(16, 40)))
        for form in forms:
            text = shown(f"--out {form.format(secret)}: expected another")
            assert not any(part in text for part in (secret[:6], secret[-6:])), (form, secret, text)
            assert text.startswith("--out ")
            assert text.endswith(": expected another")


def test_paths_and_ordinary_words_are_left_alone():
    for text in (
        "C:/Users/x/clip.mp4: no such file",
        "file:/home/me/clip.mp4",
        "set it to an rtsp, rtsps or http URL",
        "key 'threshold' is 7, expected 0 to 1",
        "see http://host/x.",
        "rtsp://***@host/x: refused; write / as %2F, @ as %40",
    ):
        assert shown(text) == text


@pytest.mark.parametrize(
    "piece", ["{", "a", "a:", "a@", "a://", "://", "user=", "a:b@", "http://", "/", "aB", "é\udcb1"]
)
def test_a_long_text_takes_no_time_that_grows_with_its_square_and_is_shortened(piece):
    line = shown(
        f"the cell is {piece * (200_000 // len(piece))}, expected a number"
    )  # the square takes minutes
    assert len(line) <= LONGEST
    assert line.startswith("the cell is ")
    assert shown(line) == line


def test_what_is_hidden_of_a_uri_is_known_for_other_texts():
    uri = "rtsp://u:p%40ss@h/live/8f3a9c1e77d0b2/main?channel=2&jwt=eyJh&other=12"
    assert {"p%40ss", "p@ss", "8f3a9c1e77d0b2", "eyJh"} <= set(secrets_of(uri))
    assert not {"u", "live", "main", "2", "h", "12"} & set(secrets_of(uri))


def test_an_error_is_one_printable_line_without_secrets_and_survives_a_pipe():
    error = SourceError("rtsp://u:secret@h/x:\nrefused\x1b[2J \udcb1")
    assert str(error) == rf"rtsp://{HIDDEN}@h/x: refused\x1b[2J \xb1"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(MicrospotError()) == ""


COMMAND = """
import sys
from microspot.engines.commands.entry_point import run_command
from microspot.engines.errors import UsageError
def application(args, **_):
    print("\\u65e5 \\x41")
    try:
        raise OSError(f"no {args[0]}")
    except OSError as error:
        raise {error} from error
sys.argv = ["x", *sys.argv[1:]]
run_command(application, "x")
"""


@pytest.mark.parametrize("debug", [False, True])
def test_a_command_echoes_no_secret_of_its_options(debug):
    uri = "https://h/live?password=my secret&channel=1"
    usage = COMMAND.replace(
        "{error}", "type('E', (Exception,), {'format_message': lambda self: f'bad {args[0]!r}'})()"
    )
    arguments = [uri, *(["--debug"] if debug else [])]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-c", usage, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "x: bad 'https://h/live?password=***&channel=1'"
    assert "secret" not in done.stderr
    assert ("Traceback" in done.stderr) == debug
    assert done.stdout == "\\u65e5 A\n"  # a terminal without the letter


def test_common_words_and_numbers_of_a_uri_stay_in_other_texts():
    assert not {"admin", "1"} & set(secrets_of("http://h/x?user=admin&pwd=1"))
