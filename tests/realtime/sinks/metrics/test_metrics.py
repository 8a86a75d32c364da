"""Prometheus reads what a run counts; strangers read nothing, and the slow are not waited for."""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from microspot.engines.alignment.aligner import Alignment
from microspot.engines.errors import DataError, UsageError
from microspot.realtime.feed import Sighting
from microspot.realtime.gaps import joined
from microspot.realtime.meter import (
    DECISION_S,
    LATENCY_S,
    Counts,
    Figures,
    Histogram,
    Meter,
    Rate,
    SourceFigures,
)
from microspot.realtime.pipeline import Pipeline, SourceEnd
from microspot.realtime.records import Event, Frame, Gap, SourceState
from microspot.realtime.sinks.metrics import sink as sink_module
from microspot.realtime.sinks.metrics.families import COUNTERS, GAUGES, HISTOGRAMS, PREFIX
from microspot.realtime.sinks.metrics.sink import MetricsSink
from microspot.realtime.sinks.network import entrance
from microspot.realtime.sinks.network.http_server import LATE_S, BoundedServer
from microspot.realtime.sinks.open import open_sink
from microspot.realtime.source_run import SourceRun
from microspot.realtime.watch import follow
from tests import fakes
from tests.realtime.sinks.network.test_webhook import certificate
from tests.realtime.test_feed import STEP, Faces, Times
from tests.realtime.test_watch import FakeRecords

DASHBOARD = Path(__file__).resolve().parents[4] / "demo" / "examples" / "grafana.json"
TOKEN = "sixteen-bytes-or-more"
MOST_MS = 0.2  # more CPU a frame
ODD = 'a "camera"\\in\nthe hall'


def counts(bounds: tuple[float, ...], *values: float) -> Counts:
    histogram = Histogram(bounds)
    for value in values:
        histogram.add(value)
    return histogram.now()


FIGURES = Figures(
    {"align": counts(LATENCY_S, 0.004, 0.005, 7.0)},
    (
        SourceFigures(
            source=ODD,
            camera_hz=30.0,
            process_hz=29.5,
            frames=900,
            events=3,
            drops={"overload": 5, "thinned": 2},
            rejected={"no face": 7},
            gaps={"connection lost": 2},
            reconnects=1,
            latency=counts(LATENCY_S, 0.02, 0.03),
            decision_delay=counts(DECISION_S, 0.9),
            faces={0: (0.8, 150.0), 1: (0.5, 80.0)},
        ),
    ),
)


@pytest.fixture
def sink() -> Iterator[MetricsSink]:
    made = opened("127.0.0.1:0")
    made.observe(lambda: FIGURES)
    yield made
    made.close()


def opened(address: str) -> MetricsSink:
    made = open_sink(f"metrics:{address}")
    assert isinstance(made, MetricsSink)
    return made


