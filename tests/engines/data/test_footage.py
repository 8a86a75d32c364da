"""Real video, read, aligned and annotated: against what can be seen in the sample webcam clip,
frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from microspot.engines.alignment.aligner import AlignOptions
from microspot.engines.data import footage as subject
from microspot.engines.data.footage import (
    Footage,
    MeshAligner,
    align_shots,
    read_footage,
)
from microspot.engines.errors import DataError
from microspot.engines.evaluation.exams import mesh_annotation
from microspot.engines.evaluation.exams.mesh_annotation import Annotation, annotate, runs
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()
FRAME_NS = 40_000_000


@pytest.fixture(scope="module")
def aligner() -> Iterator[MeshAligner]:
    with MeshAligner() as shared:
        yield shared


@pytest.fixture(scope="module")
def blinking(aligner: MeshAligner) -> Footage:
    """Frames 625 to 664: one blink, frames 640 to 645."""
    aligner.reset()
    return read_footage(SAMPLE, 25.0, 26.6, aligner)


def _seen(footage: Footage, flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last frame of the file in each run."""
    numbers = footage.at_ns // FRAME_NS
    return [(int(numbers[a]), int(numbers[b - 1])) for a, b in runs(flags, (0, len(flags)))]


def test_reads_the_part_asked_for_with_the_file_s_own_times(blinking: Footage) -> None:
    assert blinking.times_ns.tolist() == [i * FRAME_NS for i in range(625, 665)]
    assert blinking.aligned.tolist() == list(range(40))
    assert blinking.crops.shape == (40, 3, 112, 112)
    assert blinking.affines.shape == (40, 2, 3)
    assert blinking.landmarks.shape == (40, 478, 2)
    assert blinking.segments() == [(0, 40)]
    nose = blinking.landmarks[:, 4]
    in_crop = np.einsum("nij,nj->ni", blinking.affines[:, :, :2], nose) + blinking.affines[:, :, 2]
    assert np.all(np.abs(in_crop - 56) < 25)  # the nose is in the middle of its crop


def test_the_blink_is_found_and_nothing_else_is_called_blink_or_speech(blinking: Footage) -> None:
    annotation = annotate(blinking)
    ((first, last),) = _seen(blinking, annotation.blink)
    assert abs(first - 640) <= 1
    assert abs(last - 645) <= 1
    assert not annotation.mouth.any()
    assert not (annotation.quiet & annotation.blink).any()
    assert _seen(blinking, annotation.quiet)[0][0] == 625


def test_an_opening_mouth_is_speech_and_no_quiet(aligner: MeshAligner) -> None:
    aligner.reset()
    footage = read_footage(SAMPLE, 3.5, 5.0, aligner, keep_frames=False)
    annotation = annotate(footage)
    ((first, last),) = _seen(footage, annotation.mouth)
    assert abs(first - 102) <= 4  # the lips part in frame 104 or 105, and stay apart
    assert last == 124
    assert not (annotation.quiet & annotation.mouth).any()
    assert not annotation.blink.any()
    assert footage.frames == []


def test_a_still_face_is_quiet(aligner: MeshAligner) -> None:
    aligner.reset()
    footage = read_footage(SAMPLE, 46.0, 47.0, aligner)
    assert annotate(footage).quiet.all()


def test_known_meshes_give_the_same_crops(blinking: Footage, aligner: MeshAligner) -> None:
    aligner.reset()
    shots = zip(blinking.times_ns.tolist(), blinking.frames, strict=True)
    again = align_shots("again", shots, aligner, known=blinking.meshes)
    assert np.array_equal(again.crops, blinking.crops)
    assert np.array_equal(again.affines, blinking.affines)


def test_a_break_of_more_than_the_bridge_ends_a_segment(blinking: Footage) -> None:
    # one, two, three and many frames missing
    keep = np.r_[0:10, 11:19, 21:23, 26:28, 39]
    broken = replace(
        blinking,
        aligned=blinking.aligned[keep],
        crops=blinking.crops[keep],
        affines=blinking.affines[keep],
        landmarks=blinking.landmarks[keep],
    )
    assert broken.segments() == [(0, 20), (20, 22)]  # a single frame is no segment
    assert broken.minutes == pytest.approx((22 + 1) * 0.04 / 60)
    annotation = annotate(broken)
    assert isinstance(annotation, Annotation)
    assert not annotation.quiet[22]


def test_eyes_that_return_from_wide_have_not_blinked(blinking: Footage) -> None:
    at = np.arange(60) / 25
    mesh = np.tile(blinking.landmarks[0], (60, 1, 1))
    for upper, lower, _, _ in mesh_annotation.LIDS:
        mesh[:, upper] = mesh[:, lower] + (0.0, -4.0)
        mesh[:30, upper] = mesh[:30, lower] + (0.0, -8.0)
    assert mesh_annotation.openness(mesh, at)[30:].min() > 0.99
    for upper, lower, _, _ in mesh_annotation.LIDS:
        mesh[40:43, upper] = mesh[40:43, lower] + (0.0, -1.0)
    assert mesh_annotation.openness(mesh, at)[40:43].max() < mesh_annotation.SHUT
    assert np.flatnonzero(mesh_annotation._blinks(mesh, at)).tolist() == [40, 41, 42]
    mesh[41:43] = mesh[45]
    assert not mesh_annotation._blinks(mesh, at).any()  # one frame is no blink


def test_small_faces_are_read_by_the_gates_that_the_aligner_has() -> None:
    small = read_footage(SAMPLE, 37.2, 37.6)  # under 90 px wide
    assert len(small.aligned) == len(small.frames)
    with MeshAligner(options=AlignOptions(min_face_px=90.0)) as aligner:
        none = read_footage(SAMPLE, 37.2, 37.6, aligner)
    assert len(none.aligned) == 0
    assert none.crops.shape == (0, 3, 112, 112)


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.bit_rate = 8_000_000
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        file.mux(stream.encode())


def test_what_cannot_be_read_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for path in (tmp_path / "none.mp4", text):
        with pytest.raises(DataError, match=f"{path.name}: not a video that can be read"):
            read_footage(path)
    with pytest.raises(DataError, match=r"webcam\.mp4: no frame there"):
        read_footage(SAMPLE, 1000.0)
    monkeypatch.setattr(subject, "MAX_FRAME_BYTES", 1_000_000)
    with pytest.raises(DataError, match="examine a shorter part"):
        read_footage(SAMPLE)
    monkeypatch.setattr(subject, "MAX_SECONDS", 0.1)
    with pytest.raises(DataError, match="more than 0 s of video"):
        read_footage(SAMPLE, keep_frames=False)
