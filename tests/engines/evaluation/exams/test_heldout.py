"""Held-out examinations: hits recognized as in the stream, gaps cut, the same clips for all."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from microspot.engines.alignment.aligner import MediaPipeAligner
from microspot.engines.baseline import load
from microspot.engines.data.faces import split_of
from microspot.engines.data.generator.timeline import Movement
from microspot.engines.data.generator.truth import LEVEL_NS, LEVELS
from microspot.engines.errors import DataError, UsageError
from microspot.engines.evaluation.exams.heldout import examine_heldout
from microspot.engines.evaluation.exams.recognition import (
    RecognitionResult,
    clip_of,
    recognition_figures,
    recognize_hit,
)
from microspot.engines.evaluation.exams.recordings import (
    Recording,
    SpottingResult,
    examine,
    without_pixels,
)
from microspot.engines.evaluation.exams.rendering import (
    EXAM_RECIPE,
    ClipPlan,
    render_jobs,
    rendered,
)
from microspot.engines.evaluation.exams.segments import segments
from microspot.engines.evaluation.exams.stays_out.family import StaysOutFamily
from microspot.engines.evaluation.exams.stays_out.regions import MeshField
from microspot.engines.evaluation.exams.tuning import calibrate_on_faces
from microspot.engines.intervals import Intervals
from microspot.engines.runtime.engine import EngineSet, FunctionEngine
from microspot.engines.specs import RecognizerSpec
from microspot.engines.units.displacement import reference_px
from microspot.realtime.session import Session
from microspot.realtime.sources.synthetic_clip import NEUTRAL_FRAME, SAMPLE_HZ, sample_clip
from microspot.realtime.spotting.time_grid import tick_ns
from tests import fakes

SAMPLE = sample_clip()
NEUTRAL_S = NEUTRAL_FRAME / SAMPLE_HZ  # mouth closed, eyes open, facing the camera
TICK = 33_333_333


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three test portraits, all of the sample's face."""
    folder = tmp_path_factory.mktemp("faces")
    with av.open(str(SAMPLE)) as file:
        file.seek(int(NEUTRAL_S * av.time_base))
        image = next(
            f.to_ndarray(format="bgr24") for f in file.decode(video=0) if f.time >= NEUTRAL_S - 1e-6
        )
    with MediaPipeAligner() as aligner:
        (mesh,) = aligner.landmarks(image)
    names = [name for name in (f"{i:03}.png" for i in range(1000)) if split_of(name) == "test"][:3]
    for name in names:
        cv2.imwrite(str(folder / name), image)
    np.savez(folder / "landmarks468.npz", L=np.repeat(mesh[None, :468], len(names), 0))
    return folder


def with_recognizer(engines: EngineSet, labels: tuple[str, ...]) -> EngineSet:
    """The set with a recogniser that always gives the second label."""
    spec = RecognizerSpec(side=engines.spotter.side, labels=labels)

    def function(clip: np.ndarray) -> dict[str, np.ndarray]:
        classes = np.tile(np.eye(len(labels), dtype=np.float32)[1], (len(clip), 1))
        return {"classes": classes, "intensity": clip[:, :, 0, 0, 0].astype(np.float32) / 255}

    engine = FunctionEngine(function, *spec.tensors()["recognizer"])
    return dataclasses.replace(engines, recognizer=engine, recognizer_spec=spec)


def micro(onset: int, apex: int, offset: int, label3: str | None = "positive") -> Movement:
    return Movement(
        "micro", onset * TICK, apex * TICK, offset * TICK, ("AU12",), label3, "happiness", 1.0
    )


def recording_of(times: list[int], movements: tuple[Movement, ...] = ()) -> Recording:
    """Crops whose first pixel counts the frames."""
    crops = np.zeros((len(times), 3, fakes.SIDE, fakes.SIDE), np.uint8)
    crops[:, 0, 0, 0] = np.arange(len(times)) % 256
    return Recording("recording", np.array(times, np.int64), crops, movements)


