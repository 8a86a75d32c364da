"""The parts of `analyze`: which videos, arrays of scores, the delayed overlay, the page of all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microspot.realtime.analyze import one_video
from microspot.realtime.analyze.conditions import Assignment, Conditions, read_conditions
from microspot.realtime.analyze.final_overlay import FinalOverlaySink, longest_wait_ns
from microspot.realtime.analyze.index_page import page
from microspot.realtime.analyze.one_video import Analysis, Job, analyze_video
from microspot.realtime.analyze.run import _by_folder
from microspot.realtime.analyze.scores_file import ScoresFile
from microspot.realtime.analyze.videos import Video, find_videos, state_of
from microspot.realtime.config import Settings
from microspot.realtime.errors import DataError, SourceError, UsageError
from microspot.realtime.markers.recorded import TimedMarker
from microspot.realtime.overlay import draw as draw_module
from microspot.realtime.records import Event, Frame, View
from microspot.realtime.start_record import latency
from microspot.realtime.watch import Outcome
from tests import fakes

TICK_NS = 33_333_333
START = {"type": "start", "windows": [7, 9], "grid_hz": 30, "sources": [{"source": "clip"}]}


def test_folders_stand_for_the_videos_in_them(tmp_path: Path) -> None:
    names = ("b/two.mp4", "b/deep/one.MKV", "b/notes.txt", "b/._two.mp4", "c/TWO.mp4")
    for name in (*names, "frames/1.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    given = [str(tmp_path / name) for name in ("b", "c/TWO.mp4", "b/two.mp4", "frames")]
    found = find_videos([*given, "sample:synthetic:7"])
    assert [(Path(v.uri).name, v.folder, v.group) for v in found] == [
        ("one.MKV", "one.MKV", "deep"),
        ("two.mp4", "two.mp4", "b"),
        ("TWO.mp4", "TWO.mp4-2", "c"),
        ("frames", "frames", tmp_path.name),
        ("sample:synthetic:7", "sample_synthetic_7", ""),
    ]


@pytest.mark.parametrize("uri", ["0", "/dev/video0", "rtsp://camera/1", "https://a.example/v.mp4"])
def test_what_is_live_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="microspot watch"):
        find_videos([uri])


def test_a_video_that_changes_has_another_state(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"1")
    (video,) = find_videos([str(path)])
    before = state_of(video)
    path.write_bytes(b"12")
    assert state_of(video) != before
    (sample,) = find_videos(["sample"])
    assert state_of(sample) == {}


def scores_record(tick: int, face: int = 0, refined: float | None = None) -> dict[str, Any]:
    return {
        "type": "scores",
        "source": "clip",
        "face": face,
        "at_s": tick / 30,
        "scores": [None, 0.25],
        "refined": refined,
        "quality": 0.5,
    }


def test_scores_are_kept_as_arrays_with_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        with ScoresFile(tmp_path / name) as sink:
            sink.take(START)
            sink.take(scores_record(0, refined=0.75))
            sink.take(scores_record(0, face=1))
            sink.take(scores_record(1))
            sink.take({"type": "frame", "source": "clip", "frame": 1, "at_s": 0.04, "host_s": 0.0})
        assert sink.seen_s == pytest.approx(3 / 30)
        assert sink.end_s == 0.04
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as found:
        kept = {name: found[name].tolist() for name in found.files}
    nan = float("nan")
    expected = {
        "times_s": [0, 0, 1 / 30],
        "face": [0, 1, 0],
        "scores": [[nan, 0.25]] * 3,
        "refined": [0.75, nan, nan],
        "quality": [0.5] * 3,
        "windows": [7, 9],
        "grid_hz": 30,
    }
    assert list(kept) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(kept[name], values, name)


def test_a_video_without_a_face_has_empty_scores(tmp_path: Path) -> None:
    with ScoresFile(tmp_path / "a.npz") as sink:
        sink.take(START)
    assert sink.seen_s == 0
    with np.load(tmp_path / "a.npz") as found:
        assert found["scores"].shape == (0, 2)
    with pytest.raises(DataError, match="cannot write"):
        ScoresFile(tmp_path / "missing" / "a.npz").close()


def view(now_ns: int) -> View:
    return View(
        source="clip",
        face=0,
        now_ns=now_ns,
        grid_hz=30,
        measured_hz=30.0,
        windows=(7,),
        scores=np.zeros((1, 1), np.float32),
        refined=np.zeros(1, np.float32),
        events=(),
        outline=np.zeros((0, 2), np.float32),
        quality=1.0,
        latency_ms=1.0,
        thresholds=(0.5, 0.5),
    )


def event(name: str, first: int, last: int, face: int = 0) -> Event:
    times = first * TICK_NS, last * TICK_NS
    return Event(name, "clip", face, "final", *times, first, last, 0.9, last * TICK_NS)


def test_events_stand_on_their_own_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, list[str], int]] = []

    def record(image: Any, views: list[View], **given: Any) -> Any:
        (one,) = views
        drawn.append((given["now_ns"] // TICK_NS, [e.id for e in one.events], int(image.mean())))
        return image

    monkeypatch.setattr(draw_module, "draw", record)
    wait = 20
    with FinalOverlaySink(tmp_path / "o.mp4", wait * TICK_NS) as sink:
        for tick in range(60):
            if tick == 28:
                sink.know(event("first", 10, 18))
                sink.know(event("another face", 10, 18, face=1))
            image = np.full((32, 32, 3), 2 * tick, np.uint8)
            sink.draw(Frame("clip", tick, tick * TICK_NS, image), [view(tick * TICK_NS)])
            assert len(drawn) == max(0, tick - wait)
        sink.know(event("last", 55, 58))
    assert [tick for tick, _, _ in drawn] == list(range(60))
    for tick, names, grey in drawn:
        assert names == ["first"] * (tick >= 10) + ["last"] * (tick >= 55), tick
        assert grey == pytest.approx(2 * tick, abs=2), "its own image"


def test_events_leave_a_long_video(tmp_path: Path) -> None:
    with FinalOverlaySink(tmp_path / "o.mp4", TICK_NS) as sink:
        for tick in range(0, 1200, 10):
            sink.know(event(f"e{tick}", tick, tick + 5))
            image = np.zeros((32, 32, 3), np.uint8)
            sink.draw(Frame("clip", tick, tick * TICK_NS, image), [view(tick * TICK_NS)])
            assert len(sink._events) < 40
            assert len(sink._waiting) < 4


def test_no_event_comes_later_than_a_frame_waits() -> None:
    spec = fakes.spec()
    settings = Settings(cluster_ticks=120)
    wait_ticks = longest_wait_ns(spec, settings) * spec.grid_hz / 1e9
    assert wait_ticks == pytest.approx(120 + latency(spec, settings.hop)["final"], abs=0.01)


def analysis(video: str, group: str, events: int, seen_s: float) -> Analysis:
    return Analysis(video, video.replace(" ", "_"), group, events, 900, 3723.0, seen_s, 0.0)


def tables_of(text: str) -> dict[str, list[list[str]]]:
    """The rows of each table of totals, by its title."""
    tables = {}
    for part in text.split("<h2>")[1:]:
        title, _, rest = part.partition("</h2>")
        rows = re.findall(r"<tr>((?:<td>[^<]*</td>)+)</tr>", rest.partition("</table>")[0])
        tables[title] = [re.findall(r"<td>([^<]*)</td>", row) for row in rows]
    return tables


def test_the_page_has_a_row_for_each_video_and_totals_by_folder() -> None:
    found = page(
        [
            analysis("a <1>.mp4", "left", 3, 90.0),
            analysis("b.mp4", "left", 1, 30.0),
            analysis("c.mp4", "right", 0, 0.0),
        ]
    )
    assert "<h1>3 videos</h1><p>4 micro-expressions in 3:06:09." in found
    assert '<a href="a_%3C1%3E.mp4/report.html">a &lt;1&gt;.mp4</a>' in found
    assert '<td data-key="2.0">2.0</td>' in found, "3 in a minute and a half"
    assert '<td data-key="0.0">0%</td><td data-key="0">0</td><td data-key=""></td>' in found
    assert tables_of(found) == {
        "By folder": [
            ["left", "2", "2:04:06", "4", "2.0", "2.00", "0.54 to 5.12"],
            ["right", "1", "1:02:03", "0", "0.0", "", ""],
        ]
    }
    assert "By folder" not in page([analysis("a.mp4", "left", 3, 90.0)])
    assert "<th><button>subject" not in found, "nobody said it"
    assert "http" not in found, "it loads nothing"


def test_the_page_has_totals_by_subject_and_condition() -> None:
    analyses = [
        analysis("a.mp4", "left", 3, 60.0),
        analysis("b.mp4", "left", 1, 60.0),
        analysis("c.mp4", "left", 0, 30.0),
    ]
    known = {
        "a.mp4": Assignment("s<1>", "stress"),
        "b.mp4": Assignment("s<1>", "rest"),
        "c.mp4": Assignment("t2"),
    }
    found = page(analyses, Conditions(known))
    # Garwood's table of exact limits: 0 -> 0 to 3.69, 1 -> 0.03 to 5.57, 3 -> 0.62 to 8.77
    stress = ["1", "1:02:03", "3", "1.0", "3.00", "0.62 to 8.77"]
    rest = ["1", "1:02:03", "1", "1.0", "1.00", "0.03 to 5.57"]
    none = ["1", "1:02:03", "0", "0.5", "0.00", "0.00 to 7.38"]
    assert tables_of(found) == {
        "By subject": [
            ["s&lt;1&gt;", "2", "2:04:06", "4", "2.0", "2.00", "0.54 to 5.12"],
            ["t2", *none],
        ],
        "By condition": [["not said", *none], ["rest", *rest], ["stress", *stress]],
        "By subject and condition": [
            ["s&lt;1&gt;", "rest", *rest],
            ["s&lt;1&gt;", "stress", *stress],
            ["t2", "not said", *none],
        ],
    }
    assert '<td data-key="stress">stress</td>' in found
    one_subject = Conditions({name: Assignment("s1") for name in known})
    only = page(analyses, one_subject)
    assert set(tables_of(only)) == {"By subject"}
    assert "<th><button>condition" not in only


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["Video;Subject;Condition", *rows]), encoding="utf-8")
    return path


def test_a_table_says_whose_the_videos_are(tmp_path: Path) -> None:
    for name in ("a/one.mp4", "a/two.mp4", "b/two.mp4", "b/three.mp4", "b/four.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    videos = find_videos([str(tmp_path / "a"), str(tmp_path / "b"), "sample"])
    rows = ("one.mp4;s1;rest", "a/two.mp4; s1 ;stress", f"{tmp_path}/b/two.mp4;;stress")
    path = table(tmp_path / "c.csv", *rows, "sample;s3;", "gone.mp4;s4;rest", "three.mp4;;")
    found = read_conditions(path, videos, "everybody")
    assert found.unknown == ("gone.mp4",)
    assert found.assignments == {
        "one.mp4": Assignment("s1", "rest"),
        "two.mp4": Assignment("s1", "stress"),
        "two.mp4-2": Assignment("everybody", "stress"),
        "three.mp4": Assignment("everybody"),
        "four.mp4": Assignment("everybody"),
        "sample": Assignment("s3"),
    }
    assert read_conditions(None, videos).of("one.mp4") == Assignment()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["two.mp4;s;c"], "line 2: several videos are called two.mp4: give a path"),
        (["one.mp4;s;c", "a/one.mp4;s;d"], "line 3: a/one.mp4 has a row already"),
        (["one.mp4;s"], "line 2: the row ends before column 'condition'"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path: Path, rows: list[str], words: str) -> None:
    for name in ("a/one.mp4", "a/two.mp4", "b/two.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    videos = find_videos([str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(DataError, match=re.escape(words)):
        read_conditions(table(tmp_path / "c.csv", *rows), videos)


def test_markers_go_to_the_videos_that_they_name() -> None:
    videos = [Video("x/a.mp4", "a.mp4"), Video("x/b.mp4", "b.mp4"), Video("y/b.mp4", "b.mp4-2")]
    given = [TimedMarker("", 0, "begin"), TimedMarker("a", 1, "tone"), TimedMarker("gone", 2, "x")]
    found, elsewhere = _by_folder([*given, TimedMarker("y/b.mp4", 3, "flash")], videos)
    values = {folder: [marker.value for marker in own] for folder, own in found.items()}
    assert values == {"a.mp4": ["begin", "tone"], "b.mp4": ["begin"], "b.mp4-2": ["begin", "flash"]}
    assert elsewhere == ["gone"]
    with pytest.raises(UsageError, match="several videos are called b"):
        _by_folder([TimedMarker("b", 1, "tone")], videos)
    with pytest.raises(UsageError, match="of other videos, such as gone"):
        _by_folder(given[2:], videos)


def test_every_face_counts_in_the_time_that_rates_are_of(tmp_path: Path) -> None:
    with ScoresFile(tmp_path / "scores.npz") as scores:
        scores.write({"type": "start", "windows": [7], "grid_hz": 30})
        for tick in range(60):
            for face in (0, 1)[: 1 + (tick < 30)]:
                at = {"type": "scores", "at_s": tick / 30, "face": face, "scores": [0.1]}
                scores.write(at | {"refined": None, "quality": 0.9})
        assert scores.seen_s == 3.0


def test_an_output_that_fails_is_no_fault_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(Video("sample:synthetic:7", "v", ""), tmp_path, Settings())
    for code, kind in ((5, DataError), (3, SourceError)):

        def ended(pipeline: Any, sinks: Any, markers: Any, code: int = code) -> Outcome:
            for sink in sinks:
                sink.close()
            return Outcome(code, ("full",))

        monkeypatch.setattr(one_video, "follow", ended)
        with pytest.raises(kind, match="full"):
            analyze_video(job, fakes.engine_set())
