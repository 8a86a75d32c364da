"""Inference requests of equal shape share a batch; results are those of each alone."""

import numpy as np

from microspot.realtime.spotting.batching import InferenceRequest, run_batched


def request_each(sizes):
    """Steps that request the network once per size and return what came back."""
    found = []
    for size in sizes:
        out = yield InferenceRequest("net", {"x": np.full((1, size), size, np.float32)})
        found.append(out["y"])
    return found


def test_equal_shapes_share_a_batch_and_others_do_not():
    batches = []

    def net(x):
        batches.append(x.shape)
        return {"y": 2 * x}

    results = run_batched(
        [request_each([3, 4]), request_each([3]), request_each([5, 4])], lambda name: net
    )
    assert batches == [(2, 3), (1, 5), (2, 4)]
    assert [[float(y[0, 0]) for y in found] for found in results] == [[6, 8], [6], [10, 8]]


def test_an_engine_may_reuse_its_buffers():
    buffer = np.zeros((1, 8), np.float32)

    def net(x):
        buffer[:] = x[0, 0]
        return {"y": buffer}

    results = run_batched([request_each([1]), request_each([2])], lambda name: net)
    assert [float(found[0][0, 0]) for found in results] == [1, 2]


def test_steps_that_request_nothing_return_at_once():
    def nothing():
        return 7
        yield

    assert run_batched([nothing(), nothing()], lambda name: None) == [7, 7]
