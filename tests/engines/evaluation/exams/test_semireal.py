"""Movements warped into real frames: where, when, how far, and what they leave untouched."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from microspot.engines.baseline import load
from microspot.engines.clips import SECOND_NS
from microspot.engines.data.footage import Footage, MeshAligner, align_shots, read_footage
from microspot.engines.data.generator.sites import REGION_OF
from microspot.engines.data.generator.timeline import Recipe
from microspot.engines.data.people import parts_for
from microspot.engines.errors import UsageError
from microspot.engines.evaluation.exams.mesh_annotation import annotate
from microspot.engines.evaluation.exams.movement import MovementResult
from microspot.engines.evaluation.exams.semireal import plays as plays_module
from microspot.engines.evaluation.exams.semireal import rows, whole_clips
from microspot.engines.evaluation.exams.semireal.planning import COURSES_PX
from microspot.engines.evaluation.exams.semireal.plays import Play, played, spotted
from microspot.engines.evaluation.exams.semireal.room import Span, allotted, place
from microspot.engines.evaluation.exams.semireal.row_report import row_movement, row_report
from microspot.engines.evaluation.exams.semireal.rows import PlayOptions, examine_semireal
from microspot.engines.evaluation.exams.semireal.shapes import (
    LAG_S,
    SITES,
    UsualFamily,
    like,
    moved_to,
    part_of,
    slow_course,
)
from microspot.engines.evaluation.exams.semireal.warp import PAD, Warp
from microspot.engines.evaluation.exams.semireal.whole_clips import (
    cut,
    draw_into,
    plan,
    warped,
)
from microspot.engines.loading import load_engines
from microspot.engines.runtime.engine import EngineSet, FunctionEngine
from microspot.engines.specs import RecognizerSpec
from microspot.engines.units.displacement import crop_px
from microspot.engines.units.flow_region import FlowRegion
from microspot.engines.units.truth import Moved
from microspot.realtime.sources.synthetic_clip import sample_clip
from tests import fakes

SAMPLE = sample_clip()
CLIP = np.zeros((1, 11, 3, 112, 112), np.uint8)
BROWS = {("AU1", "L"): 1.0, ("AU1", "R"): 1.0, ("AU2", "L"): 1.0, ("AU2", "R"): 1.0}


@pytest.fixture(scope="module")
def quiet() -> Footage:
    """4 s in which the face is still."""
    return read_footage(SAMPLE, 45.0, 49.0)


@pytest.fixture
def dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_clips, "EVERY_S", 1.0)


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
    with MeshAligner(side=112, options=quiet.options) as aligner:
        again = align_shots(quiet.name, warped(quiet, plans), aligner, keep_frames=False)
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

    def change(plans) -> np.ndarray:
        """Mean difference of each frame from the one that was filmed."""
        frames = [image for _, image in warped(quiet, plans)]
        pairs = zip(frames, quiet.frames, strict=True)
        return np.array([np.abs(a.astype(int) - b).mean() for a, b in pairs])

    moved = change(plans)
    back = change([(SimpleNamespace(apply=w.there_and_back), actions) for w, actions in plans])
    touched = moved > 0
    assert touched.any()
    assert back[touched].sum() > 0
    strong = moved > 0.5 * moved.max()
    assert (back[strong] < 0.5 * moved[strong]).all()


def test_frames_that_nothing_moves_stay_the_same_objects(quiet: Footage) -> None:
    assert all(
        image is frame for (_, image), frame in zip(warped(quiet, []), quiet.frames, strict=True)
    )


# ---- rows


def peak(strengths: dict) -> float:
    return 4.0 * max(abs(value) for value in strengths.values())


def test_nobody_has_more_than_his_share() -> None:
    counts = allotted({"a": 10.0, "b": 3.0, "c": 5.0, "d": 0.6}, 1000)
    assert counts["d"] == 21
    assert max(counts.values()) <= 0.3 * sum(counts.values())
    assert allotted({"a": 10.0, "b": 3.0, "c": 5.0, "d": 0.6}, 50) == {
        "a": 12, "b": 12, "c": 12, "d": 12,
    }  # fmt: skip
    assert allotted({"a": 10.0, "b": 1.0}, 1000) == {"a": 35, "b": 35}, "fewer, not more of one"
    assert allotted({"a": 0.0}, 10) == {}


def test_a_place_lies_in_its_span_and_every_second_is_as_likely() -> None:
    spans = [Span(0.0, 1.0, 0), Span(5.0, 8.0, 9), Span(10.0, 10.3, 20)]
    rng = np.random.default_rng(0)
    found = [place(rng, spans, 0.5) for _ in range(300)]
    assert all(one is not None and one[0].from_s <= one[1] <= one[0].to_s - 0.5 for one in found)
    assert 35 < sum(one is not None and one[0].row == 0 for one in found) < 70  # 0.5 of 3.0 s
    assert place(rng, spans, 4.0) is None


def test_parts_of_the_face_can_be_asked_for_and_matched_in_time_and_size() -> None:
    rng = np.random.default_rng(3)
    recipe = Recipe()
    brow = moved_to(UsualFamily().draw(rng, 0.0, recipe, peak, "brow"), 7.0)
    assert part_of((brow.movement.region,)) == "brow"
    mouth = UsualFamily().draw(rng, 0.0, recipe, peak, "mouth")
    same = like(mouth, brow, peak)
    assert same.movement.units == mouth.movement.units
    assert same.movement.region in ("mouth corner", "lips", "chin")
    for name in ("onset_ns", "apex_ns", "offset_ns", "peak_px"):
        assert getattr(same.movement, name) == getattr(brow.movement, name)
    assert peak(same.strengths) == pytest.approx(brow.movement.peak_px)
    assert same.curve(brow.movement.apex_ns / 1e9) == pytest.approx(1.0, abs=1e-3)
    assert brow.movement.onset_ns == pytest.approx(7.0e9, abs=1)
    other = UsualFamily().draw(rng, 0.0, recipe, peak, "other")
    regions = tuple(REGION_OF[unit.rstrip("LR")] for unit in other.movement.units)
    assert part_of(regions) == "other"
    assert part_of(("mouth corner", "chin")) == "mouth"


@pytest.mark.parametrize("site", SITES)
def test_a_slow_course_moves_as_fast_as_asked_under_the_me(site: str) -> None:
    micro = UsualFamily().draw(np.random.default_rng(1), 3.0, Recipe(), peak, "mouth").movement
    middle = (micro.onset_ns + micro.offset_ns) / 2e9
    for seed in range(8):
        slow = slow_course(np.random.default_rng(seed), micro, site, 2.0, peak)
        levels = [slow.curve(middle - LAG_S / 2), slow.curve(middle + LAG_S / 2)]
        assert abs(levels[1] - levels[0]) * peak(slow.strengths) == pytest.approx(2.0)
        assert (slow.movement.region == micro.region) == (site == "same")


def test_a_piece_holds_the_me_alone_and_leaves_the_rest_of_the_footage(quiet: Footage) -> None:
    warp = Warp(quiet.landmarks[0], quiet.affines[0], 112)
    rng = np.random.default_rng(0)
    micro = UsualFamily().draw(rng, 47.2, Recipe(micro_px=(2.0, 2.5)), warp.peak, "brow")
    recording = played(quiet, warp, [micro], "nobody")
    assert recording.movements == (micro.movement,)
    assert recording.cluster == "nobody:webcam.mp4:15"
    assert recording.times_ns[0] == pytest.approx(45.2e9, abs=5e7)
    faint = replace(micro, strengths=dict.fromkeys(micro.strengths, 0.0001))
    as_filmed = played(quiet, warp, [faint], "nobody").crops.astype(int)
    sham = played(quiet, warp, [micro], "nobody", sham=True).crops
    change = np.abs(recording.crops - as_filmed).mean((1, 2, 3))
    assert not change[recording.times_ns <= micro.movement.onset_ns].any()
    assert change[recording.times_ns >= micro.movement.offset_ns].max() < 0.1
    apex = np.argmin(np.abs(recording.times_ns - micro.movement.apex_ns))
    assert change[apex] > 0.2
    assert 0 < np.abs(sham[apex] - as_filmed[apex]).mean() < 0.7 * change[apex]


def test_the_rows(quiet: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "read_footage", lambda *_, **__: quiet)
    parts = parts_for([SAMPLE], "exam")
    new = [(path, replace(part, seen_before=False)) for path, part in parts]
    lines: list[str] = []
    with load_engines("baseline") as engines:
        calm, slow = examine_semireal(
            engines,
            new,
            rows=("quiet", "slow"),
            families=[UsualFamily()],
            options=PlayOptions(places=2, seed=1),
            progress=lines.append,
        )
        (seen,) = examine_semireal(
            engines,
            parts,
            rows=("upper",),
            families=[UsualFamily()],
            options=PlayOptions(places=7, seed=1),
        )
    assert calm["truths"] == 2 + 2 + 1
    assert (calm["paired"]["brow"]["truths"], calm["paired"]["mouth"]["truths"]) == (2, 2)
    assert calm["persons"]["webcam-man"]["truths"] == 5
    assert calm["courses"] is None
    assert slow["paired"] is None, "its brows and mouths are not at the same times"
    assert slow["truths"] == 2 * len(COURSES_PX)
    assert [slow["courses"][f"{px:g} px"]["truths"] for px in COURSES_PX] == [2] * 4
    assert seen["truths"] == 0, "who was seen before is not counted"
    assert seen["seen_before"]["truths"] == 1
    assert seen["seen_before"]["persons"]["webcam-man"]["truths"] == 1
    assert len(lines) > 2


def telling(engines: EngineSet) -> EngineSet:
    """The baseline with the fake recogniser, which says AU4 and AU7 of the left brow."""
    spec = RecognizerSpec(side=engines.spotter.side, units=fakes.UNITS, regions=fakes.REGIONS)
    recognizer = FunctionEngine(fakes.recognize_and_tell, *spec.tensors()["recognizer"])
    return replace(engines, recognizer=recognizer, recognizer_spec=spec)


def test_rows_say_what_moved_in_hits_where_the_weights_do(
    quiet: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "read_footage", lambda *_, **__: quiet)
    new = [(path, replace(part, seen_before=False)) for path, part in parts_for([SAMPLE], "exam")]
    loose = load()
    loose = replace(loose, spotter=replace(loose.spotter, t_cpn=0.1, t_crn=0.1))
    options = PlayOptions(places=4, seed=1)
    asked = {"rows": ("quiet",), "families": [UsualFamily()], "options": options}
    (found,) = examine_semireal(telling(loose), new, **asked)
    moved = found["movement"]
    assert moved["hits"] == round(found["recall"] * found["truths"]) > 2
    assert set(moved["f1_by_person"]) == {"webcam-man"}
    assert moved["f1_mean"] == moved["f1_by_person"]["webcam-man"]
    assert set(moved["units"]) == set(fakes.UNITS)
    assert "movement" not in examine_semireal(loose, new, **asked)[0]


def test_the_mean_over_persons_counts_each_person_once() -> None:
    spec = telling(load()).recognizer_spec
    outputs = {name: array[0] for name, array in fakes.recognize_and_tell(CLIP).items()}
    frown = Moved({"AU4": ("L", 2.0), "AU7": ("L", 1.0)}, "brow", "L", 2.0)
    smile = Moved({"AU12": ("L", 2.0)}, "mouth corner", "L", 2.0)
    said = [("a", frown, False)] * 3 + [("b", smile, False), ("c", smile, True)]
    plays = []
    for person, truth, seen in said:
        moved = (MovementResult(outputs, truth, FlowRegion("brow", "L"), person),)
        plays.append(Play(person, seen, "brow", 0.0, (), moved))
    found = row_movement([*plays, Play("d", False, "brow", 0.0, ())], spec)
    assert found["f1_by_person"] == {"a": 1.0, "b": 0.0, "d": None}
    assert found["f1_mean"] == 0.5
    assert found["hits"] == 4
    assert found["intervals"]["region"] == [0.0, 1.0]


def test_another_row_is_refused() -> None:
    with pytest.raises(UsageError, match=r"row 'loud': choose of quiet, upper, slow"):
        examine_semireal(load(), [], rows=("loud",), families=[UsualFamily()])


def test_an_me_where_the_face_is_lost_is_missed_and_told(
    quiet: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    warp = Warp(quiet.landmarks[0], quiet.affines[0], quiet.crops.shape[-1])
    action = UsualFamily().draw(np.random.default_rng(0), 1.5, Recipe(), warp.peak, "brow")
    later = moved_to(action, float(quiet.times_ns[0]) / SECOND_NS)
    seen = played(quiet, warp, [later], "somebody")
    gone = replace(seen, times_ns=seen.times_ns[[0, -1]], crops=seen.crops[:0])
    onset, offset = later.movement.onset_ns, later.movement.offset_ns
    beside = (seen.times_ns < onset - SECOND_NS // 2) | (seen.times_ns > offset + SECOND_NS // 2)
    torn = replace(seen, times_ns=seen.times_ns[beside], crops=seen.crops[beside])
    engines = load_engines("baseline")
    plays = []
    for recording in (seen, gone, torn):
        results = spotted(recording, engines)
        assert {result.recording.cluster for result in results} == {seen.cluster}
        plays.append(Play("somebody", False, "brow", 0.0, results))
    assert [row_report([play], {"somebody": 1.0}, 112)["unaligned"] for play in plays] == [0, 1, 1]

    class Blind:
        def __enter__(self) -> Blind:
            return self

        def __exit__(self, *_: object) -> None: ...

        def __call__(self, *_: object) -> SimpleNamespace:
            return SimpleNamespace(faces=())

    monkeypatch.setattr(plays_module, "_PieceAligner", lambda **_: Blind())
    lost = played(quiet, warp, [later], "somebody")
    assert len(lost.crops) == 0
    assert lost.minutes == pytest.approx(seen.minutes, abs=1e-3)
    assert spotted(lost, engines)[0].lost
