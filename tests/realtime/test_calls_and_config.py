"""Batching of network calls; settings that refuse what they do not know."""

import numpy as np
import pytest

from microspot.engines.specs import SpotterSpec
from microspot.realtime.config import Settings
from microspot.realtime.errors import UsageError
from microspot.realtime.spotting.batching import InferenceRequest, run_batched


def double(sizes):
    """A step that calls the network once per size and returns what came back."""
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

    results = run_batched([double([3, 4]), double([3]), double([5, 4])], lambda name: net)
    assert batches == [(2, 3), (1, 5), (2, 4)]
    assert [[float(y[0, 0]) for y in found] for found in results] == [[6, 8], [6], [10, 8]]


def test_an_engine_may_reuse_its_buffers():
    buffer = np.zeros((1, 8), np.float32)

    def net(x):
        buffer[:] = x[0, 0]
        return {"y": buffer}

    results = run_batched([double([1]), double([2])], lambda name: net)
    assert [float(found[0][0, 0]) for found in results] == [1, 2]


def test_steps_that_call_nothing_return_at_once():
    def nothing():
        return 7
        yield

    assert run_batched([nothing(), nothing()], lambda name: None) == [7, 7]


def test_option_beats_file_beats_manifest(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("threshold = 0.4\nproposal_threshold = 0.2\n")
    settings = Settings.load(path, threshold=0.7, faces=None)
    spec = settings.spotter(SpotterSpec(t_crn=0.9, t_cpn=0.9, t_nms=0.3))
    assert (spec.t_crn, spec.t_cpn, spec.t_nms) == (0.7, 0.2, 0.3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hopp = 2", "did you mean 'hop'"),
        ("hop = 0", "hop"),
        ("hop = ", "configuration"),  # not TOML
        ("ring_ticks = 100", "cluster_ticks"),  # a ring that cannot hold a cluster
        ("nms_rule = 'best'", "nms_rule"),
    ],
)
def test_bad_settings_say_what_is_wrong(tmp_path, text, words):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        Settings.load(path)
