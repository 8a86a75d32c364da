"""A fleet on a real Ray cluster of two nodes on this machine, from its start to its violent end.

    python -m pytest -m ray tests/realtime/fleet

Eight cameras send numbered pictures over RTSP, 15 a second; stand-ins of plain numpy take the place
of networks and aligner (`numbered`), since two cores do not carry eight cameras with both and Ray.
All else is what ships: capture, feeds, sessions, sinks, actors, supervisor, command. Ray runs with
TLS and a token. The numbers in the pictures say what was captured when, whatever the events' times.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from contextlib import ExitStack, suppress
from datetime import datetime
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from microspot.engines.telemetry import RAY
from tests.children import children_of
from tests.realtime.fleet import numbered
from tests.realtime.sinks.network.test_webhook import Receiver
from tests.rtsp_server import RtspServer, write_clip

# Ray reads its variables when it is imported, so no test imports it before they are set.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(200),
    pytest.mark.skipif(find_spec("ray") is None, reason="no Ray: pip install '.[fleet]'"),
]

ROOT = Path(__file__).resolve().parents[3]
CAMERAS = [f"camera {number}" for number in range(8)]
LATER = "camera 8"  # comes into the file while the others are watched
FRAMES = 1500  # of the cameras' film, which runs in a circle of LAP_S
LAP_S = FRAMES * float(numbered.FRAME)
MOVED_S = 20.0  # the promise: from the death of a node until its cameras are watched elsewhere
PATIENCE_S = 60.0  # for what nothing is promised of
PROBE_S = 0.2  # of work, to see how busy this machine is
# A node that says nothing is taken to be dead after five seconds, not after Ray's fifteen.
# Whoever has lost the head waits for ten seconds, not for sixty.
HEALTH = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}
NODE = {"num_cpus": 2, "object_store_memory": 100 << 20}


def wait_for(condition, within_s, what):
    """Wait until a condition holds, and give how long that took.

    within_s: on a machine whose cores are free; others get as much longer as they are slower.
    """
    began = time.monotonic()
    within_s *= slowness()
    while not condition():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - began


def slowness():
    """How many times longer work takes here now than it would on a core of its own; at least 1."""
    began_s, used_s = time.monotonic(), time.process_time()
    while time.process_time() - used_s < PROBE_S:
        sum(range(1000))
    return max(1.0, (time.monotonic() - began_s) / (time.process_time() - used_s))


def own_address():
    """The address that Ray takes for this machine's; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
        asking.connect(("192.0.2.1", 80))
        return asking.getsockname()[0]
    return "127.0.0.1"