# ---- hits


@pytest.mark.parametrize("seed", [0, 1])
def test_a_found_interval_is_recognized_as_in_the_stream(seed: int) -> None:
    engines = fakes.engine_set()
    feats = fakes.features(np.random.default_rng(seed), 120, 0.6)
    crops = [fakes.crop(feats[:, t], tick_ns(0, t, 30), t) for t in range(feats.shape[1])]
    session = Session(engines, "x")
    events = [e for crop in crops for e in session.push(crop)] + session.flush()
    finals = [event for event in events if event.status == "final"]
    finals.sort(key=lambda event: (event.onset_ns, event.offset_ns))
    recording = Recording(
        "x", np.array([c.captured_ns for c in crops]), np.stack([c.pixels for c in crops])
    )
    result = examine(recording, engines)
    recognized = []
    for i in range(len(result.found)):
        times, clip = clip_of(result, i, engines)
        recognized.append((times, engines.engine("recognizer")(clip=clip[None])))
    assert len(finals) > 3
    recognized.sort(key=lambda one: (one[0][0], one[0][-1]))
    for event, (times, outputs) in zip(finals, recognized, strict=True):
        assert (event.onset_ns, event.offset_ns) == (times[0], times[-1])
        np.testing.assert_array_equal(event.intensity, outputs["intensity"][0])


def test_a_hit_is_judged_against_its_own_truth() -> None:
    movement = micro(10, 14, 20)
    recording = recording_of([t * TICK for t in range(40)], (movement,))
    # brightness rises to the true apex and falls again: ranks as the prototype's
    brightness = np.interp(np.arange(40), [10, 14, 20], [10, 200, 10])
    recording.crops[:, 0, 0, 0] = brightness.astype(np.uint8)
    result = SpottingResult(recording, Intervals.of([10.0], [21.0], [0.9]), ((0, 0),))
    recognized = recognize_hit(
        result, 0, 0, with_recognizer(fakes.engine_set(), ("negative", "positive", "surprise"))
    )
    assert (recognized.truth, recognized.predicted, recognized.certain) == (1, 1, True)
    # ties of the prototype break in grey levels
    assert recognized.spearman == pytest.approx(1, abs=0.01)
    assert recognized.apex_error == pytest.approx(0, abs=1e-6)
    assert recognized.triangle[0] < 1  # the middle of the interval is not the apex
    assert recognized.triangle[1] == pytest.approx(0.1, abs=1e-6)
    assert (recognized.true, recognized.triangle[2]) == (None, None), "no course is kept"
    late = SpottingResult(recording, Intervals.of([15.0], [26.0], [0.9]), ((0, 0),))
    missed = recognize_hit(late, 0, 0, fakes.engine_set()).apex_error
    assert missed == pytest.approx(0.1, abs=1e-6)  # 1 of 10 ticks


def test_a_curve_is_judged_against_the_true_course_too() -> None:
    """The course rises at once and falls slowly, the found interval begins before the onset."""
    levels = tuple(np.interp(np.arange(LEVELS) * LEVEL_NS / TICK, [0, 2, 12], [0, 1, 0]).tolist())
    movement = dataclasses.replace(micro(10, 12, 20), levels=levels)
    recording = recording_of([t * TICK for t in range(40)], (movement,))
    course = np.interp(np.arange(40) - 10, [0, 2, 12], [10, 200, 10])
    recording.crops[:, 0, 0, 0] = course.astype(np.uint8)
    result = SpottingResult(recording, Intervals.of([8.0], [21.0], [0.9]), ((0, 0),))
    found = recognize_hit(result, 0, 0, fakes.engine_set())
    assert found.true > 0.95  # ties of the course break in grey levels
    assert found.triangle[2] < found.true - 0.05
    figures = recognition_figures([found], ("negative", "positive", "surprise"))
    assert figures["true"] == pytest.approx(found.true, abs=1e-4)
    assert figures["tent"]["true"] == pytest.approx(found.triangle[2], abs=1e-4)


