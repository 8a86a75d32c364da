"""The family that stays out: what is measured, what is drawn, and who must not import it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from microspot.engines.data.footage import Footage, MeshAligner, read_footage
from microspot.engines.data.generator.actions import Geometry, motion_field
from microspot.engines.data.generator.camera import parallax
from microspot.engines.data.generator.timeline import Recipe
from microspot.engines.data.generator.truth import truth_of
from microspot.engines.errors import DataError
from microspot.engines.evaluation.exams.measured import family as family_module
from microspot.engines.evaluation.exams.measured.family import (
    MeasuredFamily,
    draw_course,
    incomplete_return,
)
from microspot.engines.evaluation.exams.measured.fields import (
    REGIONS,
    MeasuredField,
    measured_fields,
    window,
)
from microspot.engines.evaluation.exams.measured.registration import (
    SIDE,
    SkinMotion,
    grey,
    skin_motion,
    without_head_motion,
)
from microspot.engines.evaluation.exams.mesh_annotation import annotate
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


def measured(footage: Footage, points: np.ndarray, head: float) -> tuple[SkinMotion, np.ndarray]:
    """What is measured where a left smile is warped into a turn of `head` rad, and the smile."""
    geometry = Geometry.of(points, SIDE, SIDE)
    smile = motion_field(geometry, "AU12", "L")
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
    assert measured_fields("nobody", frozen, annotate(frozen)) == []


def family() -> MeasuredFamily:
    """Six made-up fields of three persons in two regions."""
    rng = np.random.default_rng(1)
    return MeasuredFamily(
        tuple(
            MeasuredField(person, region, "L", 0.0, 1.0, 0.2, rng.normal(0, 0.3, (468, 2)))
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
        MeasuredFamily(())


def test_neither_data_nor_training_imports_the_examinations() -> None:
    rooms = ("microspot.engines.data", "microspot.engines.training", "microspot.engines.networks")
    for name, path in sources().items():
        if name.startswith(rooms):
            wrong = [other for other in imported(path) if ".evaluation.exams" in other]
            assert wrong == [], f"{name} imports {wrong}"
