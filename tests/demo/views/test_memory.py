"""The server frees what a page held, however it leaves, and other pages notice nothing."""

import gc
import itertools
from collections import Counter

import pytest

from microspot.demo.views.camera import CameraSession
from microspot.demo.views.live import LiveSession
from microspot.demo.views.pipeline_run import PipelineRun
from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.loading import load_engines
from microspot.engines.runtime.engine import EngineSet
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Frame
from microspot.realtime.session import Session
from microspot.realtime.sources.open import open_source
from microspot.realtime.sources.push import PushSource
from tests.clips import write_still
from tests.demo.serving import (
    at_work,
    connect_page,
    drop_connection,
    frame,
    jpeg,
    serving,
    until,
    wait_for,
)

HEAVY = (
    CameraSession,
    EngineSet,
    LiveSession,
    MediaPipeAligner,
    Pipeline,
    PushSource,
    PipelineRun,
    Session,
)
FRAMES = 6
VISITS = 3
STEP_US = 33_333


@pytest.fixture(scope="module")
def pictures():
    """JPEGs with a face, so that sessions are made."""
    with open_source("sample") as source:
        frames = (record for record in source if isinstance(record, Frame))
        return [jpeg(frame.image) for frame in itertools.islice(frames, FRAMES)]


def held():
    """How many of each heavy thing are alive, and the threads of runs."""
    gc.collect()
    return Counter(type(o).__name__ for o in gc.get_objects() if type(o) in HEAVY), len(at_work())


def exchange(page, pictures, turn):
    """Frames one by one, each answered with a face and nothing refused."""
    for k, picture in enumerate(pictures, turn * len(pictures)):
        page.send(frame(k, 1_000_000 + k * STEP_US, picture))
        answer, before = until(page, "frame")
        assert answer["seq"] == k
        assert answer["faces"]
        assert not {"refused", "error", "end", "gap"} & {message["type"] for message in before}


def test_a_page_that_vanishes_leaves_the_other_undisturbed_and_the_memory_as_it_was(pictures):
    others = held()[0]  # of tests before, in whatever order they run

    def alive(kind):
        return held()[0][kind] - others[kind]

    with serving(load_engines) as port, connect_page(port, "live") as stays:
        until(stays, "start")
        exchange(stays, pictures, 0)
        wait_for(lambda: alive("EngineSet") == 1)  # the warm-up has ended
        alone = held()
        for kind in ("LiveSession", "Pipeline", "PipelineRun", "Session"):
            assert alive(kind) == 1
        for turn in range(1, 1 + VISITS):
            with connect_page(port, "live") as leaves:
                until(leaves, "start")
                exchange(leaves, pictures, 0)
                exchange(stays, pictures, turn)
                assert alive("Session") == 2
                drop_connection(leaves)
        exchange(stays, pictures, 1 + VISITS)
        wait_for(lambda: held() == alone)


def test_a_camera_that_is_looked_at_again_and_again_holds_no_more_than_once(tmp_path):
    wall = str(write_still(tmp_path / "wall.mp4", 90, 60))

    def look(port):
        with connect_page(port, "camera?source=0") as page:
            until(page, "start")
            drop_connection(page)
        wait_for(lambda: not at_work())

    with serving(sources=[wall], linger_s=0.01) as port:
        look(
            port
        )  # MediaPipe's first import keeps a traceback, and what stood in its frames, for ever
        look(port)
        wait_for(lambda: not held()[0]["CameraSession"])
        before = held()
        for _ in range(VISITS):
            look(port)
        wait_for(lambda: held() == before)
