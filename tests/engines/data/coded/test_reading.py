"""Files as the tools themselves write them, with their delimiters, encodings, units and quirks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pympi
import pytest
from praatio import textgrid
from praatio.utilities.constants import Interval, Point

from microspot.engines.data.coded.pairing import Apex, CodedInterval, with_apices
from microspot.engines.data.coded.reading import read_coded
from microspot.engines.data.coded.words import kind_of, label_of
from microspot.engines.errors import DataError

# What every file below codes, where its format can.
MICRO = CodedInterval("clip.mp4", "anna", "micro", 1.5, 1.8, "surprise", 1.633)
MACRO = CodedInterval("clip.mp4", "anna", "macro", 4.0, 6.25, None, None)

OLD_BORIS = """Observation id\tone\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Media file(s)\t\t\t\t\t\t\t\t
Player #1\tclip.mp4\t\t\t\t\t\t\t
Observation date\t2016-11-27 01:57:26\t\t\t\t\t\t\t
Time offset (s)\t0.0\t\t\t\t\t\t\t
\t\t\t\t\t\t\t\t
Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tModifier #1\tComment\tStatus
1.500\t/films/clip.mp4\t359.960\t25.0\tanna\tMicro expression\tsurprise\t\tSTART
1.633\t/films/clip.mp4\t359.960\t25.0\tanna\tapex\t\t\tPOINT
1.700\t/films/clip.mp4\t359.960\t25.0\tanna\tspeech\t\t\tSTART
1.800\t/films/clip.mp4\t359.960\t25.0\tanna\tMicro expression\tsurprise\t\tSTOP
4.000\t/films/clip.mp4\t359.960\t25.0\tanna\tMacro expression\tNone\t\tSTART
6.250\t/films/clip.mp4\t359.960\t25.0\tanna\tMacro expression\tNone\t\tSTOP
"""
NEW_BORIS = """Observation id,Observation date,Source,Subject,Behavior,Behavioral category,\
Modifier #1,Modifier #2,Behavior type,Time,Media file name,Image index,Comment
one,2024-01-05 10:00:00,player #1:clip.mp4,anna,micro-expression,,None,surprise,START,1.5,\
clip.mp4,45,"a, b"
one,2024-01-05 10:00:00,player #1:clip.mp4,anna,apex,,,,POINT,1.633,clip.mp4,49,
one,2024-01-05 10:00:00,player #1:clip.mp4,anna,micro-expression,,None,surprise,STOP,1.8,\
clip.mp4,54,
one,2024-01-05 10:00:00,player #1:clip.mp4,anna,macro,,,,START,4.0,clip.mp4,120,
one,2024-01-05 10:00:00,player #1:clip.mp4,anna,macro,,,,STOP,6.25,clip.mp4,187,
"""
PROJECT: dict[str, Any] = {
    "project_format_version": "7.0",
    "behaviors_conf": {
        "0": {"type": "State event", "code": "micro-expression"},
        "1": {"type": "State event with coding map", "code": "macro-expression"},
        "2": {"type": "Point event", "code": "apex"},
        "3": {"type": "State event", "code": "speech"},
    },
    "observations": {
        "one": {
            "type": "MEDIA",
            "file": {"1": ["C:\\films\\clip.mp4"], "2": []},
            "time offset": 0.5,
            "events": [
                [1.0, "anna", "micro-expression", "surprise", ""],
                [1.133, "anna", "apex", "", "", 49],
                [1.2, "anna", "speech", "", ""],
                [1.3, "anna", "micro-expression", "surprise", ""],
                [3.5, "anna", "macro-expression", "None", ""],
                [5.75, "anna", "macro-expression", "None", ""],
            ],
        }
    },
}
OBSERVER = """"Date_Time_Absolute_dmy_hmsf";"Time_Relative_hmsf";"Time_Relative_sf";"Duration_sf";\
"Observation";"Event_Log";"Subject";"Behavior";"Modifier_1";"Event_Type";"Comment"
"05-01-2024 10:00:01.500";"00:00:01.500";"1,500000";"0,300000";"clip.mp4";"log";"anna";"Micro";\
"surprise";"State start";""
"05-01-2024 10:00:01.633";"00:00:01.633";"1,633000";"0,000000";"clip.mp4";"log";"anna";"Apex";"";\
"Point";""
"05-01-2024 10:00:01.800";"00:00:01.800";"1,800000";"0,000000";"clip.mp4";"log";"anna";"Micro";\
"surprise";"State stop";""
"05-01-2024 10:00:04.000";"00:00:04.000";"4,000000";"2,250000";"clip.mp4";"log";"anna";"Macro";"";\
"State start";""
"05-01-2024 10:00:06.250";"00:00:06.250";"6,250000";"0,000000";"clip.mp4";"log";"anna";"Macro";"";\
"State stop";""
"""
DATAVYU = """#4
anna_micro (MATRIX,true,)-note|NOMINAL,label|NOMINAL,apex_ms|NOMINAL
00:00:01:500,00:00:01:800,(a\\, b,surprise,1633)
speech (MATRIX,true,)-word|NOMINAL
00:00:01:000,00:00:02:000,(hello)
anna_macro (MATRIX,true,)-code01|NOMINAL
00:00:04:000,00:00:06:250,()
"""


def eaf(path: Path) -> None:
    document = pympi.Eaf()
    document.add_linguistic_type("macro")
    document.add_linked_file("file:///films/clip.mp4", mimetype="video/mp4")
    document.add_tier("anna micro", part="anna")
    document.add_tier("long ones", "macro", part="anna")
    document.add_tier("speech")
    document.add_tier("peaks of anna (apex)", part="anna")
    document.add_annotation("peaks of anna (apex)", 1633, 1700, "")
    document.add_annotation("anna micro", 1500, 1800, "surprise 0.8")
    document.add_annotation("long ones", 4000, 6250, "")
    document.add_annotation("speech", 1000, 2000, "hello")
    document.to_file(str(path))


def grid(path: Path) -> None:
    made = textgrid.Textgrid()
    micro = [Interval(1.5, 1.8, "surprise")]
    made.addTier(textgrid.IntervalTier("anna micro", micro, 0, 10))
    made.addTier(textgrid.PointTier("anna micro apex", [Point(1.633, "apex")], 0, 10))
    made.addTier(textgrid.IntervalTier("anna macro", [Interval(4, 6.25, "macro")], 0, 10))
    made.addTier(textgrid.PointTier("anna micro, unsure", [Point(1.6, "?")], 0, 10))
    made.addTier(textgrid.IntervalTier("speech", [Interval(1, 2, "hello")], 0, 10))
    made.save(str(path), format="short_textgrid", includeBlankSpaces=True)


def made(folder: Path, name: str) -> Path:
    path = folder / name
    texts = {
        "old.tsv": OLD_BORIS.encode(),
        "new.csv": NEW_BORIS.encode(),
        "one.boris": json.dumps(PROJECT).encode(),
        "log.txt": OBSERVER.encode("utf-16"),
        "sheet.csv": DATAVYU.encode(),
    }
    if name in texts:
        path.write_bytes(texts[name])
    else:
        {"a.EAF": eaf, "a.TextGrid": grid}[name](path)
    return path


@pytest.mark.parametrize(
    ("name", "knows_video", "knows_apex"),
    [
        ("old.tsv", True, True),
        ("new.csv", True, True),
        ("one.boris", True, True),
        ("log.txt", True, True),
        ("sheet.csv", False, True),
        ("a.EAF", True, True),
        ("a.TextGrid", False, True),
    ],
)
def test_expressions_are_found_and_other_behaviour_is_not(
    tmp_path: Path, name: str, knows_video: bool, knows_apex: bool
) -> None:
    micro, macro = read_coded(made(tmp_path, name)) or []
    for found, expected in ((micro, MICRO), (macro, MACRO)):
        assert (found.subject, found.kind, found.label) == ("anna", expected.kind, expected.label)
        assert found.onset_s == pytest.approx(expected.onset_s)
        assert found.offset_s == pytest.approx(expected.offset_s)
        assert found.video == ("clip.mp4" if knows_video else "")
    assert micro.apex_s == (pytest.approx(MICRO.apex_s) if knows_apex else None)
    assert macro.apex_s is None


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        pytest.param("apex", [1.2, 1.2], id="of whatever it lies in"),
        pytest.param("Micro APEX", [1.2, None], id="of the behaviour before its name"),
        pytest.param("apex of a macro", [None, 1.2], id="of a kind"),
        pytest.param("apex, micro", [1.2, None], id="of the other kind"),
    ],
)
def test_whose_an_apex_is(called: str, expected: list[float | None]) -> None:
    """A long expression begins after a short one, and an apex lies in both."""
    coded = [("micro", 1.0, 1.5), ("macro", 1.1, 2.0)]
    intervals = [
        (name, CodedInterval("v", "anna", name, start_s, stop_s)) for name, start_s, stop_s in coded
    ]
    apices = [Apex("v", "berta", called, 1.15), Apex("w", "anna", called, 1.15)]
    apices += [Apex("v", "anna", called, at_s) for at_s in (0.9, 1.2, 1.3)]
    found = with_apices(intervals, apices)
    assert [each.apex_s for each in found] == expected


def test_an_apex_that_is_called_as_a_behaviour_is_of_it_alone() -> None:
    coded = [("Micro 1", 1.0, 1.5), ("Micro 2", 1.1, 2.0)]
    intervals = [(name, CodedInterval("", "", "micro", *span)) for name, *span in coded]
    apices = [Apex("", "", "Micro 2 Apex", 1.2), Apex("", "", "micro 1 apex", 1.3)]
    assert [each.apex_s for each in with_apices(intervals, apices)] == [1.3, 1.2]


def test_tiers_of_elan_count_by_their_type_before_their_name(tmp_path: Path) -> None:
    document = pympi.Eaf()
    document.add_linguistic_type("micro")
    document.add_linguistic_type("apex")
    document.add_linguistic_type("markers")
    for tier, kind, start in (
        ("onset to apex", "micro", 100),
        ("micro 1", "apex", 120),
        ("micro markers", "markers", 100),
        ("markers of micro", "markers", 400),
        ("markers", "micro", 600),
    ):
        document.add_tier(tier, kind)
        document.add_annotation(tier, start, start + 100, "")
    document.to_file(str(tmp_path / "a.eaf"))
    found = read_coded(tmp_path / "a.eaf") or []
    assert [(each.onset_s, each.apex_s) for each in found] == [
        (0.1, 0.12),
        (0.4, None),
        (0.6, None),
    ]


def test_a_column_of_datavyu_is_of_markers_by_name_and_codes(tmp_path: Path) -> None:
    cases = [
        ("micro_markers", "stream|NOMINAL,value|NOMINAL", 0),
        ("micro_markers", "label|NOMINAL,note|NOMINAL", 1),
        ("markers_of_micro", "stream|NOMINAL,value|NOMINAL", 1),
    ]
    path = tmp_path / "a.csv"
    for name, codes, count in cases:
        cell = "00:00:01:500,00:00:01:500,(surprise,b)"
        path.write_text(f"#4\n{name} (MATRIX,true,)-{codes}\n{cell}\n")
        assert len(read_coded(path) or []) == count


def test_apices_of_praat_may_be_intervals_and_subjects_are_named_anyhow(tmp_path: Path) -> None:
    made = textgrid.Textgrid()
    made.addTier(textgrid.IntervalTier("apex Micro", [Interval(1.5, 1.8, "surprise")], 0, 10))
    made.addTier(textgrid.IntervalTier("apex Micro apex", [Interval(1.6, 1.7, "x")], 0, 10))
    made.save(str(tmp_path / "a.TextGrid"), format="long_textgrid", includeBlankSpaces=True)
    expected = CodedInterval("", "apex", "micro", 1.5, 1.8, "surprise", 1.6)
    assert read_coded(tmp_path / "a.TextGrid") == [expected]


def test_a_table_of_ours_is_none_of_them(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("subject,video,onset,apex,offset,type,label\n1,v,10,15,20,micro,surprise\n")
    assert read_coded(path) is None


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("old.tsv", "surprise\t\tSTOP", "surprise\t\tSTART", "line 12: .*starts again"),
        ("old.tsv", "1.800\t", "soon\t", "line 12: expected a time in seconds"),
        ("new.csv", "6.25,", "3.25,", "from 4.0 to 3.25 s"),
        (
            "one.boris",
            '[5.75, "anna", "macro-expression", "None", ""]',
            "[]",
            "no project of BORIS",
        ),
        ("one.boris", '"behaviors_conf"', '"ethogram"', "no project of BORIS"),
        ("one.boris", '[5.75, "anna"', '[5.75, "berta"', "'one' at 3.5 s: .*does not stop"),
        ("log.txt", "State start", "State stop", "line 2: .*stops without a start"),
        ("sheet.csv", "(a", "a", "line 3: neither a column nor a cell"),
        ("a.EAF", "TIME_VALUE", "NO_VALUE", "has no time|no file of ELAN"),
        ("a.EAF", "<TIER ", "<TIER", "no file of ELAN"),
        ("a.TextGrid", "<exists>\n5", "<exists>\n6", "6 tiers and has 5"),
        ("a.TextGrid", "1.633", "soon", "no TextGrid"),
    ],
)
def test_a_damaged_file_is_one_error_with_its_name(
    tmp_path: Path, name: str, old: str, new: str, words: str
) -> None:
    path = made(tmp_path, name)
    encoding = "utf-16" if name == "log.txt" else "utf-8"
    text = path.read_bytes().decode(encoding)
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode(encoding))
    with pytest.raises(DataError, match=words) as caught:
        read_coded(path)
    assert name in str(caught.value)


def test_what_a_name_and_a_text_say() -> None:
    assert [kind_of(name) for name in ("Micro", "face 1 macro-expression", "smile")] == [
        "micro",
        "macro",
        None,
    ]
    texts = ("surprise 0.82, spotted 0.91", "surprise", "micro-expression, spotted 0.9", "", "0.4")
    assert [label_of(text) for text in texts] == ["surprise", "surprise", None, None, None]
