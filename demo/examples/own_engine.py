"""An engine of your own: a numpy function for a network. This one says which half moved more.

Run it: python demo/examples/own_engine.py [SOURCE]
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microspot.engines import EngineSet, FunctionEngine, RecognizerSpec, load_engines
from microspot.realtime import Event, Pipeline, open_source

SPEC = RecognizerSpec(labels=("upper half", "lower half"), label_floor=0.5)


def which_half(clip: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """RGB clip (B, N, 3, S, S) -> classes (B, 2) that sum to 1, intensity (B, N) up to 1."""
    moved = np.abs(clip.astype(np.float32) - clip[:, :1]).mean(2)  # (B, N, S, S), from the onset on
    upper, lower = np.split(moved, 2, axis=2)
    halves = np.stack([upper.mean((1, 2, 3)), lower.mean((1, 2, 3))], axis=1) + 1e-6
    curve = moved.mean((2, 3))
    peak = curve.max(1, keepdims=True) + 1e-6
    return {"classes": halves / halves.sum(1, keepdims=True), "intensity": curve / peak}


def with_halves(engines: EngineSet) -> EngineSet:
    """The same spotter with our recognizer; tensors that differ from the spec are refused."""
    recognizer = FunctionEngine(which_half, *SPEC.tensors()["recognizer"])
    return replace(engines, name="halves", recognizer=recognizer, recognizer_spec=SPEC)


if __name__ == "__main__":
    source = open_source(sys.argv[1] if len(sys.argv) > 1 else "sample:synthetic:7")
    with load_engines() as shipped, Pipeline([source], with_halves(shipped)) as pipeline:
        for record in pipeline.run():
            if isinstance(record, Event) and record.status == "final":
                print(record.onset_frame, record.offset_frame, record.label, record.label_scores)
