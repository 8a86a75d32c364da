"""Movements warped into real frames: where, when, how far, and what they leave untouched."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from microspot.engines.data.footage import Footage, read_footage
from microspot.engines.data.people import parts_for
from microspot.engines.evaluation.exams import semireal
from microspot.engines.evaluation.exams.mesh_annotation import annotate
from microspot.engines.evaluation.exams.recordings import crop_px
from microspot.engines.evaluation.exams.semireal import (
    PAD,
    Warp,
    cut,
    draw_into,
    examine_semireal,
    plan,
    realign,
    warped,
)
from microspot.engines.loading import load_engines
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()
BROWS = {("AU1", "L"): 1.0, ("AU1", "R"): 1.0, ("AU2", "L"): 1.0, ("AU2", "R"): 1.0}


@pytest.fixture(scope="module")
def quiet() -> Footage:
    """4 s in which the face is still."""
    return read_footage(SAMPLE, 45.0, 49.0)


@pytest.fixture
def dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semireal, "EVERY_S", 1.0)


@pytest.mark.parametrize("zoom", [1, 2], ids=["as filmed", "twice as large"])
def test_a_warp_moves_the_face_as_far_as_asked_and_nothing_else(quiet: Footage, zoom: int) -> None:
    frame = cv2.resize(quiet.frames[0], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    affine = quiet.affines[0] * [1 / zoom, 1 / zoom, 1]
    warp = Warp(quiet.landmarks[0] * zoom, affine, 112)
    strengths = {unit: 2.0 / warp.peak(BROWS) for unit in BROWS}
    moved = warp.apply(frame, affine, strengths)

    def crop(image: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(cv2.warpAffine(image, affine, (112, 112)), cv2.COLOR_BGR2GRAY)

    before = crop(frame)
    after = crop(moved)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(before, after, None)
    wanted = warp.field(strengths)[PAD:-PAD, PAD:-PAD]
    strong = np.hypot(wanted[..., 0], wanted[..., 1]) > 1.2
    assert np.median(flow[strong] @ [0, 1]) == pytest.approx(
        np.median(wanted[strong] @ [0, 1]), rel=0.2
    )
    changed = np.argwhere((moved != frame).any(-1))[:, ::-1]
    in_crop = changed @ affine[:, :2].T + affine[:, 2]
    assert len(changed) > 500
    assert in_crop[:, 1].max() < 112  # brows: nothing near the chin or below
    assert np.all((in_crop > -PAD) & (in_crop < 112 + PAD))


def test_no_movement_keeps_every_bit(quiet: Footage) -> None:
    warp = Warp(quiet.landmarks[0], quiet.affines[0], 112)
    faint = {unit: 1e-3 / warp.peak(BROWS) for unit in BROWS}
    assert np.array_equal(warp.apply(quiet.frames[0], quiet.affines[0], faint), quiet.frames[0])


def test_micros_lie_clear_of_the_ends_and_of_each_other(quiet: Footage, dense: None) -> None:
    warp = Warp(quiet.landmarks[0], quiet.affines[0], 112)
    moves = [
        a.movement
        for seed in range(5)
        for a in draw_into(np.random.default_rng(seed), 3.0, 6.0, warp, 112)
    ]
    assert len(moves) > 5
    assert all(
        m.kind == "micro" and 3.0 <= m.onset_ns / 1e9 < m.offset_ns / 1e9 <= 6.0 for m in moves
    )
    assert all(crop_px(0.5, 112) <= m.peak_px <= crop_px(3.0, 112) for m in moves)
    one = [a.movement for a in draw_into(np.random.default_rng(1), 0.0, 20.0, warp, 112)]
    assert min(b.onset_ns - a.offset_ns for a, b in pairwise(one)) >= 0.25e9
    assert draw_into(np.random.default_rng(0), 3.0, 3.1, warp, 112) == []


def test_planned_movements_are_in_the_crops_and_only_then(quiet: Footage, dense: None) -> None:
    plans = plan(np.random.default_rng(3), quiet, annotate(quiet))
    moves = [a.movement for _, actions in plans for a in actions]
    assert moves
    again = realign(quiet, warped(quiet, plans))
    assert np.array_equal(again.aligned, quiet.aligned)
    change = np.abs(again.crops.astype(int) - quiet.crops).mean((1, 2, 3))
    assert not change[again.at_ns <= min(m.onset_ns for m in moves)].any()
    for move in moves:
        assert change[np.argmin(np.abs(again.at_ns - move.apex_ns))] > 0.05
        edges = quiet.at_ns[[0, -1]]
        assert edges[0] + 0.5e9 <= move.onset_ns
        assert move.offset_ns <= edges[1] - 0.5e9
    (recording,) = cut(again, moves)
    assert recording.movements == tuple(moves)
    assert recording.minutes == pytest.approx(99 / 25 / 60)


def test_a_sham_moves_nothing_and_blurs_what_it_touches(quiet: Footage, dense: None) -> None:
    plans = plan(np.random.default_rng(3), quiet, annotate(quiet))

    def change(sham: bool) -> np.ndarray:
        """Mean difference of each frame from the one that was filmed."""
        frames = [image for _, image in warped(quiet, plans, sham)]
        pairs = zip(frames, quiet.frames, strict=True)
        return np.array([np.abs(a.astype(int) - b).mean() for a, b in pairs])

    moved = change(sham=False)
    back = change(sham=True)
    touched = moved > 0
    assert touched.any()
    assert back[touched].sum() > 0
    strong = moved > 0.5 * moved.max()
    assert (back[strong] < 0.5 * moved[strong]).all()


def test_frames_that_nothing_moves_stay_the_same_objects(quiet: Footage) -> None:
    assert all(
        image is frame for (_, image), frame in zip(warped(quiet, []), quiet.frames, strict=True)
    )


def test_the_report_counts_every_micro(
    quiet: Footage, dense: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(semireal, "read_footage", lambda *_: quiet)
    lines: list[str] = []
    with load_engines("baseline") as engines:
        report = examine_semireal(engines, parts_for([SAMPLE], "exam"), 5, 2, lines.append)
    clip = report["clips"]["webcam.mp4"]
    planned = [plan(np.random.default_rng([5, 0, k]), quiet, annotate(quiet)) for k in range(2)]
    count = sum(len(actions) for plans in planned for _, actions in plans)
    assert report["truths"] == clip["truths"] == count > 0
    assert sum(int(cell.split("/")[1]) for cell in report["recall_by_px"].values()) == count
    assert report["minutes"] == pytest.approx(2 * 99 / 25 / 60, abs=0.01)
    assert clip["unaligned"] == 0
    assert 0 < clip["found_again"] <= clip["found"]
    assert report["baseline_found_per_min"] == pytest.approx(
        clip["found_unwarped"] / (99 / 25 / 60), abs=0.01
    )
    assert len(lines) == 1
