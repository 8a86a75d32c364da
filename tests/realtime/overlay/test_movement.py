"""What moved, drawn on the face and put into words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from microspot.engines.alignment.affine import Affine
from microspot.engines.alignment.displacement import BLOCK, BLOCKS
from microspot.engines.alignment.face_template import template_px
from microspot.engines.units.findings import ActionUnit, Region
from microspot.engines.units.places import PLACES
from microspot.realtime.overlay import draw
from microspot.realtime.overlay.event_text import movement_words, region_words
from microspot.realtime.overlay.movement import (
    ARROW_SCALE,
    SHOWN_S,
    arrows,
    region_outlines,
    shown_event,
)
from microspot.realtime.records import Event, View
from tests.realtime.overlay.test_overlay import NAN, NOW_NS, event, image, view

SIDE = 112
# A face of twice the crop's size, its crop turned by a quarter and shifted, frame px -> crop px.
TURNED = Affine(np.array([[0.0, 0.5, 10.0], [-0.5, 0.0, 90.0]]))
SMILE = Region("mouth corner", "L", 1.6, "d", 0.9)
UNITS = (ActionUnit("AU12", "L", 1.21, "c", 0.88), ActionUnit("AU6", "both", 0.8, "b", 0.61))


def moved(region: Region | None = SMILE, **other: Any) -> Event:
    return event(onset_s=19.0, region=region, action_units=UNITS, **other)


def seen(shown: Event, affine: np.ndarray | None = TURNED.matrix) -> View:
    quiet = {"scores": NAN, "refined": NAN[0]}
    return view(events=(shown,), affine=affine, crop_side=SIDE, **quiet)


def flow(*blocks: tuple[int, int, float, float]) -> np.ndarray:
    """(BLOCKS, BLOCKS, 2): still but for blocks of row, column, px to the right and down."""
    field = np.zeros((BLOCKS, BLOCKS, 2), np.float32)
    for row, column, x, y in blocks:
        field[row, column] = x, y
    return field


def test_the_outline_lies_where_the_region_is_on_the_face_as_it_is_now() -> None:
    (outline,) = region_outlines(seen(moved()), moved())
    place = PLACES["mouth corner"]
    in_crop = TURNED.apply(outline)
    np.testing.assert_allclose(in_crop.mean(0), template_px(np.array(place.middle), SIDE))
    across, down = np.ptp(in_crop, axis=0) / (SIDE / 1.04) * 15.3 / 2
    assert (across, down) == (pytest.approx(place.across), pytest.approx(place.down))
    assert in_crop.mean(0)[0] > SIDE / 2, "the subject's left is the image's right"


@pytest.mark.parametrize(
    ("region", "side", "count", "left_ones"),
    [
        ("brow", "both", 2, 1),
        ("brow", "R", 1, 1),
        ("brow", "L", 1, 0),
        ("lips", "both", 1, 0),
        ("chin", "L", 1, 0),
        ("ear", "L", 0, 0),
    ],
)
def test_sides_have_an_outline_each_and_the_midline_one(
    region: str, side: str, count: int, left_ones: int
) -> None:
    shown = moved(Region(region, side, 1.0, "c", 0.5))
    found = region_outlines(seen(shown, np.eye(2, 3)), shown)
    assert len(found) == count
    assert sum(polygon.mean(0)[0] < SIDE / 2 - 5 for polygon in found) == left_ones


def test_arrows_begin_at_their_block_and_are_as_long_as_they_say() -> None:
    shown = moved(flow=flow((3, 9, 1.0, -0.5), (8, 2, 0.1, 0.1), (9, 2, 0.0, 0.4)))
    (arrow,) = arrows(seen(shown), shown)
    begin, end = TURNED.apply(arrow)
    np.testing.assert_allclose(begin, np.array([9, 3]) * BLOCK + BLOCK / 2 - 0.5)
    np.testing.assert_allclose(end - begin, [ARROW_SCALE, -ARROW_SCALE / 2])
    assert len(arrows(seen(shown), moved(flow=flow((3, 9, 0.2, 0.0))))) == 0, "hardly moved"
    assert len(arrows(seen(shown), moved())) == 0, "no flow is known"
    half = replace(seen(shown), crop_side=SIDE // 2)
    np.testing.assert_allclose(TURNED.apply(arrows(half, shown)[0])[1, 0], (9.5 * 8 + 10) / 2 - 0.5)


def test_pictures_show_the_region_and_arrows_only_on_request() -> None:
    upright = np.array([[1.0, 0, 0], [0, 1, 0]])
    plain = event(onset_s=19.0)
    flowing = moved(flow=flow((3, 9, 1.0, -0.5)))
    stage = np.s_[: round(draw.VIDEO_HEIGHT), :600]

    def stage_of(shown: Event, **options: Any) -> np.ndarray:
        return draw.draw(image(), [seen(shown, upright)], **options)[stage]

    bare = stage_of(plain)
    outlined = stage_of(moved())
    assert (outlined != bare).any()
    assert np.array_equal(stage_of(flowing), outlined), "no arrows were asked for"
    assert (stage_of(flowing, arrows=True) != outlined).any()
    assert np.array_equal(stage_of(plain, arrows=True), bare), "nothing is known, nothing is drawn"
    later = NOW_NS + int((SHOWN_S + 1) * 1e9)
    past = replace(seen(flowing, upright), now_ns=later)
    assert shown_event(past, later) is None
    gone = draw.draw(image(), [past], arrows=True)[stage]
    never = draw.draw(image(), [replace(past, events=())], arrows=True)[stage]
    assert np.array_equal(gone, never)


def test_cards_say_what_moved_in_lines_of_their_own_where_there_is_room() -> None:
    for faces in (1, 2, 4):
        pictures = []
        for shown in (event(onset_s=19.0), moved()):
            views = [replace(seen(shown, None), face=i) for i in range(faces)]
            pictures.append(draw.draw(image(), views)[:, 640:])
        assert (pictures[0] != pictures[1]).any() == (faces < 4)


def test_a_full_card_shows_every_action_unit() -> None:
    pictures = []
    for last in ("AU1", "AU4"):
        units = (*UNITS, ActionUnit(last, "R", 0.7, "b", 0.55))
        shown = replace(moved(), action_units=units)
        pictures.append(draw.draw(image(), [seen(shown, None)])[:, 640:])
    assert (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (SMILE, "mouth corner, left"),
        (replace(SMILE, side="both"), "mouth corner, both sides"),
        (Region("brow", "R", 1.0, "c", 0.4), "brow, right"),
        (Region("lips", "both", 1.0, "c", 0.4), "lips"),
        (Region("lips", "L", 1.0, "c", 0.4), "lips, left"),
        (None, ""),
    ],
)
def test_words_of_a_region(region: Region | None, words: str) -> None:
    assert region_words(moved(region).to_json()) == words


def test_words_of_what_moved() -> None:
    record = json.loads(json.dumps(moved(label=None, label_scores=None).to_json()))
    said = "mouth corner, left; AU12 left, 1.2 px (c) 88%; AU6 both sides, 0.8 px (b) 61%"
    assert movement_words(record) == said
    assert "flow" not in moved(flow=flow()).to_json()
    assert moved(flow=flow()) == moved(), "it is for pictures alone"
    assert movement_words(event().to_json()) == ""
