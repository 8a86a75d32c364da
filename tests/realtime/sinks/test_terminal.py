"""The live table: what it shows, and that the terminal is restored."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from microspot.realtime.records import Frame, PersonalState, View
from microspot.realtime.sinks.terminal import KEPT_EVENTS, LiveTable

START = {
    "type": "start",
    "backend": "onnx",
    "grid_hz": 30,
    "sources": [{"source": "cam [red]1[/red]"}, {"source": "file.mp4"}],
}
HIDE = "\x1b[?25l"  # the cursor
SHOW = "\x1b[?25h"


def event(name: str, status: str = "final", **other: Any) -> dict[str, Any]:
    record = {
        "type": "event",
        "id": name,
        "source": "file.mp4",
        "face": 0,
        "status": status,
        "onset_s": 12.0,
        "offset_s": 12.3,
        "score": 0.9,
        "label": "surprise",
        "label_scores": {"surprise": 0.82, "negative": 0.18},
    }
    return record | other


def view(measured_hz: float) -> View:
    no_scores = np.empty((1, 0), np.float32)
    return View(
        source="file.mp4",
        face=0,
        now_ns=0,
        grid_hz=30,
        measured_hz=measured_hz,
        windows=(7,),
        scores=no_scores,
        refined=no_scores[0],
        events=(),
        outline=np.empty((0, 2), np.float32),
        quality=0.87,
        latency_ms=14.2,
        thresholds=(0.5, 0.5),
    )


def text(table: LiveTable, color: bool = False, width: int = 80) -> str:
    out = io.StringIO()
    system = "standard" if color else None
    console = Console(file=out, width=width, force_terminal=color, color_system=system)
    console.print(table.render())
    return out.getvalue()


def test_a_threshold_of_a_faces_own_is_shown() -> None:
    table = LiveTable(Console(file=io.StringIO()))
    table.write(START)
    personal = PersonalState("file.mp4", 0, 0, 0.931, 0.2, 250.0, 3, learning=False)
    frame = Frame("file.mp4", 41, 0, np.zeros((4, 4, 3), np.uint8))
    table.draw(frame, [replace(view(29.8), personal=personal)])
    assert "file.mp4: threshold 0.93 for 0.2 alarms/min, 4 min seen" in text(table)


def test_sources_and_events_are_shown() -> None:
    table = LiveTable(Console(file=io.StringIO()))
    table.write(START)
    assert text(table).count("waiting") == 2
    table.draw(Frame("file.mp4", 41, 0, np.zeros((4, 4, 3), np.uint8)), [view(29.8)])
    table.write(event("a", "provisional", label=None, label_scores=None))
    assert "provisional" in text(table)
    table.write(event("a"))
    table.write(
        {
            "type": "state",
            "source": "cam [red]1[/red]",
            "state": "lost",
            "detail": "no frame for 2 s",
        }
    )
    shown = text(table)
    for words in [
        "29.8 / 30 Hz",
        "14 ms",
        "0.87",
        "surprise",
        "82%",
        "12.00 s",
        "300 ms",
        "lost",
        "no frame for 2 s",
    ]:
        assert words in shown
    assert "cam [red]1[/red]" in shown  # a name is never markup
    assert "provisional" not in shown


def test_what_moved_stands_in_its_events_line() -> None:
    table = LiveTable(Console(file=io.StringIO(), width=160))
    table.write(START)
    table.write(event("a"))
    before = text(table, width=160)
    region = {"name": "mouth corner", "side": "L", "px": 1.2, "size": "c", "score": 0.9}
    table.write(event("b", action_units=[], region=region))
    (line,) = (line for line in text(table, width=160).splitlines() if "mouth corner, left" in line)
    assert line.lstrip().startswith("12.00 s")
    assert "mouth" not in before


def test_withdrawn_events_go_and_old_ones_scroll_off() -> None:
    table = LiveTable(Console(file=io.StringIO()))
    table.write(START)
    table.write(event("x", "provisional"))
    table.write(event("x", "withdrawn"))
    assert "provisional" not in text(table)
    for i in range(KEPT_EVENTS + 3):
        table.write(event(str(i), label=f"label{i:02d}"))
    shown = text(table)
    for gone in (0, 2):
        assert f"label{gone:02d}" not in shown
    for kept in (3, KEPT_EVENTS + 2):
        assert f"label{kept:02d}" in shown


def test_a_face_that_is_small_or_not_used_has_its_note_shown() -> None:
    table = LiveTable(Console())
    table.write(START)
    frame = Frame("file.mp4", 0, 0, np.zeros((8, 8, 3), np.uint8))
    table.draw(frame, [replace(view(30.0), note="face small: 62 px")])
    assert "file.mp4: face small: 62 px" in text(table)
    table.draw(frame, [replace(view(30.0), note="face small: 31 px, not used", quality=0.0)])
    assert "file.mp4: face small: 31 px, not used" in text(table)
    assert table._rows["file.mp4"].faces == 0
    table.draw(frame, [view(30.0)])
    assert "face small" not in text(table)


def test_end_and_gap_give_their_reasons() -> None:
    table = LiveTable(Console(file=io.StringIO()))
    table.write(START)
    table.write(
        {
            "type": "gap",
            "source": "file.mp4",
            "face": 0,
            "reason": "turned away",
            "start_s": 0,
            "stop_s": 1,
        }
    )
    assert "gap: turned away" in text(table)
    table.write(
        {"type": "end", "source": "file.mp4", "frames": 7, "events": 0, "drops": {"queue full": 3}}
    )
    assert "3 dropped: queue full" in text(table)


@pytest.mark.parametrize(("rate", "marked"), [(29.8, False), (15.0, True)])
def test_a_rate_far_from_the_trained_one_is_marked(
    rate: float, marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    table = LiveTable(Console(file=io.StringIO()))
    table.write(START)
    table.draw(Frame("file.mp4", 0, 0, np.zeros((4, 4, 3), np.uint8)), [view(rate)])
    yellow = re.search(rf"\x1b\[33m *{rate} / 30 Hz", text(table, color=True))
    assert (yellow is not None) == marked


def interrupted(console: Console) -> LiveTable:
    with LiveTable(console) as table:
        table.write(START)
        raise KeyboardInterrupt


def test_the_cursor_comes_back_after_an_interrupt() -> None:
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        interrupted(Console(file=out, force_terminal=True))
    assert out.getvalue().rfind(SHOW) > out.getvalue().rfind(HIDE) >= 0


WAITING = """
import time
from microspot.realtime.sinks.terminal import LiveTable
with LiveTable() as table:
    table.write({"type": "start", "sources": [{"source": "cam"}], "backend": "onnx", "grid_hz": 30})
    time.sleep(30)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_ctrl_c_restores_the_terminal() -> None:
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", WAITING],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as child:
        os.close(theirs)
        seen = b""
        deadline = time.monotonic() + 15
        while b"waiting" not in seen and time.monotonic() < deadline:
            seen += os.read(ours, 4096)
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # Linux ends a pseudo-terminal with an error
            part = os.read(ours, 4096)
            while part:
                seen += part
                part = os.read(ours, 4096)
    os.close(ours)
    assert b"waiting" in seen
    assert seen.rfind(SHOW.encode()) > seen.rfind(HIDE.encode()) >= 0
