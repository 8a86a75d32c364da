"""The measure of the crops' jitter: within its limit, and not deceived by smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.errors import DataError
from microspot.engines.evaluation.crop_jitter import measure


def test_steadiness_is_within_the_contract(clip: list[np.ndarray]) -> None:
    found = measure(clip[0], MediaPipeAligner, seconds=3)
    assert found.motion_px_rms <= 0.15
    assert found.motion_px_rms < 0.6 * found.unregistered_px_rms
    assert 0.9 <= found.me_survival <= 1.1


class Lazy(MediaPipeAligner):
    """Smooths crops over time, as no aligner may."""

    def __call__(self, image_bgr: np.ndarray, captured_ns: int) -> Any:
        found = super().__call__(image_bgr, captured_ns)
        (face,) = found.faces
        self.mean = 0.7 * getattr(self, "mean", face.pixels) + 0.3 * face.pixels
        object.__setattr__(face, "pixels", self.mean.astype(np.uint8))
        return found


def test_steadiness_sees_through_smoothing(clip: list[np.ndarray]) -> None:
    assert measure(clip[0], Lazy, seconds=0.6).me_survival < 0.8


def test_steadiness_needs_a_face() -> None:
    with pytest.raises(DataError, match="near-frontal"):
        measure(np.zeros((200, 200, 3), np.uint8), MediaPipeAligner, seconds=1)
