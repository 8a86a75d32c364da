"""What folders hold is told apart, and nothing of a person passes for a synthetic set."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from microspot.engines.data.aligned.recordings import REVIEWED, read_recordings, write_recording
from microspot.engines.errors import DataError
from microspot.engines.training.fine_tuning.given import read_given
from microspot.engines.training.fine_tuning.run import _crops_of, _means
from microspot.engines.training.fine_tuning.sets import crops_of
from tests.engines.data.aligned.test_recordings import recording


def recorded(folder: Path) -> Path:
    folder.mkdir()
    write_recording(recording(folder / "v"))
    return folder


def synthetic(folder: Path) -> Path:
    folder.mkdir()
    moves = [{"kind": "micro", "family": "plain"}]
    (folder / "index.json").write_text(json.dumps({"clips": [{"movements": moves}]}))
    return folder


def test_recordings_and_synthetic_sets_are_told_apart(tmp_path: Path) -> None:
    people, drawn = recorded(tmp_path / "people"), synthetic(tmp_path / "drawn")
    found, sets = read_given([people, drawn, people / ".", drawn / ".." / "drawn"])
    assert [each.video for each in found] == ["v"]
    assert sets == (drawn / ".." / "drawn",)


def test_what_is_neither_or_both_is_refused(tmp_path: Path) -> None:
    people = recorded(tmp_path / "people")
    with pytest.raises(DataError, match="is one recording: give the folder that it lies in"):
        read_given([people, people / "v"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no aligned recordings and no synthetic set"):
        read_given([people, tmp_path / "empty"])
    synthetic(people / "drawn")
    with pytest.raises(DataError, match="the set drawn: move the set to a folder of its own"):
        read_given([people])
    shutil.rmtree(people / "drawn")
    (people / "v" / "recording.json").unlink()
    with pytest.raises(DataError, match="is of recorded people"):
        read_given([people])


def test_other_crops_are_told_from_the_ones_before(tmp_path: Path) -> None:
    own = read_recordings([recorded(tmp_path / "people")])[0]
    with pytest.raises(DataError, match="cannot be read"):
        _crops_of(own)
    np.save(own.folder / "crops.npy", np.zeros(8, np.uint8))
    before = _crops_of(own)
    np.save(own.folder / "crops.npy", np.ones(8, np.uint8))
    assert _crops_of(own) != before


def test_the_report_says_that_a_reviewed_video_is_no_person(tmp_path: Path) -> None:
    own = recording(tmp_path / "v")
    said = [" ".join(_means("loso", [each])) for each in (own, replace(own, dataset=REVIEWED))]
    assert ["too good" in each for each in said] == [False, True]


def test_fewer_crops_than_the_segments_have_are_refused(tmp_path: Path) -> None:
    own = recording(tmp_path / "v")  # 45 crops
    np.save(own.folder / "crops.npy", np.zeros((45, 3, 4, 4), np.uint8))
    assert len(crops_of(own, 4)) == 45
    np.save(own.folder / "crops.npy", np.zeros((44, 3, 4, 4), np.uint8))
    with pytest.raises(DataError, match="44 crops, but segments of 45: remove its folder"):
        crops_of(own, 4)
