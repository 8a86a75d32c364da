"""Synthetic video: the same seed gives the same frames, with several micro-expressions in them."""

from __future__ import annotations

import numpy as np

from microspot.engines.data.faces import FaceAsset
from microspot.engines.data.generator.video_scene import render_video


def test_video_keeps_its_size_times_background_and_seed(face: FaceAsset) -> None:
    moves, stream = render_video(face.image, face.landmarks, 3, 1.0, 30)
    frames = list(stream)
    assert [at for at, _ in frames] == [round(i * 1e9 / 30) for i in range(30)]
    assert {image.shape for _, image in frames} == {face.image.shape}
    assert {image.dtype for _, image in frames} == {np.dtype(np.uint8)}
    again_moves, again = render_video(face.image, face.landmarks, 3, 1.0, 30)
    assert again_moves == moves
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(frames, again, strict=True))
    assert not np.array_equal(
        frames[0][1], next(render_video(face.image, face.landmarks, 4, 2.0, 30)[1])[1]
    )


def test_half_a_minute_of_video_holds_several_micro_expressions(face: FaceAsset) -> None:
    counts = []
    for seed in range(4):
        moves, _ = render_video(face.image, face.landmarks, seed, 30.0, 30)
        counts.append([move.kind for move in moves].count("micro"))
    assert 4 <= np.mean(counts) <= 9
    assert min(counts) >= 2
