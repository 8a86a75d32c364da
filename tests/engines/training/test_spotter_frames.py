"""The grey kept on disk: the same losses as from the crops; made anew where these are others."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from microspot.engines.networks.mesnet import MESNet
from microspot.engines.networks.motion import Flow
from microspot.engines.specs import SpotterSpec
from microspot.engines.training.crops import Crops
from microspot.engines.training.spotter.config import SpotterTraining
from microspot.engines.training.spotter.data import ClipSet, collate, cut, training_clip
from microspot.engines.training.spotter.frames import (
    Augmentation,
    GreyFrames,
    as_light,
    augment,
    frames_for,
    grey_of,
    make_caches,
    sees_greys,
)
from microspot.engines.training.spotter.joint_training import joint_losses
from tests.noise_set import SIDE, noise_set

SPEC = SpotterSpec(side=SIDE, feature=32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A set of noise as smooth as skin, neither black nor white anywhere."""
    (tmp_path / "set").mkdir()
    data = noise_set(tmp_path / "set")
    crops = np.load(data / "crops.npy")
    for crop in crops.reshape(-1, SIDE, SIDE):
        blurred = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), 2)
        crop[:] = np.clip(3 * (blurred - 127.5) + 127.5, 40, 215)
    np.save(data / "crops.npy", crops)
    return data


def crops_of(folder: Path) -> Crops:
    return ClipSet.open(folder, SPEC).crops