def test_labels_are_those_of_the_set_and_others_have_no_class_of_three() -> None:
    recording = recording_of([t * TICK for t in range(40)], (micro(10, 14, 20, label3=None),))
    result = SpottingResult(recording, Intervals.of([10.0], [21.0], [0.9]), ((0, 0),))
    assert recognize_hit(result, 0, 0, fakes.engine_set()).truth is None
    five = ("disgust", "repression", "surprise", "happiness", "others")
    assert recognize_hit(result, 0, 0, with_recognizer(fakes.engine_set(), five)).truth == 3


def test_recognition_counts_labelled_hits_and_averages_curves_over_all() -> None:
    triangle = (0.5, 0.25, 0.75)
    recognitions = [
        RecognitionResult(0, 0, True, 1.0, 0.0, 0.9, triangle),
        RecognitionResult(0, 1, False, 0.5, 0.2, None, (0.5, 0.25, None)),
        RecognitionResult(1, 1, True, 0.0, 0.1, 0.7, triangle),
        RecognitionResult(None, 1, False, 0.5, 0.1, 0.8, triangle),
    ]
    found = recognition_figures(recognitions, ("a", "b"))
    assert found == {
        "hits": 4,
        "labelled": 3,
        "uncertain": 1,
        "uf1": round(2 / 3, 4),
        "uar": 0.75,
        "spearman": 0.5,
        "apex_error": 0.1,
        "true": 0.8,
        "tent": {"spearman": 0.5, "apex_error": 0.25, "true": 0.75},
        "confusion": {"a": {"a": 1, "b": 1}, "b": {"a": 0, "b": 1}},
    }
    nothing = recognition_figures([], ("a", "b"))
    assert (nothing["uf1"], nothing["spearman"], nothing["hits"]) == (None, None, 0)


# ---- segments


def test_a_recording_is_cut_where_the_stream_sees_a_gap_and_every_movement_kept_once() -> None:
    times = [t * TICK for t in (*range(20), 30, *range(40, 60))]  # frame 30 stands alone
    moves = (micro(2, 4, 8), micro(18, 24, 29), micro(38, 44, 50))
    first, second = segments(recording_of(times, moves))
    assert [len(first.times_ns), len(second.times_ns)] == [20, 20]
    assert (first.micros(), second.micros()) == ([moves[0], moves[1]], [moves[2]])
    assert second.crops[0, 0, 0, 0] == 21


def test_an_unbroken_recording_is_itself_and_one_of_single_frames_has_no_segment() -> None:
    whole = recording_of([t * TICK for t in (0, 1, 4, 5)])  # 100 ms are bridged
    assert segments(whole) == [whole]
    assert segments(recording_of([0, 30 * TICK])) == []


def test_what_is_kept_of_a_result_has_no_pixels() -> None:
    recording = recording_of([t * TICK for t in range(40)], (micro(10, 14, 20),))
    kept = without_pixels(examine(recording, fakes.engine_set())).recording
    assert kept.crops.nbytes == 0
    assert kept.crops.base is None
    assert kept.minutes == recording.minutes


# ---- the examination


def test_the_displacements_are_those_that_the_field_names() -> None:
    assert [reference_px(px, 112) for px in EXAM_RECIPE.micro_px] == pytest.approx([0.5, 2.5])


