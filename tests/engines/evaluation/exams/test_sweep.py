"""Sweeps: one row per value on the same faces and movements, as wide and as coded as asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.alignment.landmarker import Mesh, width_px
from microspot.engines.baseline import load
from microspot.engines.data.faces import FaceAsset, split_of
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.exams.cameras.film import CANVAS, compose, smaller
from microspot.engines.evaluation.exams.cameras.sweep import Axis, examine_sweep
from microspot.engines.evaluation.exams.cameras.video_link import Codec, Receiver
from microspot.engines.evaluation.exams.recordings import Recording
from microspot.engines.evaluation.exams.segments import examine_segments
from microspot.realtime.sources.synthetic_clip import NEUTRAL_FRAME, SAMPLE_HZ, sample_clip
from tests import fakes

SAMPLE = sample_clip()
NEUTRAL_S = NEUTRAL_FRAME / SAMPLE_HZ


@pytest.fixture(scope="module")
def face() -> FaceAsset:
    with av.open(str(SAMPLE)) as file:
        file.seek(int(NEUTRAL_S * av.time_base))
        image = next(
            f.to_ndarray(format="bgr24") for f in file.decode(video=0) if f.time >= NEUTRAL_S - 1e-6
        )
    with MediaPipeAligner() as aligner:
        (mesh,) = aligner.landmarks(image)
    return FaceAsset("webcam", "test", image, mesh)


@pytest.fixture(scope="module")
def faces(face: FaceAsset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    name = next(name for name in (f"{i}.png" for i in range(1000)) if split_of(name) == "test")
    cv2.imwrite(str(folder / name), face.image)
    np.savez(folder / "landmarks468.npz", L=face.landmarks[None, :468])
    return folder


# ---- the picture and the link


@pytest.mark.parametrize("width", [90, 300])
def test_a_portrait_is_composed_as_wide_as_asked_with_its_landmarks_in_place(
    face: FaceAsset, width: int
) -> None:
    image, mesh = compose(face, width)
    assert image.shape == (CANVAS[1], CANVAS[0], 3)
    assert width_px(mesh) == pytest.approx(width)
    with MediaPipeAligner() as aligner:
        (found,) = aligner.landmarks(image)
    assert np.abs(found[:, :2] - mesh[:, :2]).mean() < 0.015 * width


def test_the_codec_gives_each_frame_back_and_keeps_to_its_bitrate(face: FaceAsset) -> None:
    image, _ = compose(face, 200)
    random = np.random.default_rng(0)
    noisy = [
        np.clip(image + random.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
        for _ in range(30)
    ]
    bits = []
    errors = []
    for bitrate in (200_000, 4_000_000):
        codec = Codec(bitrate, CANVAS, 30)
        seen = []
        for picture in (*noisy, None):
            packets = codec.encode(picture)
            bits.append(8 * sum(packet.size for packet in packets))
            seen += codec.decode(packets, last=picture is None)
            assert len(seen) == min(len(bits) % 31 or 30, 30), "no frame waits for the next"
        differences = [np.abs(a.astype(int) - b).mean() for a, b in zip(seen, noisy, strict=True)]
        errors.append(np.mean(differences))
    low = sum(bits[:31])
    high = sum(bits[31:])
    assert low < 2 * 200_000
    assert 5 * low < high < 1.5 * 4_000_000
    assert errors[1] < errors[0]


def test_a_smaller_face_is_in_the_middle_of_as_large_a_picture_with_as_much_noise() -> None:
    random = np.random.default_rng(0)
    frame = np.clip(random.normal(100, 4, (300, 400, 3)), 0, 255).astype(np.uint8)
    frame[140:160, 190:210] = 250
    noise = random.normal(0, 4, frame.shape).astype(np.float32)
    small = smaller(frame, 0.5, noise)
    assert small.shape == frame.shape
    bright = np.argwhere(small[..., 0] > 180)
    assert bright.mean(0) == pytest.approx([149.5, 199.5], abs=1)
    assert np.ptp(bright, axis=0) == pytest.approx([9, 9], abs=2)
    assert small[:100].std() == pytest.approx(4, rel=0.25)
    assert smaller(frame, 1.0, noise) is frame


def test_a_receiver_counts_frames_bits_and_what_was_aligned(face: FaceAsset) -> None:
    receiver = Receiver(1_000_000, CANVAS, 30, 112)
    pictures = [compose(face, 200)[0]] * 3 + [np.full((CANVAS[1], CANVAS[0], 3), 90, np.uint8)] * 2
    for i, picture in enumerate(pictures):
        receiver.push(i * 33_333_333, picture)
    receiver.push(0, None)
    receiver.close()
    recording = receiver.recording("x", ())
    assert (receiver.sent, receiver.aligned, len(recording.crops)) == (5, 3, 3)
    assert receiver.rejected == {"no face": 2}
    assert recording.times_ns.tolist() == [0, 33_333_333, 66_666_666]
    assert receiver.bits > 0


# ---- the sweep


def test_every_rate_sees_the_same_movements(faces: Path) -> None:
    lines: list[str] = []
    rows = examine_sweep(
        load(),
        faces,
        axis="rate",
        plan=Axis((15, 60), clips=1, seconds=4),
        seed=5,
        progress=lines.append,
    )
    assert [(row["axis"], row["value"], row["aligned"]) for row in rows] == [
        ("rate", 15, 1.0),
        ("rate", 60, 1.0),
    ]
    assert rows[0]["truths"] == rows[1]["truths"] > 0
    assert {"f1", "precision", "recall", "false_alarms_per_min"} <= rows[0].keys()
    assert len(lines) == 2


def test_a_face_too_small_is_a_row_of_missed_movements_not_an_error(faces: Path) -> None:
    small, wide = examine_sweep(
        load(), faces, axis="size", plan=Axis((20, 200), clips=1, seconds=2), seed=4
    )
    assert (small["aligned"], small["found"], small["recall"]) == (0, 0, 0)
    assert wide["aligned"] > 0.9
    # in a wide picture the landmarker sees none
    assert small["rejected"].keys() <= {"too small", "no face"}
    assert sum(small["rejected"].values()) == pytest.approx(1, abs=1e-3)
    assert small["truths"] == wide["truths"] > 0
    assert small["minutes"] == wide["minutes"] == 0.03


def test_bitrates_share_one_film(faces: Path) -> None:
    low, high = examine_sweep(
        load(), faces, axis="bitrate", plan=Axis((200_000, 4_000_000), clips=1, seconds=1)
    )
    assert low["truths"] == high["truths"]
    assert low["kbit_s"] < 400 < high["kbit_s"] < 6000
    assert high["aligned"] > 0.9


def test_the_landmarker_runs_as_often_as_asked(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: Counter[int] = Counter()
    landmarks = MediaPipeAligner.landmarks

    def counted(self: MediaPipeAligner, image: NDArray[np.uint8]) -> list[Mesh]:
        runs[self.options.landmarks_ns] += 1
        return landmarks(self, image)

    monkeypatch.setattr(MediaPipeAligner, "landmarks", counted)
    plan = Axis((0, 500), clips=1, seconds=2)
    rows = examine_sweep(load(), faces, axis="landmarker", plan=plan)
    assert rows[0]["truths"] == rows[1]["truths"]
    assert rows[0]["aligned"] == rows[1]["aligned"] == 1
    assert runs[0] == 60
    assert 4 <= runs[500_000_000] <= 20


def test_movements_of_a_recording_without_crops_are_missed() -> None:
    crops = np.zeros((0, 3, fakes.SIDE, fakes.SIDE), np.uint8)
    (result,) = examine_segments(Recording("x", np.array([0, 10**10]), crops), fakes.engine_set())
    assert (len(result.found), result.hits) == (0, ())


def test_what_cannot_be_swept_is_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="axis 'hue': choose one of rate, size, bitrate"):
        examine_sweep(load(), faces, axis="hue")
    with pytest.raises(DataError, match="no face images"):
        examine_sweep(load(), tmp_path, axis="size")
