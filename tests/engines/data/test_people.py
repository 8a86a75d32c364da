"""The table of people: who may be trained on, tuned with and examined, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from microspot.engines.data import people
from microspot.engines.data.people import ClipUse, part_for, parts_for, uses_of
from microspot.engines.errors import DataError
from microspot.realtime.sources.synthetic_clip import sample_clip

SAMPLE = sample_clip()
EXAMINED = {
    *("vitallens-1", "vitallens-2", "remophysio", "webcam-man", "phone-man"),
    *("grid-a", "grid-b", "grid-c", "grid-p1", "grid-p3", "grid-p5"),
}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "webcam.mp4"  # by its content it is another file
    path.write_bytes(b"another film")
    return path


def test_no_person_is_trained_on_and_examined() -> None:
    rows = people._rows()
    uses: dict[str, set[str]] = {}
    for row in rows:
        uses.setdefault(row.person, set()).add(row.use)
    assert {person for person in uses if len(uses[person]) > 1} == {"webcam-man"}
    assert uses["webcam-man"] == {"tune", "exam"}
    assert {person for person, of in uses.items() if "exam" in of} == EXAMINED
    assert uses["grid-p4"] == {"tune"}
    assert set().union(*uses.values()) == {"train", "tune", "exam"}
    seen = {row.person for row in rows if row.seen_before}
    assert seen == {"webcam-man", "phone-man"}


def test_every_row_names_a_file_and_a_part_of_it() -> None:
    rows = people._rows()
    assert len(rows) == 108
    assert len({(row.sha256, row.use) for row in rows}) == 108
    assert len({row.sha256 for row in rows}) == 107
    for row in rows:
        assert re.fullmatch("[0-9a-f]{64}", row.sha256)
        assert row.name == Path(row.name).name
        assert row.person == row.person.lower()
        assert row.to_s is None or row.from_s < row.to_s
    (s1,) = {row.person for row in rows if row.name in ("bbaf2n.mpg", "bbaf3s.mpg")}
    assert s1 == "grid-s1"  # one man, two folders


def test_a_file_is_known_by_its_content(tmp_path: Path, mine: Path) -> None:
    copy = tmp_path / "mine.mp4"
    copy.write_bytes(SAMPLE.read_bytes())
    tune, exam = sorted(uses_of(copy), key=lambda row: row.from_s)
    assert uses_of(SAMPLE) == uses_of(copy)
    assert (tune.person, tune.use, tune.from_s, tune.to_s) == ("webcam-man", "tune", 0.0, 25.0)
    assert (exam.person, exam.use, exam.from_s, exam.to_s) == ("webcam-man", "exam", 25.0, None)
    assert (tune.seen_before, exam.seen_before) == (False, True)
    assert uses_of(mine) == ()
    assert part_for(copy, "tune") == tune
    assert part_for(copy, "exam", person="somebody else") == exam  # the table knows better


def test_another_use_is_refused(mine: Path) -> None:
    line = r"^webcam\.mp4: webcam-man is for examinations and tuning; give footage of others for"
    with pytest.raises(DataError, match=line + " training$"):
        part_for(SAMPLE, "train")
    with pytest.raises(DataError, match=line + " training$"):
        part_for(SAMPLE, "train", person="a new person")
    with pytest.raises(DataError, match=line + " training$"):
        part_for(mine, "train", person="Webcam-Man ")
    with pytest.raises(DataError, match=r"grid-p4 is for tuning; .* for examinations$"):
        part_for(mine, "exam", person="grid-p4")
    with pytest.raises(DataError, match=r"grid-a is for examinations; .* for tuning$"):
        part_for(mine, "tune", person="grid-a")


@pytest.mark.parametrize("person", [None, "", "  "])
def test_an_unlisted_file_needs_a_person(mine: Path, person: str | None) -> None:
    with pytest.raises(DataError, match=r"webcam\.mp4: .* name the person with --person"):
        part_for(mine, "exam", person)


def test_an_unlisted_file_of_a_named_person_may_be_used_whole(mine: Path) -> None:
    mary = ClipUse("", "webcam.mp4", "Mary", "train", 0.0, None, seen_before=False)
    assert part_for(mine, "train", "Mary") == mary
    assert part_for(mine, "exam", "phone-man").seen_before
    assert not part_for(mine, "exam", "grid-a").seen_before
    # one person stays one, however the name is written
    assert part_for(mine, "train", " Grid-S1").person == "grid-s1"


def test_all_files_are_checked_before_the_first_is_used(tmp_path: Path, mine: Path) -> None:
    assert parts_for([SAMPLE, mine], "exam", "Mary") == [
        (SAMPLE, part_for(SAMPLE, "exam")),
        (mine, part_for(mine, "exam", "Mary")),
    ]
    with pytest.raises(DataError, match=r"gone\.mp4 cannot be read"):
        parts_for([SAMPLE, tmp_path / "gone.mp4"], "exam")
