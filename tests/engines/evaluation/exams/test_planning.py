"""What is played at a place: pairs alike in time and size, courses alike but for their speed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from microspot.engines.data.footage import Footage, read_footage
from microspot.engines.data.generator.timeline import Action, Strengths
from microspot.engines.evaluation.exams import mesh_annotation
from microspot.engines.evaluation.exams.mesh_annotation import annotate
from microspot.engines.evaluation.exams.semireal import rows
from microspot.engines.evaluation.exams.semireal.planning import COURSES_PX, Stage, planned
from microspot.engines.evaluation.exams.semireal.room import Span, spans_of
from microspot.engines.evaluation.exams.semireal.shapes import SITES, UsualFamily, part_of
from microspot.realtime.sources.synthetic_clip import sample_clip

SPAN = Span(0.0, 30.0, 0)


def peak(strengths: Strengths) -> float:
    return 4.0 * max(abs(value) for value in strengths.values())


def plays_of(row: str, index: int, seed: int = 1) -> list[tuple[str, float, list[Action]]]:
    """The plays of one place in 30 quiet seconds."""
    stage: Any = SimpleNamespace(footage=SimpleNamespace(crops=np.zeros((1, 3, 112, 112))))
    warps: Any = {SPAN: SimpleNamespace(peak=peak)}
    rng = np.random.default_rng(seed)
    found = planned(rng, stage, row, UsualFamily(), [SPAN], warps, index)
    assert found is not None
    return found[1]


# ---- plans


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("index", "parts"), [(0, ["brow", "mouth", "other"]), (1, ["brow", "mouth"])]
)
def test_the_mes_of_a_quiet_place_differ_in_their_part_of_the_face_alone(
    index: int, parts: list[str], seed: int
) -> None:
    plays = plays_of("quiet", index, seed)
    assert [(part, px) for part, px, _ in plays] == [(part, 0.0) for part in parts]
    brow, *others = [action for _, _, (action,) in plays]
    assert part_of((brow.movement.region,)) == "brow"
    middle = (brow.movement.onset_ns + brow.movement.apex_ns) / 2e9
    for part, other in zip(parts[1:], others, strict=True):
        if part == "mouth":
            assert part_of((other.movement.region,)) == part
        assert other.movement.units != brow.movement.units
        for name in ("onset_ns", "apex_ns", "offset_ns", "peak_px"):
            assert getattr(other.movement, name) == getattr(brow.movement, name), name
        assert peak(other.strengths) == pytest.approx(other.movement.peak_px)
        assert other.curve(middle) == brow.curve(middle) > 0


@pytest.mark.parametrize("index", range(2 * len(SITES)))
def test_the_courses_of_a_place_differ_in_their_scale_alone(index: int) -> None:
    plays = plays_of("slow", index)
    assert [px for _, px, _ in plays] == list(COURSES_PX)
    assert {part for part, _, _ in plays} == {("brow", "mouth")[index % 2]}
    ((micro,), *under) = [actions for _, _, actions in plays]
    assert all(first is micro for first, _ in under)
    slow = [second for _, second in under]
    middle = (micro.movement.onset_ns + micro.movement.offset_ns) / 2e9
    times = np.linspace(middle - 1.5, middle + 1.5, 7)
    for px, one in zip(COURSES_PX[1:], slow, strict=True):
        scale = px / COURSES_PX[1]
        assert [one.curve(t) for t in times] == [slow[0].curve(t) for t in times]
        assert one.strengths.keys() == slow[0].strengths.keys()
        for unit, strength in one.strengths.items():
            assert strength == pytest.approx(scale * slow[0].strengths[unit]), "the same way"
    same = slow[0].movement.region == micro.movement.region
    assert same == (SITES[index // 2 % len(SITES)] == "same")


def test_places_are_drawn_anew() -> None:
    first, second = (plays_of("slow", 0, seed)[0][2][0].movement for seed in (1, 2))
    assert first.onset_ns != second.onset_ns


# ---- rooms

TALKS_S = (31.5, 32.0)
BLINKS_S = (30.96, 31.16)  # of the sample clip


@pytest.fixture(scope="module")
def talking() -> Footage:
    """Three seconds with one blink, in which the lips are parted for half a second."""
    footage = read_footage(sample_clip(), 30.0, 33.0, keep_frames=False)
    at = footage.at_ns / 1e9
    talks = (at >= TALKS_S[0]) & (at <= TALKS_S[1])
    landmarks = footage.landmarks.copy()
    eyes = np.hypot(*(landmarks[0, 33] - landmarks[0, 263]))
    landmarks[talks, 14, 1] += 0.2 * eyes
    return replace(footage, landmarks=landmarks)


def within(spans: list[Span], from_s: float, to_s: float) -> bool:
    """Whether any span reaches into these seconds."""
    return any(span.from_s < to_s and span.to_s > from_s for span in spans)


def test_the_upper_row_has_room_while_the_mouth_moves_but_in_no_blink(
    talking: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "read_footage", lambda *_, **__: talking)
    stage = Stage("anyone", False, talking, annotate(talking))
    upper, quiet = stage.spans("upper"), stage.spans("quiet")

    assert within(upper, *TALKS_S)
    assert not within(quiet, *TALKS_S)
    assert not within(upper, BLINKS_S[0] - 0.1, BLINKS_S[1] + 0.1)
    assert stage.spans("slow") == quiet
    part: Any = SimpleNamespace(from_s=30.0, to_s=33.0, person="anyone", seen_before=False)
    room, _ = rows.rooms_of([(sample_clip(), part)], ("quiet", "upper"))
    seconds = {row: sum(found.values()) for row, found in room.items()}
    assert seconds["upper"] == pytest.approx(sum(span.seconds for span in upper))
    assert seconds["quiet"] == pytest.approx(sum(span.seconds for span in quiet))
    assert seconds["quiet"] < seconds["upper"]


def test_a_blink_leaves_no_room_in_the_upper_row_though_nothing_else_moves(
    talking: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_annotation, "_moves", lambda mesh, *_: np.zeros(len(mesh), bool))
    spans = spans_of(talking, annotate(talking), upper=True)
    assert not within(spans, BLINKS_S[0] - 0.1, BLINKS_S[1] + 0.1)
    assert [span.from_s > BLINKS_S[1] for span in spans] == [False, True]


def test_a_clip_has_the_places_of_its_own_room_alone() -> None:
    room = {("p", False, "a/film.mp4"): 1.0, ("p", False, "a/my-film.mp4"): 3.0}
    stage: Any = SimpleNamespace(person="p", footage=SimpleNamespace(name="film.mp4"))
    assert rows._share_of(stage, room, {"p": 40}) == 10