def certificate(folder):
    """Variables of Ray for TLS with a certificate of this machine's own, and for a token."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = f"subjectAltName=IP:127.0.0.1,IP:{own_address()}"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=fleet", "-addext", names, "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(cert),
        "RAY_TLS_SERVER_KEY": str(key),
        "RAY_TLS_CA_CERT": str(cert),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "the token of this test, which is long",
    }


class Fleet:
    """A cluster, its file of cameras, and the command that supervises it."""

    def __init__(self, folder, port, receiver, url):
        self.born_s = time.time()  # when the film began
        self.url = url  # of every camera: each connection is one that looks at the same film
        self.path = folder / "fleet.toml"
        self.database = folder / "events.db"
        self.metrics_port = port
        self.receiver = receiver
        self.out = [str(self.database), receiver.address]
        self.address = ""
        self.began = time.monotonic()
        self.cameras = dict.fromkeys(CAMERAS)  # in the file: the host of each, None for any
        self.restarts = Counter()  # of each camera
        self.places = {}  # see `look`
        self.took = {}  # s of each step
        self.said = []  # lines of the command

    def add(self, host):
        """One more node."""
        return self.cluster.add_node(**NODE, labels={"microspot.host": host})

    def write(self):
        """Write the file, as an editor that is careful does."""
        lines = [
            "[fleet]",
            f'address = "{self.address}"',
            f"out = {json.dumps(self.out)}",
            f'metrics = "127.0.0.1:{self.metrics_port}"',
            "cameras_per_core = 4.0",
            "group_size = 4",
            "heartbeat_s = 0.5",
        ]
        for name, host in self.cameras.items():
            lines += ["[[camera]]", f'name = "{name}"', f'source = "{self.url}"']
            lines += [f'host = "{host}"'] if host else []
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(lines))
        new.replace(self.path)

    def supervise(self):
        command = [sys.executable, "-m", "tests.realtime.fleet.numbered", str(self.path)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.reader = threading.Thread(target=self._read, args=(self.process,))
        self.reader.start()

    def _read(self, process):
        for line in process.stderr:
            self.said.append(f"{time.monotonic() - self.began:6.1f} s  {line.rstrip()}")

    def close(self):
        """End the command, and show what it said."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        print(*self.said, sep="\n")

    def begin(self, *words, **variables):
        """Start a command of ours."""
        command = [sys.executable, "-m", "microspot.realtime", "fleet", *words]
        return subprocess.Popen(
            [*command, "--address", self.address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | variables,
        )

    def command(self, *words):
        """What a command of ours prints."""
        process = self.begin(*words)
        printed, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        return printed

    def look(self):
        """By camera: host, epoch of its group, reconnects; as they were, and as they are now."""
        before = self.places
        self.places = {
            camera["camera"]: (group["host"], group["epoch"], camera["reconnects"])
            for group in json.loads(self.command("status", "--json"))["groups"]
            for camera in group["cameras"]
        }
        return before, self.places

    def frames(self):
        """By camera: frames since its group began, from the page for Prometheus."""
        try:
            page = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics").read()
        except OSError:
            return {}
        found = re.findall(r'microspot_frames_total\{source="(.*?)"\} (\S+)', page.decode())
        return {name: float(value) for name, value in found}

    def live(self, names):
        """Whether exactly these cameras are watched, and all of them give frames."""
        frames = self.frames()
        return set(frames) == set(names) and min(frames.values()) > 0

    def records(self):
        connection = sqlite3.connect(self.database)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT record, recorded_utc FROM events").fetchall()
        gaps = connection.execute("SELECT source, reason FROM gaps").fetchall()
        connection.close()
        return [json.loads(row) | {"recorded_utc": at} for row, at in rows], gaps


def bursts_of(records, born_s):
    """By camera, the bursts that were found, in order; each event lies within one.

    A number comes once in a lap of the film; when an event was recorded says in which lap it was.
    """
    found = defaultdict(list)
    for record in records:
        first, last = numbered.numbers_of(record)
        assert first // numbered.EVERY == last // numbered.EVERY
        at_s = datetime.fromisoformat(record["recorded_utc"]).timestamp() - born_s
        lap = round((at_s - last * float(numbered.FRAME) - LAP_S / 4) / LAP_S)
        burst = first // numbered.EVERY + lap * FRAMES // numbered.EVERY
        found[record["source"]].append(burst)
    return {name: sorted(numbers) for name, numbers in found.items()}


def workers_of(pid):
    """Processes of actors that hold cameras, below a node's."""
    return {
        child
        for child in children_of(pid)
        if b"CameraGroup" in Path(f"/proc/{child}/cmdline").read_bytes()
    }


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def kill(node, kind):
    """Kill a process of a node, and take note of it: to Ray's actors a zombie seems to live."""
    process = node.all_processes[kind][0].process
    process.kill()
    process.wait()


def pid_of(node, kind):
    return node.all_processes[kind][0].process.pid


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_clip(path, FRAMES, time_base=numbered.FRAME)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, film):
    """The fleet with its cluster, its cameras' server and a webhook's receiver."""
    folder = tmp_path_factory.mktemp("fleet")
    variables = RAY | HEALTH | certificate(folder) | {"XDG_STATE_HOME": str(folder / "state")}
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in variables.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        receiver = Receiver()
        stack.callback(receiver.close)
        server = stack.enter_context(RtspServer(film, born=time.monotonic()))
        made = Fleet(folder, free_port(), receiver, server.url)
        head = NODE | {"include_dashboard": False, "labels": {"microspot.host": "a"}}
        made.cluster = Cluster(initialize_head=True, head_node_args=head)
        stack.callback(made.cluster.shutdown)
        made.nodes = {"a": made.cluster.head_node, "b": made.add("b")}
        made.address = made.cluster.address
        made.write()
        made.supervise()
        stack.callback(made.close)
        yield made


def test_eight_cameras_are_watched_on_two_nodes(fleet):
    wrong = "another token, which is as long as that one"
    fleet.refused = fleet.begin("status", RAY_AUTH_TOKEN=wrong)  # Ray takes 20 s for it
    fleet.took["start"] = wait_for(lambda: fleet.live(CAMERAS), PATIENCE_S, "eight cameras")
    _, places = fleet.look()
    hosts = [host for host, _, _ in places.values()]
    assert Counter(hosts) == {"a": 4, "b": 4}


