"""Folders of faces and sets on disk."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from microspot.engines.data.faces import FaceAsset, find_faces, is_neutral, load_face, split_of
from microspot.engines.data.generator import backgrounds
from microspot.engines.data.generator import synthesize as synthesis
from microspot.engines.data.generator.backgrounds import Background
from microspot.engines.data.generator.basis import Basis
from microspot.engines.data.generator.expressions.library import packaged, write_fields
from microspot.engines.data.generator.families import KEPT, MEASURED, MeasuredField
from microspot.engines.data.generator.synthesize import (
    BACKGROUND_CLIPS,
    BASIS_CLIPS,
    KEPT_CLIPS,
    TRAINING_RECIPE,
    Material,
    SetOptions,
    _gathered,
    _jobs,
    _render,
    synthesize,
)
from microspot.engines.data.generator.synthetic import Renderer
from microspot.engines.errors import DataError, UsageError


def test_split_is_by_name_or_origin_and_stable() -> None:
    names = [f"{i:04d}.jpg" for i in range(2000)]
    share = np.mean([split_of(n) == "validation" for n in names])
    assert share == pytest.approx(0.06, abs=0.02)
    assert [split_of(n) for n in names[:4]] == [split_of(n) for n in names[:4]]
    assert {split_of(n, "SelfishGene/SFHQ-dataset") for n in names} == {"validation", "test"}


def _folder(tmp_path: Path, face: FaceAsset, count: int) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), face.image)
    return folder


def test_faces_are_found_with_and_without_stored_landmarks(tmp_path: Path, face: FaceAsset) -> None:
    folder = _folder(tmp_path, face, 2)
    detected = find_faces(folder)
    assert [path.name for path, _, _ in detected] == ["0.png", "1.png"]
    assert np.abs(detected[0][1][:468, :2] - face.landmarks[:468, :2]).max() < 2.0
    opened = np.array(face.landmarks[:468])
    opened[14, 1] += 20
    assert is_neutral(face.landmarks)
    assert not is_neutral(opened)
    np.savez(folder / "landmarks468.npz", L=np.stack([face.landmarks[:468], opened]))
    (kept,) = find_faces(folder)
    assert kept[0].name == "0.png"
    assert load_face(*kept).image.shape == face.image.shape
    np.savez(folder / "landmarks468.npz", L=opened[None])
    with pytest.raises(DataError, match="1 meshes for 2 images"):
        find_faces(folder)


def test_a_folder_without_faces_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder of"):
        find_faces(tmp_path / "nowhere")


def test_a_set_on_disk_equals_its_clips(tmp_path: Path, face: FaceAsset) -> None:
    folder = _folder(tmp_path, face, 2)
    np.savez(folder / "landmarks468.npz", L=np.repeat(face.landmarks[None, :468], 2, 0))
    (folder / "faces.csv").write_text("file,repo\n0.png,x/SFHQ-dataset\n1.png,x/SFHQ-T2I-dataset\n")
    done: list[int] = []
    synthesize(
        folder,
        tmp_path / "set",
        SetOptions(clips=5, seconds=1.5, seed=1),
        workers=1,
        progress=lambda n, _: done.append(n),
    )
    crops = np.load(tmp_path / "set" / "crops.npy", mmap_mode="r")
    index = json.loads((tmp_path / "set" / "index.json").read_text())
    clips = index["clips"]
    assert done == [1, 2, 3, 4, 5]
    assert [c["start"] for c in clips] == np.cumsum([0] + [c["count"] for c in clips])[:-1].tolist()
    assert len(crops) == sum(c["count"] for c in clips)
    entry = clips[-1]
    (path, mesh, split) = next(f for f in find_faces(folder) if f[0].name == entry["face"])
    measured = [field for field in packaged() if field.family != KEPT]
    face = load_face(path, mesh, split)
    clip = Renderer(face, recipe=TRAINING_RECIPE, measured=measured).clip(entry["seed"], 1.5)
    assert np.array_equal(crops[entry["start"] : entry["start"] + entry["count"]], clip.crops)
    assert clip.times_ns.tolist() == entry["times_ns"]
    assert [dataclasses.asdict(move) for move in clip.movements] == [
        move | {name: tuple(move[name]) for name in ("units", "levels", "unit_px")}
        for move in entry["movements"]
    ]
    assert clip.reversible == entry["reversible"]
    assert index["recipe"]["families"]["local"] == TRAINING_RECIPE.families.local


def test_the_kept_family_is_shown_by_validation_clips_alone(
    tmp_path: Path, face: FaceAsset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every movement of a clip says its family; what is kept is in no training clip."""
    folder = _folder(tmp_path, face, 2)
    np.savez(folder / "landmarks468.npz", L=np.repeat(face.landmarks[None, :468], 2, 0))
    (folder / "faces.csv").write_text("file,repo\n0.png,x/SFHQ-dataset\n1.png,x/SFHQ-T2I-dataset\n")
    options = SetOptions(200, 3.0, seed=1)
    material = _gathered(options)
    assert {field.family for field in material.measured} == {MEASURED}
    assert {field.family for field in material.kept} == {KEPT}
    jobs = _jobs(folder, material)
    assert not any(job.kept for job in jobs if job.split == "train")
    share = np.mean([job.kept for job in jobs if job.split == "validation"])
    assert share == pytest.approx(KEPT_CLIPS, abs=0.2)
    monkeypatch.setattr(synthesis, "_material", material, raising=False)
    only = next(job for job in jobs if job.kept)
    shown = [
        m.family
        for s in range(3)
        for m in _render(dataclasses.replace(only, seed=s)).movements
        if m.kind in ("micro", "doubtful")
    ]
    assert shown
    assert set(shown) == {KEPT}
    others = [job for job in jobs if job.split == "train"][:4]
    families = {m.family for job in others for m in _render(job).movements}
    assert KEPT not in families
    assert families & {"local", "measured"}


