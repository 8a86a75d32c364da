"""Folders of images as people have them: companions, masks, pipes, dead links, TIFF, 16 bits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from microspot.realtime.errors import SourceError
from microspot.realtime.records import Frame, SourceState, SourceWarning
from microspot.realtime.sources.images.image_headers import image_size, why_refused
from microspot.realtime.sources.images.image_series import frames_of
from microspot.realtime.sources.open import open_source
from tests.rtsp_server import number_image, read_number

APPLE_DOUBLE = b"\0\5\26\7\0\2\0\0Mac OS X        "


def read(folder: Path) -> tuple[list[int], list[SourceState | SourceWarning], dict[str, int]]:
    """The numbers of the frames, each at its place in time and number; warnings; drops."""
    with open_source(str(folder)) as source:
        records = list(source)
    frames = [r for r in records if isinstance(r, Frame)]
    assert all(f.captured_ns == (f.index - frames[0].index) * 10**9 // 30 for f in frames)
    assert all(read_number(f.image) == f.index for f in frames)
    return (
        [f.index for f in frames],
        [r for r in records if isinstance(r, SourceState | SourceWarning)],
        source.drops,
    )


def write(folder: Path, pattern: str, numbers: range = range(6)) -> None:
    for number in numbers:
        cv2.imwrite(str(folder / pattern.format(number)), number_image(number))


def test_companions_and_hidden_files_are_nothing(tmp_path: Path) -> None:
    write(tmp_path, "img{}.jpg")
    for number in range(6):
        (tmp_path / f"._img{number}.jpg").write_bytes(APPLE_DOUBLE)
    cv2.imwrite(str(tmp_path / ".thumbnail.png"), number_image(900))
    assert read(tmp_path) == (list(range(6)), [], {})


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "img{}.jpg")
    os.mkfifo(tmp_path / "img2b.jpg")
    os.symlink(tmp_path / "img2b.jpg", tmp_path / "img3b.jpg")
    (tmp_path / "img4b.png").mkdir()
    assert read(tmp_path) == (list(range(6)), [], {})


def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "img{}.jpg")
    with open_source(str(tmp_path)) as source:
        (tmp_path / "img5.jpg").unlink()
        os.mkfifo(tmp_path / "img5.jpg")
        assert sum(isinstance(r, Frame) for r in source) == 5
    assert source.drops == {"damaged": 1}


def test_a_link_that_leads_nowhere_keeps_its_place(tmp_path: Path) -> None:
    write(tmp_path, "img{}.jpg")
    (tmp_path / "img3.jpg").unlink()
    os.symlink(tmp_path / "gone.jpg", tmp_path / "img3.jpg")
    numbers, reports, drops = read(tmp_path)
    assert (numbers, drops) == ([0, 1, 2, 4, 5], {"damaged": 1})
    assert [s.kind for s in reports] == ["damaged"]


@pytest.mark.parametrize("mask", ["img{}_mask.png", "mask_img{}.jpg", "img{}-depth.tif"])
def test_masks_beside_frames_are_named_once_and_left_out(tmp_path: Path, mask: str) -> None:
    write(tmp_path, "img{}.jpg")
    for number in range(5):
        cv2.imwrite(str(tmp_path / mask.format(number)), number_image(900))
    numbers, reports, drops = read(tmp_path)
    assert (numbers, drops) == (list(range(6)), {})
    assert [s.kind for s in reports] == ["files"]
    assert reports[0].detail.startswith("5 images that lie beside frames were left out")
    assert f"{mask.format(0)} to {mask.format(4)}" in reports[0].detail


@pytest.mark.parametrize(("one", "other"), [("{}.jpg", "{}.png"), ("left_{}.png", "right_{}.png")])
def test_two_kinds_with_the_same_numbers_are_refused_by_name(
    tmp_path: Path, one: str, other: str
) -> None:
    write(tmp_path, one)
    write(tmp_path, other, range(3, 9))
    with pytest.raises(SourceError, match="have the same number: which are the frames") as caught:
        open_source(str(tmp_path))
    assert one.format(3) in str(caught.value)
    assert other.format(3) in str(caught.value)


def test_kinds_that_follow_each_other_are_one_series(tmp_path: Path) -> None:
    write(tmp_path, "img{}.jpg", range(3))
    write(tmp_path, "img{}.png", range(3, 5))
    write(tmp_path, "img{:04}.tif", range(5, 8))
    assert read(tmp_path) == (list(range(8)), [], {})


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_all_depths_show_the_same_picture(
    tmp_path: Path, suffix: str, bits: int, grey: bool
) -> None:
    shown = (
        np.random.default_rng(bits)
        .integers(0, 256, (30, 40) if grey else (30, 40, 3))
        .astype(np.uint8)
    )
    dark = shown // 8
    for number, picture in enumerate((dark, shown, dark)):
        deep = picture if bits == 8 else picture.astype(np.uint16) << bits - 8
        cv2.imwrite(str(tmp_path / f"{number}.{suffix}"), deep)
    with open_source(str(tmp_path)) as source:
        frames = [r.image for r in source if isinstance(r, Frame)]
    for frame, picture in zip(frames, (dark, shown, dark), strict=True):
        assert np.array_equal(frame, np.dstack([picture] * 3) if grey else picture)


def test_brighter_than_seen_at_first_is_white_and_not_black(tmp_path: Path) -> None:
    for number in range(30):
        value = 0x1000 if number == 7 else 0xFFF
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((30, 40), value, np.uint16))
    with open_source(str(tmp_path)) as source:
        assert {int(r.image.min()) for r in source if isinstance(r, Frame)} == {255}


def write_tiff(path: Path, case: str) -> None:
    if case == "pages":
        cv2.imwritemulti(str(path), [number_image(0), number_image(1)])
    elif case == "big":
        path.write_bytes(b"II+\0" + bytes(60))
    else:
        cv2.imwrite(str(path), number_image(0).astype(case))


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("pages", "several pages"),
        ("big", "BigTIFF"),
        ("float32", "not whole numbers"),
        ("int16", "not whole numbers"),
        ("int32", "not whole numbers"),
    ],
)
def test_a_tiff_that_cannot_be_shown_is_refused_with_the_reason(
    tmp_path: Path, case: str, why: str
) -> None:
    write_tiff(tmp_path / "0.tif", case)
    with open_source(str(tmp_path)) as source, pytest.raises(SourceError, match=f"0.tif: .*{why}"):
        list(source)


def test_the_size_of_a_tiff_is_checked_before_it_is_decoded(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.tif"), number_image(0))
    data = (tmp_path / "0.tif").read_bytes()
    assert image_size(data) == (160, 120)
    for at in range(0, len(data), 7):  # cut off or with noise in it: an answer, and no exception
        noisy = (
            data[:at]
            + bytes(np.random.default_rng(at).integers(0, 256, 8).astype(np.uint8))
            + data[at + 8 :]
        )
        for odd in (data[:at], noisy):
            assert len(image_size(odd)) == 2
            assert isinstance(why_refused(odd), str)


def test_images_of_other_sizes_come_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "{}.png", range(3))
    for number in (3, 4):
        large: np.ndarray[Any, Any] = cv2.resize(number_image(number), (320, 240))
        cv2.imwrite(str(tmp_path / f"{number}.png"), large)
    assert read(tmp_path) == (list(range(5)), [], {})


def test_names_that_share_digits_by_chance_are_one_folder(tmp_path: Path) -> None:
    for name in ("4defefa1", "feec4cd1", "a1b2c3d4", "d4c3b2a1"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")  # leads nowhere, and keeps its place
    files, warning = frames_of(tmp_path)
    assert (len(files), warning) == (5, "")
