"""The neutral frames of the sample clip, their mesh, and an aligner for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.realtime.sources.synthetic_clip import NEUTRAL_FRAME, sample_clip

SAMPLE = sample_clip()


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    """The sample from its neutral frame on, 12 frames of 400x300."""
    with av.open(str(SAMPLE)) as file:
        stream = file.streams.video[0]
        file.seek(int((NEUTRAL_FRAME - 2) / stream.average_rate / stream.time_base), stream=stream)
        found = [
            (round(f.time * float(stream.average_rate)), f.to_ndarray(format="bgr24"))
            for f in _until(file, stream)
        ]
    return [image for index, image in found if index >= NEUTRAL_FRAME]


def _until(file: Any, stream: Any) -> Iterator[Any]:
    for frame in file.decode(stream):
        yield frame
        if round(frame.time * float(stream.average_rate)) >= NEUTRAL_FRAME + 11:
            return


@pytest.fixture(scope="module")
def aligner() -> Iterator[MediaPipeAligner]:
    with MediaPipeAligner() as shared:
        yield shared


@pytest.fixture(scope="module")
def mesh(aligner: MediaPipeAligner, clip: list[np.ndarray]) -> np.ndarray:
    return aligner.landmarks(clip[0])[0]