def test_an_actor_that_is_killed_comes_back_under_a_new_epoch(fleet):
    worker = min(workers_of(pid_of(fleet.nodes["a"], "raylet")))
    os.kill(worker, signal.SIGKILL)
    killed = time.monotonic()
    fleet.said.append(f"{killed - fleet.began:6.1f} s  an actor is killed")
    wait_for(lambda: not fleet.live(CAMERAS), PATIENCE_S, "the death of an actor")
    wait_for(lambda: fleet.live(CAMERAS), PATIENCE_S, "its return")
    fleet.took["actor"] = time.monotonic() - killed
    before, after = fleet.look()
    assert {name: host for name, (host, _, _) in after.items()} == {
        name: host for name, (host, _, _) in before.items()
    }
    restarted = {name for name in CAMERAS if after[name][1] != before[name][1]}
    assert len(restarted) == 4
    assert all(after[name][1] > before[name][1] for name in restarted)
    fleet.restarts.update(restarted)


def test_the_cameras_of_a_node_that_dies_move(fleet):
    node = fleet.nodes.pop("b")
    slow = slowness()
    died = time.monotonic()
    kill(node, "raylet")
    fleet.said.append(f"{died - fleet.began:6.1f} s  a node is killed")
    wait_for(lambda: not fleet.live(CAMERAS), PATIENCE_S, "the death of a node")
    wait_for(lambda: fleet.live(CAMERAS), PATIENCE_S, "the moved cameras")
    fleet.took["node"] = time.monotonic() - died
    assert fleet.took["node"] < MOVED_S * max(slow, slowness())
    before, after = fleet.look()
    assert {host for host, _, _ in after.values()} == {"a"}
    moved = {name for name, (host, _, _) in before.items() if host == "b"}
    for name in set(CAMERAS) - moved:
        assert after[name] == before[name]
    fleet.restarts.update(moved)


def test_cameras_come_and_go_with_the_file(fleet):
    fleet.nodes["c"] = fleet.add("c")
    del fleet.cameras[CAMERAS[7]]
    fleet.cameras[LATER] = "c"
    fleet.write()
    wanted = [*CAMERAS[:7], LATER]
    fleet.took["change"] = wait_for(
        lambda: fleet.live(wanted), PATIENCE_S, "the change of the file"
    )
    before, after = fleet.look()
    assert after[LATER][0] == "c"
    assert set(after) == set(wanted)
    for name in CAMERAS[:7]:
        assert after[name] == before[name]


def test_a_drained_node_is_emptied_in_order(fleet):
    fleet.cameras[LATER] = None  # it may go elsewhere
    fleet.write()
    fleet.command("drain", "c")
    raylet = pid_of(fleet.nodes["c"], "raylet")
    began = time.monotonic()
    wait_for(lambda: not workers_of(raylet), PATIENCE_S, "the drained group's end")
    wait_for(lambda: fleet.live(fleet.cameras), PATIENCE_S, "the drained camera")
    fleet.took["drain"] = time.monotonic() - began
    before, after = fleet.look()
    assert after[LATER][0] == "a"
    for name in CAMERAS[:7]:
        assert after[name] == before[name]
    fleet.restarts[LATER] += 1


def test_who_has_another_token_is_refused(fleet):
    _, error = fleet.refused.communicate(timeout=60)
    assert fleet.refused.returncode == 4, error
    assert len(error.splitlines()) == 1
    assert "check address and token" in error


def test_nothing_acknowledged_is_lost_when_all_ends(fleet):
    time.sleep(3 * numbered.EVERY * float(numbered.FRAME))  # a few events from each camera
    actors = workers_of(pid_of(fleet.nodes["a"], "raylet"))
    for node, kinds in (("a", ("gcs_server", "raylet")), ("c", ("raylet",))):
        for kind in kinds:
            kill(fleet.nodes[node], kind)
    fleet.took["end"] = wait_for(
        lambda: not any(map(runs, actors)), PATIENCE_S, "the end of all actors"
    )
    fleet.took["command"] = wait_for(
        lambda: fleet.process.poll() is not None, PATIENCE_S, "the end of the command"
    )
    assert fleet.process.returncode not in (0, None)
    time.sleep(1)  # for what was on its way to the receiver
    acknowledged = {event["id"] for event in fleet.receiver.taken}
    records, gaps = fleet.records()
    stored = [record["id"] for record in records]
    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
    assert len(acknowledged) > 40
    assert {reason for _, reason in gaps} <= {"overload"}, gaps
    late = {name for name, _ in gaps}
    bursts = bursts_of(records, fleet.born_s)
    assert set(bursts) == {*CAMERAS, LATER}
    for name, found in bursts.items():
        assert len(found) == len(set(found)), f"{name}: a burst twice"
        breaks = sum(later > one + 1 for one, later in pairwise(found))
        assert breaks <= fleet.restarts[name] or name in late, f"{name}: {found}"
    print(f"slowness of the machine: {slowness():.1f}")
    print("s:", {name: round(took, 1) for name, took in fleet.took.items()})
    print("events:", len(stored), "acknowledged:", len(acknowledged), "overload:", len(late))