def ask(sink: MetricsSink, path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    """Status, type and text of what a request is answered."""
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=60)
    client.putrequest("GET", path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{sink.port}"} | headers).items():
        client.putheader(name, value)
    client.endheaders()
    response = client.getresponse()
    text = response.read().decode()
    client.close()
    return response.status, response.getheader("Content-Type") or "", text


def samples(text: str, parse: Callable[[str], Any] = text_string_to_metric_families) -> dict:
    """Values by name and labels, as a parser of Prometheus reads them."""
    return {
        (sample.name.removeprefix(PREFIX), *sorted(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_prometheus_reads_every_figure_in_both_formats(sink: MetricsSink) -> None:
    code, kind, text = ask(sink)
    assert (code, kind.partition(";")[0]) == (200, "text/plain")
    _, newer, strict = ask(sink, Accept="application/openmetrics-text; version=1.0.0")
    assert newer.startswith("application/openmetrics-text")
    found = samples(text)
    assert samples(strict, openmetrics_families) == found
    source = ("source", ODD)
    assert found["camera_fps", source] == 30
    assert found["process_fps", source] == 29.5
    assert found["frames_total", source] == 900
    assert found["events_total", source] == 3
    assert found["dropped_total", ("cause", "overload"), source] == 5
    assert found["rejected_total", ("reason", "no face"), source] == 7
    assert found["gaps_total", ("reason", "connection lost"), source] == 2
    assert found["reconnects_total", source] == 1
    assert found["face_quality", ("face", "1"), source] == 0.5
    assert found["face_width_pixels", ("face", "0"), source] == 150
    assert found["decision_delay_seconds_sum", source] == 0.9
    assert found["e2e_latency_seconds_count", source] == 2
    align = ("stage", "align")
    buckets = {key[1][1]: value for key, value in found.items() if align in key and len(key) == 3}
    assert len(buckets) == len(LATENCY_S) + 1
    assert (buckets["0.0025"], buckets["0.005"], buckets["5.0"], buckets["+Inf"]) == (0, 2, 2, 3)
    assert found["stage_seconds_sum", align] == pytest.approx(7.009)


def test_the_dashboard_asks_for_what_there_is_and_shows_all_of_it(sink: MetricsSink) -> None:
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked.append(board["templating"]["list"][1]["query"]["query"])
    names = {name for expression in asked for name in re.findall(r"microspot_\w+", expression)}
    served = {f"{PREFIX}{name[0]}" for name in samples(ask(sink)[2])}
    assert names <= served
    shown = {name.removesuffix("_bucket").removesuffix("_total") for name in names}
    assert shown == {f"{PREFIX}{metric.name}" for metric in (*GAUGES, *COUNTERS, *HISTOGRAMS)}
    labels = set(re.findall(r"by \((?:le, )?([\w, ]+)\)", " ".join(asked)))
    assert labels == {"source", "source, cause", "source, reason", "stage"}


def test_a_foreign_origin_another_name_and_no_token_are_refused(
    sink: MetricsSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(sink, Origin=f"http://localhost:{sink.port}")[0] == 200
    for headers, code in (
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": f"evil.example:{sink.port}"}, 421),
    ):
        status, _, text = ask(sink, **headers)
        assert status == code
        assert PREFIX not in text
    assert ask(sink, "/")[0] == 404
    monkeypatch.setenv("MICROSPOT_METRICS_TOKEN", TOKEN)
    with opened("localhost:0") as guarded:
        assert ask(guarded)[0] == 401
        assert ask(guarded, Authorization="Bearer wrong")[0] == 401
        assert ask(guarded, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert TOKEN not in repr(guarded.gate)


@pytest.mark.parametrize("address", ["", "9108", "127.0.0.1", "127.0.0.1:99999", "http://a:1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"expected HOST:PORT, such as 127\.0\.0\.1:9108"):
        open_sink(f"metrics:{address}")


def test_beyond_this_machine_a_token_and_tls_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = certificate(tmp_path)
    monkeypatch.setattr(entrance, "BRACKETED", ())  # so that the loopback is beyond it
    with pytest.raises(UsageError, match="it needs MICROSPOT_METRICS_TOKEN, and TLS"):
        opened("127.0.0.1:0")
    monkeypatch.setenv("MICROSPOT_METRICS_TOKEN", TOKEN)
    with pytest.raises(UsageError, match="and TLS by MICROSPOT_METRICS_CERT"):
        opened("127.0.0.1:0")
    monkeypatch.setenv("MICROSPOT_METRICS_CERT", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="no certificate and key can be read"):
        opened("127.0.0.1:0")
    monkeypatch.setenv("MICROSPOT_METRICS_CERT", str(chain))
    monkeypatch.setenv("MICROSPOT_METRICS_KEY", str(key))
    for wildcard in ("0.0.0.0:0", "[::]:0"):
        with pytest.raises(UsageError, match="by which clients call this machine"):
            opened(wildcard)
    monkeypatch.delenv("MICROSPOT_METRICS_TOKEN")
    with pytest.raises(UsageError, match="it needs MICROSPOT_METRICS_TOKEN"):
        opened("127.0.0.1:0")
    monkeypatch.setenv("MICROSPOT_METRICS_TOKEN", TOKEN)
    with opened("localhost:0") as made:
        trusting = ssl.create_default_context(cafile=str(chain))
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        silent = socket.create_connection(("127.0.0.1", made.port))  # shakes no hands
        for headers, code in ((bearer, 200), ({}, 401), (bearer | {"Host": "127.0.0.1:1"}, 421)):
            client = http.client.HTTPSConnection(
                "localhost", made.port, context=trusting, timeout=20
            )
            client.request("GET", "/metrics", headers=headers)
            assert client.getresponse().status == code
            client.close()
        silent.close()
        assert made.note == f"serving figures on port {made.port}"


def test_a_port_that_is_taken_is_said(sink: MetricsSink) -> None:
    with pytest.raises(DataError, match=rf"cannot listen on 127.0.0.1:{sink.port}: .*in use"):
        opened(f"127.0.0.1:{sink.port}")


def wait_for_places(sink: MetricsSink, count: int) -> None:
    """Until so many more requests would be served."""
    until = time.monotonic() + 60
    while sink._server._places._value != count:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_those_that_are_too_many_are_turned_away_and_the_others_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink_module, "REQUEST_S", 120.0)
    monkeypatch.setattr(sink_module, "MOST_REQUESTS", 3)
    with opened("127.0.0.1:0") as made, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection(("127.0.0.1", made.port), 60))
        assert ask(made)[0] == 200, "nobody waits for those that say nothing"
        wait_for_places(made, 1)  # the request that was answered has left
        stack.enter_context(socket.create_connection(("127.0.0.1", made.port), 60))
        wait_for_places(made, 0)
        with socket.create_connection(("127.0.0.1", made.port), 60) as fourth:
            assert fourth.recv(1) == b""
        stack.close()
        wait_for_places(made, 3)
        assert ask(made)[0] == 200
    assert "metrics" not in [thread.name for thread in threading.enumerate()]


def test_a_client_that_never_comes_to_an_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "REQUEST_S", 2.0)
    with opened("127.0.0.1:0") as made:
        with socket.create_connection(("127.0.0.1", made.port), 60) as dripping:
            dripping.sendall(b"GET /metrics HTTP/1.1\r\na: ")  # a line without an end
            until = time.monotonic() + 30
            with suppress(OSError):
                while time.monotonic() < until:
                    dripping.sendall(b"b")  # each read in time
                    time.sleep(0.1)
            assert time.monotonic() < until
        wait_for_places(made, sink_module.MOST_REQUESTS)


class Acting(Faces):
    """An aligner of one face that moves now and then, and is away for a second."""

    def __init__(self) -> None:
        super().__init__(lambda ns: set() if 100 <= round(ns / STEP) < 130 else {0})
        self._features = fakes.features(np.random.default_rng(7), 300)

    def __call__(self, image: object, captured_ns: int) -> Alignment:
        found = super().__call__(image, captured_ns)
        pixels = np.zeros((3, fakes.SIDE, fakes.SIDE), np.uint8)
        pixels[0, 0, : fakes.L] = self._features[:, round(captured_ns / STEP)] * 16
        faces = (dataclasses.replace(face, pixels=pixels, width_px=99.0) for face in found.faces)
        return Alignment(tuple(faces), found.rejected)


def pipeline_of() -> Pipeline:
    """A pipeline over a scripted source."""
    thinned = [k * STEP + STEP // 8 for k in (50, 60)]
    source = Times(sorted([*(i * STEP for i in range(300)), *thinned]))
    return Pipeline([source], fakes.engine_set(), aligner=lambda *_: Acting())


def run_of() -> tuple[Pipeline, list[object]]:
    """The same, run to its end, and its records."""
    with pipeline_of() as pipeline:
        return pipeline, list(pipeline.run())


def test_figures_are_what_the_run_says_of_itself() -> None:
    pipeline, found = run_of()
    (figures,) = pipeline.figures().sources
    (end,) = (record for record in found if isinstance(record, SourceEnd))
    gaps = [record for record in found if isinstance(record, Gap)]
    finals = [r for r in found if isinstance(r, Event) and r.status == "final"]
    assert len(gaps) > len(joined(gaps)) == 1
    assert finals
    assert end.drops == {"thinned": 2}
    assert (figures.frames, figures.events) == (end.frames, end.events)
    assert (figures.drops, figures.rejected) == (end.drops, end.rejected)
    assert sum(figures.gaps.values()) == 1, "an outage is one, however many records it has"
    assert sum(figures.latency.counts) == end.frames - sum(end.drops.values())
    assert sum(figures.decision_delay.counts) == len(finals)
    delays = sum(event.emitted_ns - event.offset_ns for event in finals) / 1e9
    assert figures.decision_delay.total == pytest.approx(delays)
    assert (figures.camera_hz, figures.process_hz, figures.faces) == (0.0, 0.0, {}), "it is over"
    stages = pipeline.figures().stages
    table = pipeline.meter.table()
    assert {"capture", "align", "encoder"} <= set(stages) == set(table)
    assert all(sum(stages[name].counts) == table[name]["count"] for name in stages)


def test_what_a_source_is_doing_now_is_told_while_it_runs() -> None:
    seen: list[SourceFigures] = []
    pipeline = pipeline_of()
    pipeline.draw = lambda *_: seen.append(pipeline.figures().sources[0])
    with pipeline:
        list(pipeline.run())
    assert seen[-1].camera_hz == pytest.approx(30, abs=0.1)
    assert seen[-1].process_hz > 0
    assert seen[-1].faces == {0: (1.0, 99.0)}
    assert seen[125].faces == {}, "nobody is there"


def test_a_connection_that_is_lost_and_comes_back_is_a_reconnection() -> None:
    feed = SimpleNamespace(source=SimpleNamespace(name="cam", drops={}), rate=Rate())
    feed.rate.add(0)
    feed.rate.add(40_000_000)
    run = SourceRun(feed)  # type: ignore[arg-type]
    told = []
    for state in ("connecting", "live", "lost", "connecting", "live", "lost", "live"):
        run.count_state(SourceState("cam", state))  # type: ignore[arg-type]
        figures = run.figures()
        told.append((figures.reconnects, figures.camera_hz))
    assert told == [(0, 0), (0, 25), (0, 0), (0, 0), (1, 25), (1, 0), (2, 25)]


def test_a_rate_falls_while_nothing_comes() -> None:
    rate = Rate()
    assert rate.mean_hz(0) == 0
    for i in range(11):
        rate.add(i * 100_000_000)
    assert rate.mean_hz(1_000_000_000) == pytest.approx(10)
    assert rate.mean_hz(2_000_000_000) == pytest.approx(5)


def test_histograms_of_several_threads_and_processes_lose_nothing() -> None:
    meter = Meter()

    def work() -> None:
        for _ in range(20_000):
            meter.add("align", 3.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one = Figures(meter.histograms(), FIGURES.sources)
    both = Figures.joined([one, FIGURES])
    assert sum(one.stages["align"].counts) == 80_000
    assert sum(both.stages["align"].counts) == 80_003
    assert both.stages["align"].total == pytest.approx(80_000 * 0.003 + 7.009)
    assert len(both.sources) == 2


def test_a_run_gives_its_sinks_the_figures_of_now(sink: MetricsSink) -> None:
    class Records(FakeRecords):
        def figures(self) -> Figures:
            return Figures(sources=FIGURES.sources)

        def run(self) -> Iterator[Any]:
            asked.append(ask(other)[2])
            yield from super().run()

    asked: list[str] = []
    other = opened("127.0.0.1:0")
    follow(Records(), [other])
    assert samples(asked[0])["frames_total", ("source", ODD)] == 900


def cpu_ms(act: Callable[[], object], times: int) -> float:
    """CPU of this thread for one call, the least of some rounds: others may be busy."""
    rounds = []
    for _ in range(5):
        began_ns = time.thread_time_ns()
        for _ in range(times):
            act()
        rounds.append((time.thread_time_ns() - began_ns) / times / 1e6)
    return min(rounds)


def test_counting_and_a_question_every_second_cost_little_cpu_a_frame(sink: MetricsSink) -> None:
    meter = Meter()
    pipeline, _ = run_of()
    (run,) = pipeline._runs
    sighting = Sighting(Frame("cam", 0, 0, np.zeros((2, 2, 3), np.uint8)), 0)
    stages = ("capture", "align", "encoder", "proposer", "refiner", "recognizer", "draw")

    def frame() -> None:
        for stage in stages:
            meter.add(stage, 3.0)
        run.count_processed(sighting)

    sink.observe(lambda: Figures(meter.histograms(), (run.figures(),)))
    counted = cpu_ms(frame, 1000)
    asked = cpu_ms(lambda: sink._page(""), 20)
    more_ms = counted + asked / 30
    print(f"{more_ms:.3f} ms of CPU a frame; a question takes {asked:.1f} ms")
    assert more_ms < MOST_MS


def test_the_command_serves_metrics_of_all_its_processes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "microspot.realtime", "watch", "sample:synthetic:7"]
    command += ["sample:synthetic:8", "--pace", "--processes", "2", "--seconds", "8", "--json"]
    command += ["--metrics", f"127.0.0.1:{port}"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    running.stdout.readline()  # the `start` record
    found: dict = {}
    until = time.monotonic() + 60
    while time.monotonic() < until and running.poll() is None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request("GET", "/metrics")
        found = samples(client.getresponse().read().decode())
        client.close()
        frames = [value for key, value in found.items() if key[0] == "frames_total"]
        if len(frames) == 2 and min(frames) > 30:
            break
        time.sleep(0.2)
    assert len(frames) == 2
    assert min(frames) > 30
    running.communicate(timeout=120)
    assert running.returncode == 0


def test_a_server_sleeps_while_nobody_asks_and_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[float] = []
    act = BoundedServer.service_actions

    def look(server: BoundedServer) -> None:
        looked.append(time.monotonic())
        act(server)

    monkeypatch.setattr(BoundedServer, "service_actions", look)
    sink = MetricsSink("metrics:127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", sink.port)) as asking:
        asking.sendall(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{sink.port}\r\n\r\n".encode())
        while asking.recv(4096):
            pass
    time.sleep(2 * LATE_S)  # until it has seen that nobody waits any more
    before = len(looked)
    time.sleep(3 * LATE_S)
    assert len(looked) == before
    began_s = time.monotonic()
    sink.close()
    assert time.monotonic() - began_s < LATE_S
