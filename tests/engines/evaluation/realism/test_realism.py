"""Real against generated MEs: measures of known movements, and whether two samples differ."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import cv2
import numpy as np
import pytest

from microspot.engines.alignment.displacement import SIDE
from microspot.engines.data.faces import FaceAsset
from microspot.engines.errors import DataError
from microspot.engines.evaluation.realism import generated as module
from microspot.engines.evaluation.realism.following import Follower
from microspot.engines.evaluation.realism.generated import RECIPE, generated
from microspot.engines.evaluation.realism.measures import UNITS, Points, Sample, measure
from microspot.engines.evaluation.realism.report import PERCENTILES, realism
from microspot.engines.evaluation.realism.two_samples import told_apart

HZ = 30
EACH = 16  # MEs of a sample
SPLITS = 10


def shifted(picture: np.ndarray, bumps: list[tuple[int, int, float]], all_px: float) -> np.ndarray:
    """A crop (3, S, S) moved down by bumps (x, y, px) 8 px wide, and by `all_px` as a whole."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    down = np.full((SIDE, SIDE), all_px, np.float32)
    for at_x, at_y, px in bumps:
        down += px * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * 8.0**2))
    moved = cv2.remap(picture, x, y - down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.stack([moved] * 3)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
    return np.clip(4 * (cv2.GaussianBlur(noise, (0, 0), 1.5) - 128) + 128, 0, 255).astype(np.uint8)


def measures_of(picture: np.ndarray, *bumps: tuple[int, int, float], all_px: float = 0) -> dict:
    crops = [shifted(picture, [], 0), shifted(picture, list(bumps), all_px)]
    values = measure([*crops, crops[0]], (0, 100_000_000, 300_000_000))
    return dict(zip(UNITS, values.tolist(), strict=True))


def test_a_known_movement_is_measured(picture: np.ndarray) -> None:
    one = measures_of(picture, (28, 56, 2.0), all_px=0.3)
    assert one["peak_displacement"] == pytest.approx(1.0, abs=0.15)  # of 24 px, not of a point
    assert one["onset_speed"] == pytest.approx(10 * one["peak_displacement"])
    assert one["offset_speed"] == pytest.approx(5 * one["peak_displacement"], rel=0.1)
    assert one["asymmetry"] == pytest.approx(1, abs=0.05)
    assert one["co_motion"] < 0.04, "the bump itself is left out"
    assert one["alignment_residual"] == pytest.approx(0.3, abs=0.1)
    both = measures_of(picture, (28, 56, 2.0), (84, 56, 2.0))
    assert both["asymmetry"] < 0.15
    assert both["area"] == pytest.approx(2 * one["area"], rel=0.25)
    weak = measures_of(picture, (28, 56, 2.0), (84, 56, 0.4))
    assert weak["area"] == pytest.approx(one["area"], rel=0.25)
    assert weak["co_motion"] > one["co_motion"] + 0.01


@pytest.fixture(scope="module")
def alike(face: FaceAsset) -> list[Sample]:
    return generated([face], 2 * EACH, HZ)


def halves(samples: list[Sample], rng: np.random.Generator) -> tuple[list[Sample], list[Sample]]:
    """Two halves, by clip."""
    clips = sorted({each.cluster for each in samples})
    first = set(rng.permutation(clips)[::2].tolist())
    return [one for one in samples if one.cluster in first], [
        one for one in samples if one.cluster not in first
    ]


def test_halves_of_one_generator_are_not_told_apart(alike: list[Sample]) -> None:
    rng = np.random.default_rng(1)
    found = [told_apart(*halves(alike, rng)) for _ in range(SPLITS)]
    assert np.mean([one["auc"] for one in found]) == pytest.approx(0.5, abs=0.12)
    assert sum(one["interval"][0] < 0.5 < one["interval"][1] for one in found) > SPLITS / 2
    rng = np.random.default_rng(1)
    assert told_apart(*halves(alike, rng)) == found[0], "the same numbers again"


def test_movements_of_another_size_are_told_apart(face: FaceAsset, alike: list[Sample]) -> None:
    large = generated([face], EACH, HZ, replace(RECIPE, micro_px=(3.0, 6.0)))
    found = told_apart(large, alike)
    assert found["auc"] > 0.85
    assert found["interval"][0] > 0.6


def scattered(rng: np.random.Generator, spread: float, clusters: int) -> list[Sample]:
    values = np.exp(rng.normal(0, spread, (60, len(UNITS))))
    return [Sample(f"{place % clusters}", row) for place, row in enumerate(values)]


def test_more_scatter_is_told_apart_and_one_cluster_is_not_judged() -> None:
    rng = np.random.default_rng(4)
    found = told_apart(scattered(rng, 0.2, 12), scattered(rng, 0.8, 12))
    assert found["auc"] > 0.9
    nothing = {"auc": None, "interval": None, "folds": None}
    assert told_apart(scattered(rng, 0.2, 1), scattered(rng, 0.8, 12)) == nothing


def test_a_person_is_not_recognised_instead_of_a_sample() -> None:
    """Each cluster has values of its own, whichever sample it is of: nothing to be told apart."""
    rng = np.random.default_rng(2)
    own = np.exp(rng.normal(0, 1, (16, len(UNITS))))
    samples = [
        Sample(f"{who}", own[who] * np.exp(rng.normal(0, 0.01, len(UNITS))))
        for who in range(16)
        for _ in range(8)
    ]
    found = told_apart(samples[:64], samples[64:])
    assert found["interval"][0] < 0.5 < found["interval"][1]


def test_percentiles_only_where_there_are_enough() -> None:
    rng = np.random.default_rng(4)
    real = scattered(rng, 0.2, 12)
    asked: list[int] = []

    def generate(number: int) -> list[Sample]:
        asked.append(number)
        return scattered(rng, 0.2, 12)[:number]

    assert list(realism(real[:29], generate)) == ["withheld"]
    assert list(realism(scattered(rng, 0.2, 3), generate)) == ["withheld"], "three people"
    assert asked == []
    found = realism(real[:30], generate)
    assert asked == [30]
    assert found["events"] == {"real": 30, "generated": 30}
    peak = found["measures"]["peak_displacement"]
    wanted = np.percentile([each.values[0] for each in real[:30]], PERCENTILES)
    assert list(peak["real"].values()) == pytest.approx(wanted.tolist())


def test_what_has_no_face_or_no_course_is_not_measured(face: FaceAsset) -> None:
    wall = np.full((240, 320, 3), 90, np.uint8)
    images = [face.image] * 8 + [wall] + [face.image] * 8
    asked = count()

    def frames():
        for index, image in enumerate(images):
            next(asked)
            yield index, round(index * 1e9 / HZ), image

    with Follower() as follower:
        events = [Points(1, 3, 5), Points(2, 2, 5), Points(6, 7, 10), Points(9, 11, 12)]
        found = follower.follow(frames(), events)
        assert [values is not None for values in found] == [True, False, False, True]
        assert next(asked) == 13, "no frame after the last offset"
        assert found[0][0] < 0.05, "nothing moves"
        assert follower.follow(frames(), [Points(2, 2, 5)]) == [None]
        assert next(asked) == 14, "nothing is asked where nothing can be measured"
        assert follower.follow(frames(), [Points(14, 15, 40)]) == [None], "ends too early"


def test_faces_that_cannot_be_aligned_are_refused(
    face: FaceAsset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CLIPS", 1)
    blank = replace(face, image=np.full_like(face.image, 90))
    with pytest.raises(DataError, match="cannot be aligned"):
        generated([blank], 2, HZ)
