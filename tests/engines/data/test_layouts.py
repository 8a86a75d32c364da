"""Recordings are found where each data set's authors put them, and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from microspot.engines.data.annotations import Interval
from microspot.engines.data.layouts import Recording, find_recordings
from microspot.engines.errors import DataError


def row(subject: str, video: str) -> Interval:
    return Interval(subject, video, 1, None, 9, "micro")


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_cas_me_2_of_the_frames_as_filmed_with_those_that_no_row_names(tmp_path: Path) -> None:
    make(
        tmp_path,
        "rawpic/s15/15_0401anger1/img1.jpg",
        "rawpic/s16/16_0101disgustingteeth.avi",
        "rawpic/s16/16_0502/img1.jpg",
        "cropped/s15/15_0401anger1/img1.jpg",  # a copy
        "rawpic/s16/notes/img1.jpg",
        "rawpic/s16/._16_0503.avi",
    )
    rows = [row("s15", "15_0401"), row("s16", "16_0101"), row("s16", "16_0102")]
    found = find_recordings("cas-me-2", tmp_path, rows)
    raw = tmp_path / "rawpic"
    assert found.found == (
        Recording("s15", "15_0401", raw / "s15" / "15_0401anger1"),
        Recording("s16", "16_0101", raw / "s16" / "16_0101disgustingteeth.avi"),
        Recording("s16", "16_0502", raw / "s16" / "16_0502"),
    )
    assert found.missing == (("s16", "16_0102"),)


@pytest.mark.parametrize(
    ("dataset", "video", "path"),
    [
        ("samm-lv", "006_1", "SAMM_longvideos/006_1/006_1_0001.jpg"),
        ("samm", "006_1_2", "SAMM/006/006_1_2/006_05562.jpg"),
        ("casme-ii", "sub01/EP02_01f", "CASME2_RAW_selected/sub01/EP02_01f/img46.jpg"),
        ("smic-hs", "s20_ne_01", "SMIC-HS-E/HS/s20/s20_ne_01/image1.bmp"),
        # folders are spelled otherwise than the table, and frames lie a folder further down
        ("cas-me-3-a", "spNO.1/a", "part_A/spNo.1/a/color/1.jpg"),
        ("mmew", "S01-01-001", "anger/S01-01-001/1.jpg"),
    ],
)
def test_the_layouts_of_the_sets(tmp_path: Path, dataset: str, video: str, path: str) -> None:
    make(tmp_path, path, "elsewhere/EP02_01f/img1.jpg", "sub02/EP02_01f/img1.jpg", "006_1_3/1.jpg")
    (found,) = find_recordings(dataset, tmp_path, [row("1", video)]).found
    assert found == Recording("1", video, (tmp_path / path).parent)


def test_the_folder_of_one_recording_may_be_given_itself(tmp_path: Path) -> None:
    make(tmp_path / "sub01", "EP02_01f/img1.jpg")
    (found,) = find_recordings("casme-ii", tmp_path / "sub01", [row("01", "sub01/EP02_01f")]).found
    assert found.path == tmp_path / "sub01" / "EP02_01f"


def test_what_lies_in_the_folder_of_a_recording_is_none_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "006_1_2/1.jpg", "006_1_2/crops/1.jpg")
    (found,) = find_recordings("samm", tmp_path, [row("006", "006_1_2")]).found
    assert found.path == tmp_path / "006_1_2"


def test_two_recordings_of_a_video_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "raw/006_1/1.jpg", "cropped/006_1/1.jpg")
    with pytest.raises(DataError, match=r"006_1: .*cropped.* and .*raw.*: which .* --videos"):
        find_recordings("samm-lv", tmp_path, [row("006", "006_1")])
    others = tmp_path / "others"
    make(others, "only/006_2/1.jpg", "raw/006_3/1.jpg", "cropped/006_3/1.jpg")
    with pytest.raises(DataError, match="006_3: "):  # which no row names, and which would be run
        find_recordings("samm-lv", others, [row("006", "006_2")])


def test_a_folder_without_any_of_the_videos_is_said(tmp_path: Path) -> None:
    make(tmp_path, "other/1.jpg")
    with pytest.raises(DataError, match=r"holds no recording of samm-lv \(006_1 …\).* --videos"):
        find_recordings("samm-lv", tmp_path, [row("006", "006_1")])
    with pytest.raises(DataError, match="no folder"):
        find_recordings("samm-lv", tmp_path / "none", [row("006", "006_1")])
