"""Landmarkers share MediaPipe's tasks, at most one for each core, and none outlives its users."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import cv2
import numpy as np
import pytest

from microspot.engines.alignment import landmarker as landmarker_module
from microspot.engines.alignment.landmarker import Landmarker
from microspot.engines.errors import EngineError
from microspot.realtime.sources.open import open_sources
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = str(sample_clip())


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on one core, with nothing open."""
    monkeypatch.setattr(landmarker_module, "available_cores", lambda: 1)
    monkeypatch.setattr(landmarker_module, "_tasks", [])
    yield
    assert landmarker_module._tasks == []


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """The sample's first frame as it is, mirrored, shifted, and without a face."""
    (source,) = open_sources([SAMPLE])
    with source:
        image = next(iter(source)).image
    return [
        image,
        np.ascontiguousarray(image[:, ::-1]),
        np.roll(image, 20, axis=1),
        np.zeros_like(image),
    ]


def test_landmarkers_share_a_task_and_answer_as_if_alone(images: list[np.ndarray]) -> None:
    alone = []
    for image in images:
        with closing(Landmarker(1)) as landmarker:
            alone.append(landmarker(image))
    with ExitStack() as stack:
        several = [stack.enter_context(closing(Landmarker(1))) for _ in images]
        assert len(landmarker_module._tasks) == 1
        pool = stack.enter_context(ThreadPoolExecutor(len(images)))
        for _ in range(3):
            answers = pool.map(lambda landmarker, image: landmarker(image), several, images)
            for expected, found in zip(alone, answers, strict=True):
                np.testing.assert_array_equal(found, expected)
    assert [len(meshes) for meshes in alone] == [1, 1, 1, 0]


def test_the_last_one_frees_the_task(images: list[np.ndarray]) -> None:
    one = Landmarker(1)
    other = Landmarker(1)
    one.close()
    one.close()
    assert len(other(images[0])) == 1
    with pytest.raises(EngineError, match="closed"):
        one(images[0])
    other.close()
    assert landmarker_module._tasks == []


def test_one_that_is_never_closed_is_given_back_when_it_is_collected() -> None:
    with closing(Landmarker(1)) as kept:
        forgotten = Landmarker(1)
        assert kept._task.users == 2
        del forgotten
        gc.collect()
        assert kept._task.users == 1


def test_other_numbers_of_faces_and_free_cores_get_tasks_of_their_own(
    images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = np.hstack([images[0], images[1]])
    with closing(Landmarker(1)) as one, closing(Landmarker(2)) as two:
        assert len(landmarker_module._tasks) == 2
        enlarged = cv2.resize(pair, None, fx=2, fy=2)
        assert len(one(enlarged)) == 1
        assert len(two(enlarged)) == 2
        monkeypatch.setattr(landmarker_module, "available_cores", lambda: 2)
        with closing(Landmarker(1)), closing(Landmarker(1)):
            assert sorted(task.users for task in landmarker_module._tasks) == [1, 1, 2]


def test_one_that_is_dropped_while_it_looks_is_released_without_waiting_for_itself(
    images: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    begun = threading.Event()
    dropped = threading.Event()
    done = threading.Event()
    holder = [Landmarker(1)]

    def look(image: np.ndarray) -> list[np.ndarray]:
        begun.set()
        assert dropped.wait(60)
        holder.clear()  # the last reference goes in the landmarker's own thread
        gc.collect()
        done.set()
        return []

    answer = holder[0].run(look, images[0])
    thread = landmarker_module._tasks[0].thread
    assert begun.wait(60)
    dropped.set()
    assert done.wait(60)
    assert answer.result(60) == []
    thread.shutdown(wait=True)  # the model was closed last
    assert "cannot join" not in capsys.readouterr().err
