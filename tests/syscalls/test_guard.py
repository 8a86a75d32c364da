"""The guard finds what it is there to find, and nothing in a command that behaves.

What is sent to be found never leaves the loopback: sockets are only connected (which sends nothing
over UDP), or the child has no network at all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from microspot.engines.manifest import PACKAGED
from microspot.engines.runtime.onnxruntime_import import onnxruntime
from tests.syscalls import rules, trace
from tests.syscalls.commands import COMMANDS, FAILED, HIDING, Watched, watch_command
from tests.syscalls.environments import PACKAGES, lowest, requirements
from tests.syscalls.rules import FOREIGN, LEFT, LOOKUP
from tests.syscalls.trace import Call

TELLS = (1, 29)  # the first ONNX Runtime that sends telemetry
SESSION = f"""
import sys, time, onnxruntime
onnxruntime.InferenceSession({str(PACKAGED / "refiner.onnx")!r}, providers=["CPUExecutionProvider"])
time.sleep(float(sys.argv[1]))
"""
# To an address of nobody.
FAR = "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).connect(('192.0.2.1', 9))"
RESOLVED = "/run/systemd/resolve/io.systemd.Resolve"
WAIT_S = 15  # its first look-up comes about 8 s after its import


def can_trace() -> bool:
    return (
        shutil.which("strace") is not None
        and subprocess.run(["strace", "-o", os.devnull, "true"]).returncode == 0
    )


def can_cut_the_network() -> bool:
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-n", "true"]).returncode == 0
    )


traced = pytest.mark.skipif(
    not can_trace() and os.environ.get("CI") != "true",
    reason="strace is missing or may not trace here",
)
tells = pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < TELLS,
    reason="this ONNX Runtime sends nothing",
)


def child(
    folder: Path, code: str, *arguments: str, before: tuple[str, ...] = ()
) -> tuple[list[Call], set[Path]]:
    """Run Python code under the guard in `folder`; returns its calls, and what it wrote."""
    traces = folder / "traces"
    traces.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in HIDING and not name.startswith("XDG_")
    }
    command = [*before, sys.executable, "-c", code, *arguments]
    done = trace.run(command, folder, kept | {"HOME": str(folder)}, traces)
    assert done.returncode == 0, done.stderr
    seen = list(trace.calls(traces))
    return seen, rules.written_paths(seen, folder)


@traced
@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (FAR, FOREIGN, "192.0.2.1"),
        (
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FAR!r}])",
            FOREIGN,
            "192.0.2.1",
        ),
        (
            "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).connect(('127.0.0.1', 53))",
            LOOKUP,
            "127.0.0.1",
        ),
        (
            "import socket as s; s.socket(s.AF_INET6, s.SOCK_DGRAM).connect(('::1', 53))",
            LOOKUP,
            "::1",
        ),
        (f"import socket as s; s.socket(s.AF_UNIX).connect_ex({RESOLVED!r})", LOOKUP, RESOLVED),
    ],
)
def test_what_leaves_the_loopback_is_found(tmp_path: Path, code: str, kind: str, text: str) -> None:
    seen, _ = child(tmp_path, code)
    (found,) = rules.network_findings(seen)
    assert found.kind == kind
    assert text in found.text


@traced
def test_what_stays_on_the_loopback_is_none_of_its_business(tmp_path: Path) -> None:
    seen, _ = child(
        tmp_path,
        "import socket as s;"
        "a = s.create_server(('127.0.0.1', 0)); b = s.create_connection(a.getsockname());"
        "b.sendall(b'sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr(\"192.0.2.1\")');"
        "c = s.socket(s.AF_INET6, s.SOCK_DGRAM); c.sendto(b'x', ('::ffff:127.0.0.1', 9))",
    )
    assert {"connect", "sendto"} <= {call.name for call in seen}
    assert rules.network_findings(seen) == []


@traced
@pytest.mark.skipif(not can_cut_the_network(), reason="unshare -n is not allowed here")
def test_a_look_up_is_found_where_there_is_no_network(tmp_path: Path) -> None:
    code = (
        "import socket as s, contextlib\n"
        "with contextlib.suppress(OSError): s.getaddrinfo('given.invalid', 80)"
    )
    seen, _ = child(tmp_path, code, before=("unshare", "-n"))
    assert {found.kind for found in rules.network_findings(seen)} == {LOOKUP}


@traced
def test_files_that_stay_are_found_and_those_that_go_are_not(tmp_path: Path) -> None:
    code = (
        "import os, tempfile; open('kept', 'w').close()\n"
        "open('gone', 'w').close(); os.remove('gone')\n"
        "os.mkdir('d'); os.rename('kept', 'd/née \"x\"')\n"
        "os.mkdir('__pycache__'); open('__pycache__/a', 'w').close()\n"
        "tempfile.TemporaryFile(dir='.').close(); open('named', 'w').close()\n"
        "os.symlink('/etc/hosts', 'link')\n"
        "open(os.devnull, 'w').close(); os.makedirs('site-packages/gradio')\n"
        "open('site-packages/gradio/hash_seed.txt', 'w').close()\n"
        "open('site-packages/hash_seed.txt', 'w').close()"
    )
    _, written = child(tmp_path, code)
    found = rules.left_findings(written, [tmp_path / "named"])
    assert {item.text for item in found} == {
        str(tmp_path / name) for name in ('d/née "x"', "link", "site-packages/hash_seed.txt")
    }
    assert {item.kind for item in found} == {LEFT}


@traced
@tells
def test_onnxruntime_without_its_switch_is_found_by_what_it_leaves(tmp_path: Path) -> None:
    _, written = child(
        tmp_path, SESSION, "1", before=("unshare", "-n") if can_cut_the_network() else ()
    )
    assert rules.left_findings(written, [])
    (tmp_path / "ours").mkdir()
    _, written = child(
        tmp_path / "ours", "import microspot.engines.runtime.onnxruntime_import\n" + SESSION, "1"
    )
    assert rules.left_findings(written, []) == []


@traced
@tells
@pytest.mark.skipif(not can_cut_the_network(), reason="unshare -n is not allowed here")
def test_onnxruntime_without_its_switch_is_found_looking_up_its_maker(tmp_path: Path) -> None:
    seen, _ = child(tmp_path, SESSION, str(WAIT_S), before=("unshare", "-n"))
    assert LOOKUP in {found.kind for found in rules.network_findings(seen)}


@traced
def test_a_command_of_ours_does_nothing_of_the_kind(tmp_path: Path) -> None:
    report = watch_command("doctor", COMMANDS["doctor"], tmp_path)
    assert report.findings == []
    assert list(tmp_path.iterdir()) == []


@traced
def test_a_command_that_failed_or_wrote_nothing_has_shown_nothing(tmp_path: Path) -> None:
    report = watch_command("bad", Watched("realtime", "watch no-such-file"), tmp_path)
    assert [found.kind for found in report.findings] == [FAILED]
    report = watch_command("unseen", Watched("engines", "list", visit=_disappointed), tmp_path)
    assert [found.kind for found in report.findings] == [FAILED]
    report = watch_command("silent", Watched("engines", "list", ("events.csv",)), tmp_path)
    assert [found.kind for found in report.findings] == [FAILED]
    report = watch_command("unsaid", Watched("engines", "list", says=("passed",)), tmp_path)
    assert [found.kind for found in report.findings] == [FAILED]
    report = watch_command("said", Watched("engines", "list --json", says=("cache",)), tmp_path)
    assert report.findings == []


def _disappointed(process: subprocess.Popen[str]) -> None:
    raise TimeoutError("no page")


@traced
def test_a_visit_to_a_command_that_says_nothing_ends(tmp_path: Path) -> None:
    def listen(process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == ""

    command = [sys.executable, "-c", "import time; time.sleep(3600)"]
    with pytest.raises(subprocess.TimeoutExpired):
        trace.run(command, tmp_path, os.environ, tmp_path, listen, patience_s=1)


def test_names_that_were_asked_for_are_told() -> None:
    query = r"\222\1\1\0\0\1\0\0\0\0\0\0\6mobile\7example\3org\0\0\34\0\1"
    sent = f'3<socket:[1]>, "{query}", 50, MSG_NOSIGNAL, NULL, 0'
    assert rules.names_asked([Call("sendto", sent, "50")]) == ["mobile.example.org"]


@pytest.mark.timeout(20)
def test_a_long_message_is_soon_read() -> None:
    """A pattern for names tried every way to part a picture that the page had sent."""
    digits = f'7, "{"0" * 100_000}", 100000'
    assert rules.names_asked([Call("sendto", digits, "100000")]) == []


def test_every_watched_package_has_a_lower_bound() -> None:
    wanted = requirements()
    assert [lowest(wanted[name]).partition("==")[0] for name in PACKAGES] == list(PACKAGES)
