"""The overlay is a pure function that draws whatever a session can say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from microspot.engines.specs import NUISANCES
from microspot.realtime.overlay import draw
from microspot.realtime.overlay.cards import name_and_percent
from microspot.realtime.overlay.event_text import confounder_words, nuisance_words, threshold_words
from microspot.realtime.overlay.movement import current_events
from microspot.realtime.overlay.palette import LABELS, PENDING, WARN, event_color
from microspot.realtime.records import Event, PersonalState, View

NOW_NS = 20_000_000_000
HISTORY = 200


def event(name: str = "a", status: str = "final", onset_s: float = 17.0, **other: Any) -> Event:
    onset_ns = int(onset_s * 1e9)
    fields: dict[str, Any] = {
        "id": name,
        "source": "cam",
        "face": 0,
        "status": status,
        "onset_ns": onset_ns,
        "offset_ns": onset_ns + 300_000_000,
        "onset_frame": 510,
        "offset_frame": 519,
        "score": 0.9,
        "emitted_ns": onset_ns + 10**9,
    }
    if status == "final":
        fields |= {
            "apex_ns": onset_ns + 10**8,
            "apex_frame": 513,
            "label": "surprise",
            "intensity": (0.1, 0.9, 0.2),
            "label_scores": {"negative": 0.1, "positive": 0.08, "surprise": 0.82},
        }
    return Event(**(fields | other))


def view(face: int = 0, events: tuple[Event, ...] = (), **other: Any) -> View:
    rng = np.random.default_rng(face)
    fields: dict[str, Any] = {
        "source": "cam",
        "face": face,
        "now_ns": NOW_NS,
        "grid_hz": 30,
        "measured_hz": 29.8,
        "windows": (7, 9, 11, 13, 15),
        "scores": rng.random((5, HISTORY)).astype(np.float32),
        "refined": rng.random(HISTORY).astype(np.float32),
        "events": events,
        "outline": np.array([[20, 20], [60, 20], [60, 70], [20, 70]], np.float32),
        "quality": 0.9,
        "latency_ms": 14.0,
        "thresholds": (0.5, 0.5),
    }
    return View(**(fields | other))


def image(height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)


def count_pixels(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    """Pixels of exactly this colour."""
    return int((picture == color).all(axis=2).sum())


@pytest.mark.parametrize(
    ("height", "width"),
    [(300, 400), (480, 640), (720, 1280), (1080, 1920), (1920, 1080), (2160, 3840), (101, 903)],
)
def test_canvas_depends_on_the_image_alone(height: int, width: int) -> None:
    given = image(height, width)
    sizes = {draw.draw(given, views).shape for views in ([], [view()], [view(i) for i in range(6)])}
    assert len(sizes) == 1
    rows, columns, _ = sizes.pop()
    assert rows % 2 == columns % 2 == 0
    assert 960 <= columns <= 1280 + 1.5 * draw.CARD_WIDTH + 1
    assert 690 <= rows <= 1050


def test_inputs_are_left_alone_and_the_result_repeats() -> None:
    given = image()
    before = given.copy()
    seen = view(events=(event(),))
    scores = seen.scores.copy()
    first = draw.draw(given, [seen], notes=["recording to overlay.mp4"])
    second = draw.draw(given, [seen], notes=["recording to overlay.mp4"])
    assert first is not given
    assert np.array_equal(given, before)
    assert np.array_equal(seen.scores, scores)
    assert np.array_equal(first, second)


NAN = np.full((5, HISTORY), np.nan, np.float32)
PERSONAL = PersonalState("cam", 0, NOW_NS, 0.931, 0.2, 250.0, 12, learning=False)
ODD_VIEWS = [
    ("a threshold of its own", view(personal=PERSONAL)),
    ("what else moves", view(nuisances=dict.fromkeys(NUISANCES, 0.3))),
    ("no history yet", view(scores=NAN[:, :0], refined=NAN[0, :0])),
    ("NaN history", view(scores=NAN, refined=NAN[0])),
    ("history longer than shown", view(scores=np.tile(NAN, 3), refined=np.tile(NAN[0], 3))),
    ("no outline", view(outline=np.empty((0, 2), np.float32))),
    (
        "outline outside the image",
        view(outline=np.array([[-900, -50], [9000, 4], [np.nan, 3]], np.float32)),
    ),
    ("one window", view(windows=(7,), scores=NAN[:1])),
    ("no rate yet", view(measured_hz=0.0)),
    (
        "event without label or intensity",
        view(events=(event(label=None, label_scores=None, intensity=None),)),
    ),
    ("flat intensity", view(events=(event(intensity=(0.0, 0.0)),))),
    ("one tick long", view(events=(event(offset_ns=17_000_000_000, apex_ns=None),))),
    ("long ago", view(events=(event(onset_s=1.0),))),
    ("uncertain", view(events=(event(label="uncertain"),))),
    ("crowded", view(events=tuple(event(str(i), onset_s=17 + 0.31 * i) for i in range(9)))),
    ("not an ASCII name", view(source="caméra 🎥")),
]


@pytest.mark.parametrize("seen", [v for _, v in ODD_VIEWS], ids=[name for name, _ in ODD_VIEWS])
def test_draws_whatever_a_session_can_say(seen: View) -> None:
    plain = draw.draw(image(), [])
    for faces in (1, 2, 4):
        picture = draw.draw(image(), [replace(seen, face=i) for i in range(faces)])
        assert picture.dtype == np.uint8
        assert (picture != plain).any()


def test_a_threshold_of_its_own_is_drawn_in_words() -> None:
    assert threshold_words(PERSONAL) == "threshold 0.93 for 0.2 alarms/min, 4 min seen"
    early = replace(PERSONAL, seen_s=40.0)
    assert threshold_words(early) == "threshold 0.93 for 0.2 alarms/min, 40 s seen"
    learning = replace(PERSONAL, threshold=0.9, seen_s=4.0, learning=True)
    assert threshold_words(learning) == "threshold 0.90, 4 of 10 s of learning"
    for faces in (1, 2):
        plain = [view(face) for face in range(faces)]
        told = [replace(one, personal=PERSONAL) for one in plain]
        assert (draw.draw(image(), told) != draw.draw(image(), plain)).any()


def test_what_else_moves_is_drawn_in_words() -> None:
    plain = view()
    moving = replace(plain, nuisances={"blink": 0.81, "gaze": 0.1})
    other = replace(plain, nuisances={"blink": 0.82, "gaze": 0.1})
    pictures = [draw.draw(image(), [seen]) for seen in (plain, moving, other)]
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1] != pictures[2]).any()
    assert nuisance_words(moving.nuisances) == "blink 81%   gaze 10%"


def test_a_likely_confounder_stands_beside_its_event() -> None:
    shares = {"speech": 0.5, "blink": 0.93, "gaze": 0.49, "macro": 0.99}
    with_blink = event(confounders=shares)
    assert nuisance_words(shares) == "speech 50%   blink 93%   gaze 49%"
    assert confounder_words(vars(with_blink)) == "blink 93%, speech 50%"
    assert confounder_words(vars(event())) == ""
    assert confounder_words({"status": "final"}) == "", "a record of earlier versions"
    pictures = [draw.draw(image(), [view(events=(e,))]) for e in (event(), with_blink)]
    assert (pictures[0] != pictures[1]).any()


def test_provisional_is_hollow_and_final_filled() -> None:
    quiet = {"scores": NAN, "refined": NAN[0], "outline": np.empty((0, 2), np.float32)}
    provisional = view(events=(event(status="provisional", onset_s=12.1),), **quiet)
    final = view(events=(event(onset_s=12.1),), **quiet)
    timeline = slice(int(draw.VIDEO_HEIGHT), None)
    before = draw.draw(image(), [provisional])[timeline]
    after = draw.draw(image(), [final])[timeline]
    outline = count_pixels(before, PENDING)
    assert outline > 0
    assert count_pixels(after, LABELS[2]) > 2 * outline
    assert not count_pixels(before, LABELS[2])
    assert not count_pixels(after, PENDING)


def test_heat_strip_moves_with_time() -> None:
    scores = np.zeros((5, HISTORY), np.float32)
    scores[:, -30] = 1.0
    seen = view(scores=scores, refined=NAN[0])
    pictures = [
        draw.draw(image(), [seen], now_ns=NOW_NS + later) for later in (0, 2 * 10**9, 60 * 10**9)
    ]
    now, soon, late = (bright_columns(picture) for picture in pictures)
    assert len(now)
    assert now.mean() > soon.mean() + 150
    assert not len(late)


def bright_columns(picture: np.ndarray) -> np.ndarray:
    """Columns of the heat strip, from the 100th on, that show a high score."""
    row = picture[int(draw.VIDEO_HEIGHT + 100), 100:]
    return np.flatnonzero((row[:, 1:] > 180).all(axis=1))


def test_a_face_long_unseen_has_no_outline() -> None:
    # The stage is 640 points wide; compare it alone, the panels go on moving.
    bare = draw.draw(image(), [])[:480, :640]
    late = NOW_NS + int(2 * draw.STALE_S * 1e9)
    assert (draw.draw(image(), [view()])[:480, :640] != bare).any()
    assert np.array_equal(draw.draw(image(), [view()], now_ns=late)[:480, :640], bare)


def test_the_note_on_a_face_stands_at_it_and_in_its_card() -> None:
    plain = draw.draw(image(), [view()])
    small = draw.draw(image(), [view(note="face small: 62 px")])
    changed = (plain != small).any(axis=2)
    card_columns = round(draw.CARD_WIDTH * small.shape[1] / draw.MIN_WIDTH)
    assert count_pixels(small, WARN) > count_pixels(plain, WARN)
    assert changed[:, :-card_columns].any()
    assert changed[:, -card_columns:].any()


def test_notes_and_caveat_are_visible() -> None:
    plain = draw.draw(image(), [])
    noted = draw.draw(image(), [], notes=["recording to overlay.mp4"])
    assert (plain[:40, :200] != noted[:40, :200]).any()
    assert (plain != draw.draw(image(), [], caveat="")).any()


def test_the_newest_record_of_an_event_counts() -> None:
    first = event("a", "provisional")
    other = event("b", "provisional", onset_s=16.0)
    assert current_events(view(events=(first, other))) == [other, first]
    later = view(events=(first, replace(other, status="withdrawn"), event("a")))
    assert [known.status for known in current_events(later)] == ["final"]


@pytest.mark.parametrize(
    ("said", "name", "percent", "color"),
    [
        (event(status="provisional"), "provisional", "90%", PENDING),
        (event(), "surprise", "82%", LABELS[2]),
        (
            event(label="uncertain", label_scores={"negative": 0.35, "positive": 0.33}),
            "uncertain",
            "35%",
            None,
        ),
        (event(label=None, label_scores=None), "micro-expression", "90%", None),
    ],
)
def test_names_and_colors(
    said: Event, name: str, percent: str, color: tuple[int, int, int] | None
) -> None:
    assert name_and_percent(said) == (name, percent)
    if color is None:
        assert event_color(said) not in (*LABELS, PENDING)
    else:
        assert event_color(said) == color