def test_the_grey_is_that_of_the_flow(folder: Path) -> None:
    crops = crops_of(folder)[np.arange(20)]
    flow = Flow(SIDE, 2)
    grey = torch.from_numpy(as_light(grey_of(crops)))[:, None]
    wanted = flow.prepare(torch.from_numpy(crops))
    torch.testing.assert_close(flow.less_local_mean(grey), wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("seed", range(8))
def test_augmentation_acts_on_greys_as_on_crops(folder: Path, seed: int) -> None:
    """Mirrored or not, moved, lighter or darker; crops are rounded to whole levels."""
    crops = crops_of(folder)[np.arange(4)]
    settings = Augmentation(shift_px=4)
    by_crops = as_light(grey_of(augment(crops, settings, np.random.default_rng(seed))))
    by_greys = augment(grey_of(crops), settings, np.random.default_rng(seed))
    assert by_greys.dtype == np.float32
    np.testing.assert_allclose(by_greys, by_crops, atol=0.5 / 255)
    assert not np.allclose(by_greys, as_light(grey_of(crops)), atol=0.02)


@pytest.mark.parametrize(
    ("scale", "base"), [(0.15, 2), (0.3, 178), (1.45, -58)], ids=["dark", "bright", "both"]
)
@pytest.mark.parametrize("seed", range(6))
def test_light_leaves_dark_rooms_and_bright_skin_their_movement(
    folder: Path, scale: float, base: int, seed: int
) -> None:
    """Next to nothing becomes black or white, and crops get the light of their greys."""
    grey = crops_of(folder)[np.arange(12)][:, :1] * scale + base
    tint = np.array([1.0, 0.97, 0.94])[:, None, None]
    crops = np.rint(grey * tint).astype(np.uint8)
    settings = Augmentation(shift_px=0, flip=0.0, brightness=0.3, contrast=0.5)
    by_greys = augment(grey_of(crops), settings, np.random.default_rng(seed))
    clipped = (by_greys <= 0) | (by_greys >= 1)
    assert clipped.mean() < 0.02
    by_crops = as_light(grey_of(augment(crops, settings, np.random.default_rng(seed))))
    assert np.abs(by_greys - by_crops).max() < 3 / 255
    assert np.abs(by_greys - by_crops).mean() < 0.3 / 255
    assert not np.allclose(by_greys, as_light(grey_of(crops)), atol=1e-3), "light changes"


def losses_by(source: object, data: ClipSet) -> NDArray[np.float64]:
    torch.manual_seed(0)
    network = MESNet(SPEC).eval()
    rng = np.random.default_rng(3)
    segments = [cut(clip, SPEC) for clip in data.clips[:2]]
    batch = collate(segments, source, Augmentation(), rng)  # type: ignore[arg-type]
    config = SpotterTraining(bfloat16=False, spec=SPEC)
    losses = joint_losses(network, batch, config, "joint", np.random.default_rng(0))
    sum(losses.values()).backward()  # type: ignore[union-attr]
    slope = network.encoder.convs[0].weight.grad
    assert slope is not None
    return np.array([*(value.item() for value in losses.values()), slope.norm().item()])


def test_losses_from_the_cache_are_those_from_the_crops(folder: Path) -> None:
    data = ClipSet.open(folder, SPEC)
    make_caches(data.crops, str)
    greys = frames_for(SPEC, data.crops)
    assert isinstance(greys, GreyFrames)
    assert all(part is not None for part in greys.parts)
    by_greys = losses_by(greys, data)
    by_crops = losses_by(data.crops, data)
    np.testing.assert_allclose(by_greys[:2], by_crops[:2], rtol=1e-4)
    # augmented crops are rounded to whole levels, which the flow of noise notices
    np.testing.assert_allclose(by_greys[2], by_crops[2], rtol=3e-2)
    assert (by_greys > 1e-3).all()


def test_without_a_cache_the_greys_are_made_as_they_are_asked_for(folder: Path) -> None:
    crops = crops_of(folder)
    rows = np.array([63, 60, 61])
    slow = frames_for(SPEC, crops)
    assert isinstance(slow, GreyFrames)
    assert slow.parts == (None,)
    wanted = slow[rows]
    make_caches(crops, str)
    np.testing.assert_array_equal(frames_for(SPEC, crops)[rows], wanted)


def test_caches_of_a_folder_of_sets_lie_beside_their_crops(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "tes")
    np.save(tmp_path / "tes" / "crops.npy", 255 - np.load(folder / "crops.npy"))
    crops = crops_of(tmp_path)
    make_caches(crops, str)
    frames = frames_for(SPEC, crops)
    rows = np.array([541, 540])  # of the second set
    np.testing.assert_array_equal(frames[rows], grey_of(crops[rows]))
    assert len(list(tmp_path.glob("*/grey-*.npy"))) == 2


def test_other_crops_get_another_cache_and_the_old_one_goes(folder: Path) -> None:
    make_caches(crops_of(folder), str)
    (old,) = folder.glob("grey-*.npy")
    crops = np.load(folder / "crops.npy")
    (folder / "crops.npy").unlink()
    np.save(folder / "crops.npy", crops[:, ::-1] // 2)
    said: list[str] = []
    made = crops_of(folder)
    make_caches(made, said.append)
    assert not old.exists()
    rows = np.arange(3)
    np.testing.assert_array_equal(frames_for(SPEC, made)[rows], grey_of(crops[:3, ::-1] // 2))
    make_caches(made, said.append)
    assert len(said) == 1, "made once"


def test_a_set_that_cannot_be_written_trains_without_a_cache(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("microspot.engines.training.spotter.frames._write", full)
    said: list[str] = []
    make_caches(crops_of(folder), said.append)
    assert "cannot be kept (no space left)" in said[-1]


def test_a_full_disk_is_noticed_before_the_cache_is_filled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing to a mapped file that finds no room would end the process."""
    filled: list[int] = []

    def reserve(file: int, begin: int, count: int) -> None:
        assert (begin, count) == (0, os.fstat(file).st_size)
        raise OSError("no space left")

    monkeypatch.setattr(os, "posix_fallocate", reserve, raising=False)
    monkeypatch.setattr("microspot.engines.training.spotter.frames.grey_of", filled.append)
    said: list[str] = []
    make_caches(crops_of(folder), said.append)
    assert "cannot be kept (no space left)" in said[-1]
    assert not filled
    assert not list(folder.glob("grey-*")), "nothing is left behind"


def test_what_a_killed_run_left_goes_and_what_a_running_one_writes_stays(folder: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in ("", f".{ended.pid}", f".{os.getppid()}"):
        (folder / f"grey-0123{process}.partial").touch()
    make_caches(crops_of(folder), str)
    kept = [path.name for path in folder.glob("*.partial")]
    assert kept == [f"grey-0123.{os.getppid()}.partial"]


def test_processes_write_caches_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def note(crops: object, path: Path) -> None:
        written.append(path.name)
        raise OSError("stop")

    monkeypatch.setattr("microspot.engines.training.spotter.frames._write", note)
    make_caches(crops_of(folder), str)
    assert f".{os.getpid()}." in written[0]


@pytest.mark.parametrize(
    "change", [{"lags_ns": ()}, {"motion": "difference"}, {"side": 33, "feature": 4}]
)
def test_other_encoders_get_the_crops(folder: Path, change: dict[str, object]) -> None:
    spec = dataclasses.replace(SPEC, **change)
    assert not sees_greys(spec)
    crops = crops_of(folder)
    assert frames_for(spec, crops) is crops


@pytest.mark.parametrize(
    ("units", "region", "doubtful"),
    [((), "lips", True), ((), "brow", False), (("AU12L",), "mouth corner", True)],
)
def test_amid_speech_a_mouth_s_me_is_doubtful_with_and_without_units(
    units: tuple[str, ...], region: str, doubtful: bool
) -> None:
    micro = {"kind": "micro", "onset_ns": 10, "offset_ns": 20, "units": units, "region": region}
    speech = {"kind": "speech", "onset_ns": 0, "offset_ns": 30, "units": ("AU25",)}
    entry = {"split": "train", "start": 0, "times_ns": [0, 40], "movements": [micro, speech]}
    assert training_clip(entry | {"face": "a"}).doubtful.tolist() == [doubtful]


@pytest.mark.parametrize(
    ("face", "said", "known"),
    [
        ("0005.jpg", {}, True),
        ("yes.mkv", {}, False),
        ("yes.mkv", {"labelled": True}, True),
        ("0005.jpg", {"labelled": False}, False),
    ],
)
def test_footage_of_sets_that_do_not_say_so_is_not_labelled(
    face: str, said: dict[str, bool], known: bool
) -> None:
    entry = {"split": "train", "start": 0, "times_ns": [0, 40], "movements": [], "face": face}
    assert (training_clip(entry | said).moves_ns is not None) == known