KEPT_PERSON = "grid-s1"  # whose fields the package keeps from training


def _videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "film.mp4").write_bytes(b"a film that the table of people does not list")
    return folder


@pytest.mark.parametrize("person", [KEPT_PERSON, "Grid-S1", "Mary"])
def test_video_of_a_person_with_kept_fields_is_left_out(
    tmp_path: Path, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Background("film.mp4", *[np.zeros(0)] * 3, person)
    monkeypatch.setattr(backgrounds, "read_backgrounds", lambda *_: [film])
    videos = _videos(tmp_path)
    options = SetOptions(2, 1.0, seed=1, backgrounds=videos, person=person)
    lines: list[str] = []
    if person == "Mary":
        assert _gathered(options, lines.append).backgrounds == (film,)
        assert lines == []
        return
    with pytest.raises(DataError, match="or only faces of persons kept for validation"):
        _gathered(options, lines.append)
    assert lines == ["film.mp4: left out, since grid-s1 is kept for validation"]


def test_more_fields_of_a_person_with_kept_fields_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _gathered(SetOptions(2, 1.0, seed=1))
    (one, *_) = [field for field in packaged() if field.family == KEPT]
    write_fields(tmp_path / "more.npz", [dataclasses.replace(one, family=MEASURED)])
    given = _gathered(SetOptions(2, 1.0, seed=1, expressions=tmp_path / "more.npz"))
    assert len(given.measured) == len(before.measured)
    asked: list[tuple[str, ...]] = []

    def measured(_: Path, __: str | None, apart: tuple[str, ...]) -> list[MeasuredField]:
        asked.append(apart)
        return [one]

    monkeypatch.setattr(synthesis, "measure_folder", measured)
    given = _gathered(SetOptions(2, 1.0, seed=1, expressions=tmp_path))
    assert asked == [(KEPT_PERSON,)]
    assert len(given.kept) == len(before.kept) + 1


@pytest.mark.parametrize("share", [BACKGROUND_CLIPS, 1.0])
def test_basis_and_backgrounds_take_their_share_of_a_set(
    tmp_path: Path, face: FaceAsset, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path, face, 2)
    np.savez(folder / "landmarks468.npz", L=np.repeat(face.landmarks[None, :468], 2, 0))
    (folder / "faces.csv").write_text("file,repo\n0.png,x/SFHQ-dataset\n1.png,x/SFHQ-T2I-dataset\n")
    videos = tmp_path / "videos"
    videos.mkdir()
    with pytest.raises(DataError, match="0 videos"):
        synthesize(folder, tmp_path / "set", SetOptions(2, 1.0, seed=1, backgrounds=videos))
    with pytest.raises(UsageError, match="--carrier-share 2: expected 0 to 1"):
        SetOptions(2, 1.0, seed=1, background_share=2)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(DataError, match=r"the set takes about 0\.0 GB, 0\.0 are free"):
        synthesize(folder, tmp_path / "set", SetOptions(2, 1.0, seed=1))
    options = SetOptions(400, 1.0, seed=1, background_share=share)
    background = Background("v", *[np.zeros(0)] * 3)
    jobs = _jobs(folder, Material(options, Basis({}), (background,)))
    train = [job for job in jobs if job.split == "train"]
    assert np.mean([job.face is None for job in train]) == pytest.approx(share, abs=0.05)
    assert np.mean([job.basis for job in jobs]) == pytest.approx(BASIS_CLIPS, abs=0.08)
    assert all(job.face is not None for job in jobs if job.split == "validation")
