"""The file of a fleet: strict, and each mistake is one line that says what to do."""

import subprocess
import sys

import pytest

from microspot.realtime.errors import UsageError
from microspot.realtime.fleet.cluster import CameraWanted
from microspot.realtime.fleet.fleet_file import FleetFile
from microspot.realtime.fleet.run import WatchedFile, group_arguments

GOOD = """
[fleet]
out = ["/srv/events.db"]
group_size = 3
[settings]
threshold = 0.8
[[camera]]
name = "door"
source = "rtsp://door/1"
host = "lab-2"
[[camera]]
name = "desk"
source = "env:DESK"
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fleet.toml"


def test_a_file_gives_cameras_and_settings(path):
    path.write_text(GOOD)
    file = FleetFile.read(path)
    assert file.wanted == (
        CameraWanted("door", "rtsp://door/1", "lab-2"),
        CameraWanted("desk", "env:DESK"),
    )
    assert file.fleet.group_size == 3
    assert file.fleet.address is None
    _, open_sinks, settings = group_arguments(file)
    assert settings.threshold == 0.8
    assert open_sinks.args == (("/srv/events.db",), None)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("group_size", "group_sise", "unknown key fleet.group_sise; did you mean 'group_size'?"),
        ("threshold", "treshold", "unknown key settings.treshold; did you mean 'threshold'?"),
        ("host =", "hots =", "unknown key camera[1].hots; did you mean 'host'?"),
        ("[fleet]", "[fleets]", "fleet is missing"),
        ('out = ["/srv/events.db"]', "", "fleet.out is missing"),
        ("group_size = 3", 'group_size = "3"', "fleet.group_size: "),
        ("0.8", "8", "settings.threshold: "),
        ("group_size = 3", 'labels = "4"', "fleet.labels: expected one of 3, 5, units, none"),
        ("group_size = 3", 'backend = "cuda"', "fleet.backend: expected one of auto, onnx"),
        ("group_size = 3", 'engines = "runs/1"', "fleet.engines: give an absolute path"),
        ("threshold = 0.8", 'memory = "m.json"', "settings.memory: give an absolute path"),
        ("env:DESK", "samples/clip.mp4", "camera[2].source: give an address, a camera or"),
        ("group_size = 3", "heartbeat_s = 5.1", "fleet.heartbeat_s: "),
        (
            "group_size = 3",
            "heartbeat_s = 1.0\npatience_s = 2.0",
            "fleet: heartbeat_s 1 must be less than half of patience_s 2",
        ),
        ("/srv/events.db", "events.db", "fleet.out: give an absolute path"),
        ("/srv/events.db", "/srv/events.csv", "fleet.out: expected a path ending in .db"),
        ("/srv/events.db", "mqtts://broker/lab", "fleet.out: expected a path ending in .db"),
        ('"desk"', '"door"', "2 cameras are called 'door'"),
        ('"desk"', '"de\\u0007sk"', "camera[2].name: give a name of printable characters"),
        ("env:DESK", "desk.mp4", "camera[2].source: give an address, a camera or an absolute"),
        ("[[camera]]", "[[camera]", "line 7"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_nearest_match(path, good, bad, said):
    assert good in GOOD
    path.write_text(GOOD.replace(good, bad, 1))
    with pytest.raises(UsageError) as caught:
        FleetFile.read(path)
    line = str(caught.value)
    assert line.startswith(f"fleet {path}: ")
    assert said in line
    assert "\n" not in line


def test_a_password_in_an_address_is_not_told(path):
    path.write_text(GOOD.replace('"rtsp://door/1"', '["rtsp://a:secret@d"]'))
    with pytest.raises(UsageError, match=r"camera\[1\].source") as caught:
        FleetFile.read(path)
    assert "secret" not in str(caught.value)


def test_a_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(path):
    path.write_text(GOOD)
    watched = WatchedFile(path)
    assert watched.look() is None
    path.write_text(GOOD[:200])
    assert watched.look() is None  # it may be half written
    path.write_text(GOOD.replace("door", "gate"))
    assert watched.look() is None
    assert "2 cameras" in watched.look()
    assert watched.look() is None
    assert watched.file.wanted[0].name == "gate"
    path.write_text("[fleet")
    assert watched.look() is None
    assert "stay as they were" in watched.look()
    assert watched.file.wanted[0].name == "gate"
    path.write_text(GOOD.replace("0.8", "0.7"))
    assert watched.look() is None
    assert "from the next start on" in watched.look()


def test_the_commands_say_in_one_line_what_is_wrong(path):
    def command(*words, **options):
        return subprocess.run(
            [sys.executable, *options.get("flags", ()), "-m", "microspot.realtime", *words],
            capture_output=True,
            text=True,
        )

    done = command("fleet", "run", str(path))
    assert done.returncode == 2
    assert done.stderr == f"microspot: fleet {path}: No such file or directory\n"
    path.write_text(GOOD)
    (path.parent / "ray.py").write_text("raise ImportError('left out')")
    done = subprocess.run(
        [sys.executable, "-m", "microspot.realtime", "fleet", "run", str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{path.parent}:{':'.join(filter(None, sys.path))}", "PATH": ""},
    )
    assert done.returncode == 2
    assert "a fleet needs Ray: pip install" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "fleet.out env:OUT: set this variable where Ray is started"),
        ("events.db", "fleet.out env:OUT: give an absolute path"),
        ("/srv/secret.csv", "fleet.out env:OUT: expected a path ending in .db"),
    ],
)
def test_an_output_of_the_environment_is_checked_where_it_is_opened(path, monkeypatch, value, said):
    monkeypatch.setenv("OUT", "events.db")  # of the supervisor, where it means nothing
    path.write_text(GOOD.replace("/srv/events.db", "env:OUT"))
    _, open_sinks, _ = group_arguments(FleetFile.read(path))
    if value is None:
        monkeypatch.delenv("OUT")
    else:
        monkeypatch.setenv("OUT", value)
    with pytest.raises(UsageError, match=said) as caught:
        open_sinks()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("labels", "none"),
        ("backend", "auto"),
        ("backend", "rtx:fp32"),
        ("engines", "baseline"),
        ("engines", "/srv/weights"),
    ],
)
def test_what_every_host_can_have_is_taken(path, key, value):
    path.write_text(
        GOOD.replace("group_size = 3", f'{key} = "{value}"').replace("env:DESK", "sample")
    )
    assert getattr(FleetFile.read(path).fleet, key) == value