def test_all_columns_see_the_same_clips_and_a_shared_spotter_spots_once(faces: Path) -> None:
    base = load()
    three = with_recognizer(base, ("negative", "positive", "surprise"))
    five = with_recognizer(base, tuple("abcde"))
    strict = dataclasses.replace(base, spotter=dataclasses.replace(base.spotter, t_crn=0.99))
    busy = dataclasses.replace(EXAM_RECIPE, micro_per_min=40.0, hz=(30.0,))
    lines: list[str] = []
    report = examine_heldout(
        [three, strict, five],
        faces,
        ClipPlan(clips=2, seconds=3, recipe=busy),
        progress=lines.append,
    )
    loose, tight = report["columns"]
    assert (report["clips"], report["faces"], len(lines)) == (2, 2, 2)
    assert loose["truths"] == tight["truths"] > 0
    assert tight["found"] == 0 < loose["found"]
    assert set(loose["recognition"]) == {"3", "5"}
    hits = round(loose["recall"] * loose["truths"])
    assert {figures["hits"] for figures in loose["recognition"].values()} == {hits}
    assert tight["recognition"] == {}
    assert {"hits", "by_flow"} == set(loose["recognition"]["3"]["movement"]), "without heads"


def test_the_family_that_stays_out_takes_the_place_of_the_usual_mes(faces: Path) -> None:
    moves = np.zeros((468, 2))
    moves[[61, 291]] = 1.0
    family = StaysOutFamily((MeshField("a", "mouth corner", "", 0.0, 1.0, 0.2, moves),))
    busy = dataclasses.replace(EXAM_RECIPE, micro_per_min=40.0, hz=(30.0,))
    plan = ClipPlan(clips=1, seconds=6, recipe=busy, family=family)
    (clip,) = rendered(render_jobs(faces, plan, 112), 1)
    micros = [m for m in clip.movements if m.kind == "micro"]
    assert len(micros) > 1
    assert {(m.family, m.region) for m in micros} == {("stays-out", "mouth corner")}
    assert all(b.onset_ns - a.onset_ns > 0.5e9 for a, b in itertools.pairwise(micros))
    assert {m.kind for m in clip.movements} > {"micro"}, "distractors stay"


def test_clips_come_in_order_whoever_renders_them(faces: Path) -> None:
    jobs = render_jobs(faces, ClipPlan(4, 1.0, seed=1), 112)
    assert len({job[0] for job in jobs[:3]}) == 3
    assert jobs[3][0] == jobs[0][0]
    others = render_jobs(faces, ClipPlan(4, 1.0, seed=2), 112)
    assert [job[3] for job in jobs] != [job[3] for job in others]
    alone = list(rendered(jobs, 1))
    together = list(rendered(jobs, 2))
    assert all(np.array_equal(a.crops, b.crops) for a, b in zip(alone, together, strict=True))


def test_what_cannot_be_examined_is_refused(faces: Path) -> None:
    with pytest.raises(UsageError, match=r"crop sides \[16, 112\]"):
        examine_heldout([load(), fakes.engine_set()], faces, ClipPlan())
    with pytest.raises(DataError, match="no usable train face"):
        examine_heldout([load()], faces, ClipPlan(split="train"))
    with pytest.raises(UsageError, match=r"lowest T_CRN 1\.5: expected 0 to 0\.99"):
        calibrate_on_faces(load(), faces, t_crn=1.5)


def test_thresholds_are_chosen_on_validation_faces(faces: Path, tmp_path: Path) -> None:
    names = [name for name in (f"v{i}.png" for i in range(1000)) if split_of(name) == "validation"]
    image = cv2.imread(str(next(iter(faces.glob("*.png")))))
    cv2.imwrite(str(tmp_path / names[0]), image)
    mesh = np.load(faces / "landmarks468.npz")["L"][:1]
    np.savez(tmp_path / "landmarks468.npz", L=mesh)
    best = calibrate_on_faces(load(), tmp_path, clips=1)
    assert best["clips"] == 1
    assert best["minutes"] == pytest.approx(1.0, abs=0.02)
    assert (best["alarms_limit"], best["upper_limit"]) == (0.2, 0.3)
    assert best["footage"] == {"minutes": 0.0, "alarms": 0}
    assert best["within_limits"] == (
        best["false_alarms_per_min"] <= 0.2 and best["false_alarms_high"] <= 0.3
    )
