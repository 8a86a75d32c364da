"""The family that stays out: what is measured, what is drawn, and who must not import it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from microspot.engines.data.footage import Footage, MeshAligner, read_footage
from microspot.engines.data.generator.actions import Geometry, motion_field
from microspot.engines.data.generator.camera import parallax
from microspot.engines.data.generator.timeline import Recipe
from microspot.engines.data.generator.truth import truth_of
from microspot.engines.data.people import ClipUse
from microspot.engines.errors import DataError
from microspot.engines.evaluation.exams.mesh_annotation import annotate
from microspot.engines.evaluation.exams.stays_out import family as family_module
from microspot.engines.evaluation.exams.stays_out.family import (
    StaysOutFamily,
    draw_course,
    examined_persons,
    incomplete_return,
    measure_family,
)
from microspot.engines.evaluation.exams.stays_out.fields import find_fields
from microspot.engines.evaluation.exams.stays_out.regions import REGIONS, MeshField, window
from microspot.engines.evaluation.exams.stays_out.registration import (
    SIDE,
    SkinMotion,
    grey,
    skin_motion,
    without_head_motion,
)
from microspot.realtime.sources.synthetic_clip import sample_clip
from tests.test_house import imported, sources

CORNER = next(region for region in REGIONS if region.name == "mouth corner")


@pytest.fixture(scope="module")
def footage() -> Footage:
    """A second in which the face of the sample is still."""
    with MeshAligner(side=SIDE) as aligner:
        return read_footage(sample_clip(), 46.0, 47.0, aligner, keep_frames=False)


@pytest.fixture(scope="module")
def points(footage: Footage) -> np.ndarray:
    """The mesh of the first crop in its px, z on the same scale."""
    mesh = footage.meshes[footage.aligned[0]]
    affine = footage.affines[0]
    flat = mesh[:, :2] @ affine[:, :2].T + affine[:, 2]
    return np.column_stack([flat, mesh[:, 2] * np.hypot(*affine[0, :2])])


def moved(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: len(image), : len(image)].astype(np.float32)
    grid = np.stack([x, y], axis=-1) - field.astype(np.float32)
    return cv2.remap(image, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def measured(
    footage: Footage, points: np.ndarray, head: float, unit: str = "AU12"
) -> tuple[SkinMotion, np.ndarray]:
    """What is measured where a left smile is warped into a turn of `head` rad, and the smile."""
    geometry = Geometry.of(points, SIDE, SIDE)
    smile = motion_field(geometry, unit, "L")
    smile *= 3.0 / np.hypot(smile[..., 0], smile[..., 1]).max()
    yaw, _ = parallax(geometry, points[:468, 2])
    before = grey(footage.crops[0])
    motion = skin_motion(before, moved(before, smile + head * yaw + 1.5), points)
    at = np.clip(np.rint(points[:468, :2]).astype(int), 0, SIDE - 1)
    true = smile[at[:, 1], at[:, 0]] / geometry.px_per_cm
    return motion, true


def test_a_smile_is_measured_and_the_head_is_not(footage: Footage, points: np.ndarray) -> None:
    motion, true = measured(footage, points, head=0.03)
    inside = (window(CORNER, "L", motion.places) > 0.9) & motion.reliable
    other = (window(CORNER, "R", motion.places) > 0.5) & motion.reliable
    assert inside.sum() > 10
    cosine = (motion.moves[inside] * true[inside]).sum() / (
        np.linalg.norm(motion.moves[inside]) * np.linalg.norm(true[inside])
    )
    assert cosine > 0.9
    size = np.hypot(*motion.moves.T)
    assert size[inside].max() == pytest.approx(np.hypot(*true[inside].T).max(), rel=0.35)
    assert np.median(size[other]) < 0.15 * size[inside].max()
    assert motion.turn == pytest.approx(0.03, abs=0.02)


def test_head_motion_alone_leaves_nothing() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(-7, 7, (300, 2))
    depth = rng.uniform(-3, 3, 300)
    head = np.array([0.2, -0.1, 0.01, 0.02, 0.03, -0.02])
    moves = np.column_stack(
        [
            head[0] + head[2] * places[:, 0] - head[3] * places[:, 1] + head[4] * depth,
            head[1] + head[2] * places[:, 1] + head[3] * places[:, 0] + head[5] * depth,
        ]
    )
    smiling = places[:, 0] > 5.5
    moves[smiling] += [0.3, -0.3]
    counted = np.ones(300, bool)
    left, found = without_head_motion(moves, places, depth, counted)
    assert np.abs(left[~smiling]).max() < 0.02
    assert left[smiling] == pytest.approx(np.tile([0.3, -0.3], (smiling.sum(), 1)), abs=0.02)
    assert found[2:] == pytest.approx(head[2:], abs=0.002)


def test_a_still_face_has_no_expression(footage: Footage) -> None:
    still = [footage.crops[0]] * len(footage.crops)
    frozen = Footage(
        footage.name,
        frames=[],
        times_ns=footage.times_ns,
        aligned=footage.aligned,
        crops=np.array(still),
        affines=footage.affines,
        landmarks=footage.landmarks,
        meshes=footage.meshes,
        options=footage.options,
    )
    assert find_fields("nobody", frozen, annotate(frozen)) == []


def filmed(
    footage: Footage,
    shown: Sequence[tuple[int, int, str]],
    *,
    lips: tuple[int, int] = (0, 0),
    lids: tuple[int, int] = (0, 0),
) -> Footage:
    """2 s at 30 Hz of the first crop, with units of the left side, and noise.

    shown: first and last frame, and the unit that is seen in them, 3 px far. lips, lids: frames in
    which the mesh's lips are parted and its lids shut.
    """
    count = 60
    affine = footage.affines[0]
    mesh = np.array(footage.meshes[footage.aligned[0]])
    landmarks = np.repeat(footage.landmarks[:1], count, axis=0)
    eyes = np.hypot(*(landmarks[0, 33] - landmarks[0, 263]))
    landmarks[slice(*lips), 14, 1] += 0.09 * eyes
    for upper, lower in ((159, 145), (386, 374)):
        landmarks[slice(*lids), upper] = landmarks[slice(*lids), lower]
    flat = mesh[:, :2] @ affine[:, :2].T + affine[:, 2]
    geometry = Geometry.of(flat, SIDE, SIDE)
    image = footage.crops[0].transpose(1, 2, 0)
    rng = np.random.default_rng(5)
    crops = []
    for i in range(count):
        field = np.zeros((SIDE, SIDE, 2), np.float32)
        for first, last, unit in shown:
            if first <= i <= last:
                one = motion_field(geometry, unit, "L")
                field += 3.0 * one / np.hypot(one[..., 0], one[..., 1]).max()
        noisy = moved(image, field) + rng.normal(0, 1, image.shape)
        crops.append(np.clip(noisy, 0, 255).astype(np.uint8).transpose(2, 0, 1))
    return Footage(
        "made",
        frames=[],
        times_ns=np.arange(count, dtype=np.int64) * 33_333_333,
        aligned=np.arange(count),
        crops=np.array(crops),
        affines=np.repeat(footage.affines[:1], count, axis=0),
        landmarks=landmarks,
        meshes=[mesh] * count,
        options=footage.options,
    )


def chosen(made: Footage) -> list[MeshField]:
    return find_fields("somebody", made, annotate(made))


def test_a_smile_is_found_where_it_is_and_as_it_moves(footage: Footage) -> None:
    fields = chosen(filmed(footage, [(25, 59, "AU12")]))
    assert ("mouth corner", "L") in {(field.region, field.side) for field in fields}
    assert not any(field.side == "R" or field.region == "brow" for field in fields)
    (smile,) = [field for field in fields if field.region == "mouth corner"]
    assert smile.from_s < 25 / 30 <= smile.to_s
    across, down = smile.moves[[291, 287, 410, 322]].mean(0)
    assert across > 0.3
    assert down < -0.3
    right = smile.moves[[61, 57, 186, 92]]
    assert np.abs(right).max() < 0.05


def test_points_without_flow_follow_those_around(footage: Footage, points: np.ndarray) -> None:
    motion, true = measured(footage, points, head=0.0, unit="AU6")
    eye = next(region for region in REGIONS if region.name == "eye")
    lids = (window(eye, "L", motion.places) > 0.5) & ~motion.reliable
    assert lids.sum() > 3
    cosine = (motion.moves[lids] * true[lids]).sum() / (
        np.linalg.norm(motion.moves[lids]) * np.linalg.norm(true[lids])
    )
    assert cosine > 0.9
    size = np.hypot(*motion.moves[lids].T)
    assert size.max() > 0.25 * np.hypot(*true[lids].T).max()
    assert size.min() > 0


def test_speech_is_no_expression_but_of_the_brows(footage: Footage) -> None:
    both = [(25, 59, "AU12"), (25, 59, "AU2")]
    assert {"brow", "mouth corner"} <= {field.region for field in chosen(filmed(footage, both))}
    speaks = chosen(filmed(footage, both, lips=(23, 27)))
    assert {field.region for field in speaks} == {"brow"}


def test_what_moves_across_a_blink_is_no_expression(footage: Footage) -> None:
    shown = [(27, 59, "AU12"), (27, 59, "AU2")]
    assert chosen(filmed(footage, shown, lids=(24, 30))) == []


def test_what_only_one_of_two_measurements_shows_is_thrown_away(footage: Footage) -> None:
    assert chosen(filmed(footage, [(25, 25, "AU12")])) == []


def family() -> StaysOutFamily:
    """Six made-up fields of three persons in two regions."""
    rng = np.random.default_rng(1)
    return StaysOutFamily(
        tuple(
            MeshField(person, region, "L", 0.0, 1.0, 0.2, rng.normal(0, 0.3, (468, 2)))
            for person in ("a", "b", "b")
            for region in ("brow", "chin")
        )
    )


def peak(strengths: dict) -> float:
    return 4.0 * sum(strengths.values())


def test_movements_are_drawn_by_region_then_by_person() -> None:
    drawn = [
        family().draw_micro(np.random.default_rng(seed), 2.0, Recipe(), peak) for seed in range(400)
    ]
    regions = [action.movement.region for action in drawn]
    assert 0.62 < regions.count("brow") / 400 < 0.78  # 0.28 of 0.40
    of_a = sum(next(iter(action.strengths)).person == "a" for action in drawn)
    assert 160 < of_a < 240  # one of two persons, though a has a third of the fields
    for action in drawn:
        least, most = Recipe().micro_px
        assert least - 1e-3 <= action.movement.peak_px <= most + 1e-3
        assert peak(action.strengths) == pytest.approx(action.movement.peak_px, abs=1e-3)
        assert action.movement.label3 is None


def test_regions_can_be_asked_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = family().draw_micro(rng, 0.0, Recipe(), peak, regions=("chin", "lips"))
        assert (action.movement.region, action.movement.side) == ("chin", "L")
    with pytest.raises(DataError, match="lips"):
        family().draw_micro(rng, 0.0, Recipe(), peak, regions=("lips",))


def test_every_course_is_a_micro_expression_that_may_return_by_half() -> None:
    left = []
    for seed in range(300):
        curve, (onset, apex, offset) = draw_course(np.random.default_rng(seed), 1.0)
        assert onset == 1.0
        assert 0.069 < apex - onset < 0.251
        assert 0.13 < offset - onset <= 0.501
        assert curve(apex) > 0.99
        left.append(curve(1.5))
        assert curve(onset) == 0.0
        assert curve(onset + 2.6) == 0.0
    assert max(left) < 0.51
    assert np.quantile(left, [0.1, 0.9]) == pytest.approx([0.04, 0.4], abs=0.06)


def test_a_doubtful_course_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family_module, "LOST", (0.3, 0.7))
    for seed in range(40):
        curve, (onset, _, _) = draw_course(np.random.default_rng(seed), 0.0)
        assert curve(onset + 0.5) < 0.5


def test_a_movement_that_keeps_more_than_half_is_doubtful() -> None:
    course = incomplete_return(0.0, 0.15, 0.4, left=0.6, fade=1.0, bent=(1.0, 1.0))
    assert truth_of(course, 0.0, 1.4).kind == "doubtful"


def test_a_family_without_fields_says_so() -> None:
    with pytest.raises(DataError, match="longer"):
        StaysOutFamily(())


def test_a_family_tells_itself_from_another() -> None:
    about = family().about()
    assert (about["version"], about["persons"], about["missing"]) == (2, {"a": 2, "b": 4}, [])
    assert about["regions"]["brow"] == {"fields": 3, "persons": 2}
    assert about["regions"]["eye"] == {"fields": 0, "persons": 0}
    assert about["digest"] == family().digest()
    of_b, of_a = ([f for f in family().fields if f.person == person] for person in "ba")
    assert about["digest"] == StaysOutFamily((*of_b, *of_a)).digest(), "whose video came first"
    fields = family().fields
    other = replace(fields[0], moves=fields[0].moves + 0.01)
    assert StaysOutFamily((other, *fields[1:])).digest() != about["digest"]
    assert StaysOutFamily(fields[1:]).digest() != about["digest"]


def test_a_subset_of_the_examined_persons_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = family().fields
    monkeypatch.setattr(family_module, "read_footage", lambda *_, **__: None)
    monkeypatch.setattr(family_module, "annotate", lambda _: None)
    monkeypatch.setattr(family_module, "find_fields", lambda *_: [fields[0]])
    monkeypatch.setattr(family_module, "MeshAligner", lambda side: nullcontext())
    monkeypatch.setattr(family_module, "examined_persons", lambda: ["a", "c"])
    lines: list[str] = []
    part = ClipUse("", "clip", "a", "exam", 0.0, None, False)
    found = measure_family([(Path("clip"), part)], lines.append)
    assert found.missing == ("c",)
    assert lines[0].startswith("warning: no video of c: ")
    assert "grid-a" in examined_persons()
    assert "grid-p4" not in examined_persons(), "who is for tuning"


def test_neither_data_nor_training_imports_the_examinations() -> None:
    rooms = ("microspot.engines.data", "microspot.engines.training", "microspot.engines.networks")
    for name, path in sources().items():
        if name.startswith(rooms):
            wrong = [other for other in imported(path) if ".evaluation.exams" in other]
            assert wrong == [], f"{name} imports {wrong}"
