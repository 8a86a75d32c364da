"""The commands as a user types them: exit codes, one line on stderr, JSON lines on stdout."""

import json
import subprocess
import sys

import pytest

from tests.clips import write_still


def microspot(*arguments, module="realtime", timeout=120):
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)], capture_output=True, text=True, timeout=timeout
    )


def only_line(text, *words):
    assert text.count("\n") == 1, text
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["watch", "nosuch.mp4"], 3, ["nosuch.mp4"]),  # a missing file
        (["watch", "sample", "--thresold", "1"], 2, ["--threshold"]),  # an unknown option names the nearest
        (["watch", "sample", "--threshold", "7"], 2, ["threshold"]),  # out of range
        (["watch", "sample", "--engines", "nowhere"], 4, ["nowhere"]),  # no weights there
        (["watch", "sample", "--backend", "tensorrt"], 4, ["tensorrt"]),  # not on this machine
        (["watch", "sample", "--backend", "cuda"], 2, ["onnx"]),  # no such backend
        (["watch", "sample", "--out", "events.xyz"], 2, ["events.xyz"]),  # no such sink
        (["watch", "sample", "--out", "/nonexistent/e.jsonl"], 5, ["/nonexistent"]),  # unwritable
        (["watch", "sample", "--size", "big"], 2, ["640x480"]),  # malformed size
        (["evaluate", "sample"], 2, ["--truth"]),  # no truth known
        (["watch", "sample", "--config", "missing.toml"], 2, ["missing.toml"]),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(arguments, code, words):
    done = microspot(*arguments)
    assert done.returncode == code, done.stderr
    only_line(done.stderr, "microspot", *words)
    assert done.stdout == "" or json.loads(done.stdout.splitlines()[0])


def test_an_unknown_key_names_the_nearest(tmp_path):
    config = tmp_path / "my.toml"
    config.write_text("treshold = 0.5\n")
    done = microspot("watch", "sample", "--config", config)
    assert done.returncode == 2
    only_line(done.stderr, "'threshold'")


def test_a_video_without_a_face_warns_and_ends_well(tmp_path):
    clip = write_still(tmp_path / "wall.mp4", frames=40, value=90)
    done = microspot("watch", clip, "--json", "--engines", "baseline")
    assert done.returncode == 0
    only_line(done.stderr, "no face")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["start", "end"]
    assert lines[-1]["frames"] == 40


def test_score_reads_tables_and_refuses_malformed_ones(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("subject,video,onset,apex,offset,type,label\n1,v,10,15,20,micro,surprise\n")
    done = microspot("score", "--truth", table, "--pred", table, "--json", module="engines")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["micro"]["f1"] == 1.0
    table.write_text("subject,video\n")
    done = microspot("score", "--truth", table, "--pred", table, module="engines")
    assert done.returncode == 5
    only_line(done.stderr, "onset" if "onset" in done.stderr else "apex")
