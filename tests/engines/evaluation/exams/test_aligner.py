"""The aligner's jitter, measured on one portrait."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import pytest

from microspot.engines.data.generator.timeline import Recipe
from microspot.engines.errors import DataError
from microspot.engines.evaluation.exams.aligner import examine_aligner
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()


def test_a_portrait_is_measured_beside_the_model(tmp_path: Path) -> None:
    with av.open(str(SAMPLE)) as file:
        image = next(f.to_ndarray(format="bgr24") for f in file.decode(video=0))
    cv2.imwrite(str(tmp_path / "0.png"), image)
    lines: list[str] = []
    report = examine_aligner(tmp_path, share=1.0, seconds=1.0, progress=lines.append)
    assert (report["faces"], report["lost"]) == (1, 0)
    low, middle, high = report["motion_px"]
    assert 0 < low == middle == high < 0.5
    assert report["landmarks_px"][1] > middle
    assert report["model_px"][1] > Recipe().jitter_px[1]
    assert len(lines) == 1


def test_a_folder_without_portraits_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="portraits"):
        examine_aligner(tmp_path)
