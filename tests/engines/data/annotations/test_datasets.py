"""Each data set in its documented layout becomes exactly the expected intervals."""

from __future__ import annotations

from pathlib import Path

from microspot.engines.data.annotations import Interval
from microspot.engines.data.annotations.datasets import READERS, read_dataset
from microspot.engines.data.annotations.result import FILE_NUMBERS, FROM_0

from .books import write_book, write_old_book


def units(*numbers):
    return tuple((f"AU{number}", 1.0) for number in numbers)


def notes(found):
    return [(note.row, note.column, note.was, note.now) for note in found.notes]


CAS_ME_2 = {
    "CASFEcode_final": [
        [1, "anger1_1", 557, 572, 608, "4+7", "negative", "macro-expression", "anger"],
        [1, "anger1_2", 700, 0, 710, "4", "negative", "micro-expression", "anger"],
        [2, "disgust1_1", 20, 30, 0, "9", "others", "macro-expression", "happyiness"],
    ],
    "naming rule1": [[1, "s15", 1], [2, "s16", 2]],
    "naming rule2": [["0401", "anger1"], ["0101", "disgust1"]],
}


def test_cas_me_2(tmp_path: Path) -> None:
    write_book(tmp_path / "CAS(ME)^2code_final.xlsx", CAS_ME_2)
    found = read_dataset("cas-me-2", tmp_path)
    assert found.intervals == [
        Interval("s15", "15_0401", 556, 571, 607, "macro", "negative", None, 30.0, units(4, 7)),
        Interval("s15", "15_0401", 699, 704, 709, "micro", "negative", None, 30.0, units(4)),
        Interval("s16", "16_0101", 19, 29, 29, "macro", "others", None, 30.0, units(9)),
    ]
    assert found.numbering == FROM_0
    assert notes(found) == [(2, "apex", "0", "705"), (3, "offset", "0", "30")]


def test_codes_that_a_spreadsheet_made_numbers(tmp_path: Path) -> None:
    numbers = CAS_ME_2 | {"naming rule2": [[401, "anger1"], [101.0, "disgust1"]]}
    write_book(tmp_path / "sub" / "code_final.xlsx", numbers)
    videos = {row.video for row in read_dataset("cas-me-2", tmp_path).intervals}
    assert videos == {"15_0401", "16_0101"}


SHORT_HEADER = [
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame",
    "Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
]  # fmt: skip


def samm_short(folder: Path, rows) -> None:
    text = [["SAMM"], *[[f"note {line}"] for line in range(12)]]
    write_book(
        folder / "SAMM_Micro_FACS_Codes_v2.xlsx",
        {"MICRO_ONLY": [*text, SHORT_HEADER, *rows], "else": [["x"]]},
    )


def test_samm(tmp_path: Path) -> None:
    samm_short(
        tmp_path,
        [
            ["006", "006_1_2", 1, 5562, 5581, 5607, 46, "1/2", "L12+R14A", "Happiness", 1, None],
            [28, "028_4_1", 4, 100, 90, 160, 61, "1/2", "4 or 7", "Other", 7, ""],
        ],
    )
    found = read_dataset("samm", tmp_path)
    assert found.intervals == [
        Interval(
            "006", "006_1_2", 5562, 5581, 5607, "micro", "happiness", None, 200.0, units(12, 14)
        ),
        Interval("028", "028_4_1", 100, None, 160, "micro", "other", None, 200.0, None),
    ]
    assert found.numbering == FILE_NUMBERS
    assert notes(found) == [(16, "Apex Frame", "90", ""), (16, "Action Units", "4 or 7", "")]


LONG_HEADER = [
    "Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type",
    "Action Units", "Notes",
]  # fmt: skip
LONG_ROWS = [
    ["006", "006_1_2", 1, 61, 80, 106, 46, "Micro - 1/2", "12", None],
    ["006", "006_1_3", 1, 0, 200, 300, 0, "Macro", "4", None],
    [7, "007_2_1", 2, 100.2, -1, 400, 301, "Macro", "4", None],
    ["007", "007_2_2", 2, 500, 520, 560, 61, "Micro - 1/2", "4", None],
    ["007", "007_2_2", 2, 900, 920, 960, 61, "Micro - 1/2", "4", None],
    ["007", "007_2_9", 2, 1000, 1020, 1060, 61, "Micro - 1/2", "4", None],
]


def long_book(folder: Path, above: int) -> None:
    text = [["SAMM Long Videos"], *[[None]] * 8][:above]
    write_book(
        folder / "SAMM_LongVideos_V2_Release.xlsx",
        {"FACS_Movement_Only": [*text, LONG_HEADER, *LONG_ROWS]},
    )


def test_samm_lv(tmp_path: Path) -> None:
    long_book(tmp_path, above=9)
    samm_short(
        tmp_path,
        [
            ["006", "006_1_2", 1, 5562, 5581, 5607, 46, "1/2", "12", "Happiness", 1, None],
            ["007", "007_2_2", 1, 1900, 1920, 1960, 61, "1/2", "4", "Fear", 1, None],
            ["007", "007_2_2", 1, 1500, 1520, 1560, 61, "1/2", "4", "Anger", 1, None],
            ["007", "007_2_9", 1, 1000, 1020, 1060, 61, "1/2", "4", "Fear", 1, None],
            ["007", "007_2_9", 1, 1200, 1220, 1260, 61, "1/2", "4", "Anger", 1, None],
        ],
    )
    found = read_dataset("samm-lv", tmp_path)
    assert found.intervals == [
        Interval("006", "006_1", 60, 79, 105, "micro", "happiness", None, 200.0, units(12)),
        Interval("007", "007_2", 99, None, 399, "macro", None, None, 200.0, units(4)),
        # two of one name: each has its own emotion, by onset
        Interval("007", "007_2", 499, 519, 559, "micro", "anger", None, 200.0, units(4)),
        Interval("007", "007_2", 899, 919, 959, "micro", "fear", None, 200.0, units(4)),
        Interval("007", "007_2", 999, 1019, 1059, "micro", None, None, 200.0, units(4)),
    ]
    assert found.numbering == FROM_0
    assert notes(found) == [(12, "Onset", "0", None), (13, "Onset", "100.2", "100")]
    assert any("007_2_9: 1 and 2 micro" in remark for remark in found.remarks)


def test_samm_lv_with_its_header_in_row_1_and_without_emotions(tmp_path: Path) -> None:
    long_book(tmp_path, above=0)
    found = read_dataset("samm-lv", tmp_path)
    assert [row.onset for row in found.intervals] == [60, 99, 499, 899, 999]
    assert {row.label for row in found.intervals} == {None}
    assert "no emotions" in found.remarks[0]


CASME_HEADER = [
    "Emotion", "Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AU",
]  # fmt: skip


def test_casme_and_its_known_mistakes(tmp_path: Path) -> None:
    rows = [["tense", 1, f"EP{n:03d}", None, 10, 15, 0, 20, None, "4+L10"] for n in range(189)]
    rows[40][4] = "?"
    rows[54][7] = 5
    write_book(tmp_path / "casme.xlsx", {"Sheet1": [CASME_HEADER, *rows]})
    found = read_dataset("casme", tmp_path)
    assert len(found.intervals) == 189
    assert found.intervals[0] == Interval(
        "01", "sub01/EP000", 10, 15, 20, "micro", "tense", None, 60.0, units(4, 10)
    )
    spans = [(found.intervals[n].onset, found.intervals[n].offset) for n in (40, 42, 43, 54, 140)]
    assert spans == [(100, 149), (101, 119), (57, 74), (10, 40), (10, 142)]
    assert (42, "OnsetF", "?", "100") in notes(found), "row 40 below the header is row 42 of Excel"
    write_book(tmp_path / "casme.xlsx", {"Sheet1": [CASME_HEADER, *rows[:40]]})
    other = read_dataset("casme", tmp_path)
    assert other.notes == []
    assert "with 189 rows; this one has 40: they are not mended" in other.remarks[0]


CASME_II_HEADER = [
    "Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units",
    "Estimated Emotion",
]  # fmt: skip


def test_casme_ii(tmp_path: Path) -> None:
    rows = [
        [1, "EP02_01f", None, 46, 59, 86, None, "12", "happiness"],
        [4, "EP12_01f", None, 50, "/", 90, None, "4+R12", "disgust"],
        [4, "EP02_01f", None, 90, 95, 80, None, "4", "others"],
    ]
    write_book(tmp_path / "CASME2-coding-20140508.xlsx", {"Sheet1": [CASME_II_HEADER, *rows]})
    found = read_dataset("casme-ii", tmp_path)
    assert found.intervals == [
        Interval("01", "sub01/EP02_01f", 46, 59, 86, "micro", "happiness", None, 200.0, units(12)),
        Interval(
            "04", "sub04/EP12_01f", 50, None, 90, "micro", "disgust", None, 200.0, units(4, 12)
        ),
    ]
    assert notes(found) == [(3, "ApexFrame", "/", ""), (4, "OffsetFrame", "80", None)]
    assert found.numbering == FILE_NUMBERS


def test_the_updated_table_of_casme_ii_is_mended_where_it_says_nothing(tmp_path: Path) -> None:
    rows = [[1, f"EP{n}", None, 40, 60, 300, None, "4", "others"] for n in range(61)]
    rows[29][4] = None  # its apex is known: 279
    rows[60][4:6] = [None, 20]
    write_book(tmp_path / "CASME2-coding-updated.xlsx", {"Sheet1": [CASME_II_HEADER, *rows]})
    found = read_dataset("casme-ii", tmp_path)
    assert [found.intervals[n].apex for n in (29, 35, 60)] == [279, 60, 78], "35 is not empty"
    assert found.intervals[60].offset == 91
    assert len(found.notes) == 3
    other = {"Sheet1": [CASME_II_HEADER, *rows]}
    write_book(tmp_path / "other" / "CASME2-coding-20140508.xlsx", other)
    untouched = read_dataset("casme-ii", tmp_path / "other")
    assert untouched.intervals[29].apex is None, "what is known of one table is not of another"


A_TYPES = [
    "Subject",
    "Filename",
    "Onset",
    "Apex",
    "Offset",
    "AU",
    "Expression type",
    "Objective class",
]
A_EMOTIONS = ["Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"]


def part_a(folder: Path, types, emotions) -> None:
    if types:
        sheets = {"AU+Emotion": [A_TYPES, *types], "eye blink": [["x"]]}
        write_old_book(folder / "annotation" / "CAS(ME)3_part_A_v2.xls", sheets)
    if emotions:
        write_book(
            folder / "annotation" / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx",
            {"label": [A_EMOTIONS, *emotions]},
        )


def test_part_a_of_cas_me_3(tmp_path: Path) -> None:
    types = [
        ["spNO.1", "a", 10, 12, 20, "4+7", "Micro-expression", 7],
        ["spNO.1", "a", 100, 130, 190, "12", "Macro-expression", 1],
        ["spNO.2", "b", 5, 6, 9, "4", "Micro-expression", 7],
    ]
    emotions = [
        ["spNo.1", "a", 10, 12, 20, "4+7", 7, "Others"],
        ["spNO.3", "c", 3, 3, 8, "1", 2, "surprise"],
    ]
    part_a(tmp_path, types, emotions)
    found = read_dataset("cas-me-3-a", tmp_path)
    assert found.intervals == [
        Interval("spNO.1", "spNO.1/a", 10, 12, 20, "micro", "others", None, 30.0, units(4, 7)),
        Interval("spNO.1", "spNO.1/a", 100, 130, 190, "macro", None, None, 30.0, units(12)),
        Interval("spNO.2", "spNO.2/b", 5, 6, 9, "micro", None, None, 30.0, units(4)),
        Interval("spNO.3", "spNO.3/c", 3, 3, 8, "micro", "surprise", None, 30.0, units(1)),
    ]
    assert found.numbering == FILE_NUMBERS


def test_rows_of_part_a_are_joined_before_they_are_mended(tmp_path: Path) -> None:
    emotions = [["spNO.9", "m", n, n, n + 9, "4", 7, "fear"] for n in range(860)]
    emotions[708] = ["spNO.214", "c", 5, 9, 3460, "4", 7, "fear"]
    part_a(tmp_path, [["spNO.214", "c", 5, 9, 3460, "4", "Micro-expression", 7]], emotions)
    found = read_dataset("cas-me-3-a", tmp_path)
    assert len(found.intervals) == 859, "row 749 as mended begins after its end here, and is told"
    assert found.intervals[0] == Interval(
        "spNO.214", "spNO.214/c", 5, 9, 34, "micro", "fear", None, 30.0, units(4)
    )
    assert sum(row.subject == "spNO.214" for row in found.intervals) == 1


def test_part_a_with_one_of_its_tables(tmp_path: Path) -> None:
    part_a(tmp_path / "1", [["spNO.1", "a", 1, 2, 3, "4", "Micro-expression", 7]], None)
    part_a(tmp_path / "2", None, [["spNO.1", "a", 1, 2, 3, "4", 7, "fear"]])
    for folder, label, remark in (("1", None, "no emotions"), ("2", "fear", "no macro")):
        found = read_dataset("cas-me-3-a", tmp_path / folder)
        assert [row.label for row in found.intervals] == [label]
        assert any(remark in each for each in found.remarks)


def test_part_c_of_cas_me_3(tmp_path: Path) -> None:
    header = ["sub", "count", "onset", "offset", "au", "emotion"]
    rows = [[1, 1, 101, 110, "4，7,", "negative"], [12, 2, 5, 14, "1,2", "surprise"]]
    write_book(tmp_path / "CAS(ME)3_part_C_ME.xlsx", {"mockCrimeME": [header, *rows]})
    found = read_dataset("cas-me-3-c", tmp_path)
    assert found.intervals == [
        Interval("01", "01", 101, 105, 110, "micro", "negative", None, 30.0, units(4, 7)),
        Interval("12", "12", 5, 9, 14, "micro", "surprise", None, 30.0, units(1, 2)),
    ]


SMIC_HEADER = [
    "Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", "Onset3F", "Offset3F",
    None, "FirstF", "LastF", "TotalMF1", "TotalMF2", "TotalMF3", "TotalVL", "Emotion",
]  # fmt: skip
SMIC_ROWS = [
    ["s3", "s3_ne_01", None, 1120, 1150, None, None, None, None, None, 1100, 1300, 31, 0, 0, 201,
     "negative"],
    ["s03", "s3_po_02", None, 2010, 2030, 2050, 2060, 2080, 2099, None, 2000, 2100, 21, 11, 20,
     101, "Positive"],
    ["s20", "s20_su_09", None, 5, 9, None, None, None, None, None, 1, 30, 5, 0, 0, 30, "surprise"],
    ["In total 162 clips", None],
]  # fmt: skip


def test_smic_hs(tmp_path: Path) -> None:
    write_book(
        tmp_path / "SMIC-HS-E_annotation.xlsx",
        {"HS": [SMIC_HEADER, *SMIC_ROWS], "VIS": [SMIC_HEADER]},
    )
    found = read_dataset("smic-hs", tmp_path)
    expected = [
        Interval("s03", "s3_ne_01", 20, None, 50, "micro", "negative", None, 100.0),
        Interval("s03", "s3_po_02", 10, None, 30, "micro", "positive", None, 100.0),
        Interval("s03", "s3_po_02", 50, None, 60, "micro", "positive", None, 100.0),
        Interval("s03", "s3_po_02", 80, None, 99, "micro", "positive", None, 100.0),
        Interval("s20", "s20_su_09", 4, None, 8, "micro", "surprise", None, 100.0),
    ]
    assert found.intervals == expected
    assert found.numbering == FROM_0
    assert notes(found) == [(5, "Subject", "In total 162 clips", None)]
    for clip in ("s03/s3_ne_01", "s03/s3_po_02"):
        (tmp_path / "SMIC-HS-E" / "HS" / clip).mkdir(parents=True)
    found = read_dataset("smic-hs", tmp_path)
    assert found.intervals == expected[:4], "the last clip does not exist"
    assert (4, "Filename", "s20_su_09", None) in notes(found)


def test_smic_vis_and_nir(tmp_path: Path) -> None:
    short = [SMIC_HEADER[:7] + SMIC_HEADER[9:11] + SMIC_HEADER[12:]]
    row = ["s11", "s11_ne_01", None, 105, 110, None, None, None, 100, 6, 0, 0, 20, "negative"]
    write_book(tmp_path / "a" / "SMIC-NIR-E_annotation.xlsx", {"Tabelle1": [*short, row]})
    write_book(tmp_path / "b" / "SMIC-VIS-E_annotation.xlsx", {"Sheet1": [*short, row]})
    write_book(
        tmp_path / "c" / "SMIC-HS-E_annotation.xlsx", {"HS": [SMIC_HEADER], "VIS": [*short, row]}
    )
    expected = [Interval("s11", "s11_ne_01", 5, None, 10, "micro", "negative", None, 25.0)]
    assert read_dataset("smic-nir", tmp_path).intervals == expected
    assert read_dataset("smic-vis", tmp_path / "b").intervals == expected
    assert read_dataset("smic-vis", tmp_path / "c").intervals == expected


MMEW_HEADER = [
    "Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
    "Estimated Emotion", "remarks",
]  # fmt: skip


def test_mmew(tmp_path: Path) -> None:
    rows = [[f"S{n % 30:02d}", f"S{n}-01-001", 1, 10, 30, "4+R7", "fear", None] for n in range(300)]
    rows[1][6] = "others"
    rows[33][3:5] = [None, 0]
    rows[156][3:5] = [200, 90]
    write_book(tmp_path / "MMEW_Micro_Exp.xlsx", {"Sheet1": [MMEW_HEADER, *rows]})
    found = read_dataset("mmew", tmp_path)
    assert len(found.intervals) == 300
    assert found.intervals[0] == Interval(
        "S00", "S0-01-001", 1, 10, 30, "micro", "fear", None, 90.0, units(4, 7)
    )
    assert found.intervals[1].label == "repression"
    spans = [(found.intervals[n].apex, found.intervals[n].offset) for n in (33, 42, 156)]
    assert spans == [(40, 75), (32, 68), (38, 106)]
    assert (35, "OffsetFrame", "0", "75") in notes(found)
    assert len(found.notes) == 1 + 32


FOUR_DME_HEADER = [
    "sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs", "Positive", "Negative",
    "Surprise", "Repression", "Others", "Total", "fold", "eye blink", "AU1",
]  # fmt: skip


def test_4dme(tmp_path: Path) -> None:
    rows = [
        [n % 41, f"sub{n}", "Positive", 100, 110, 120, "AU6+AU12", 1, 0, 0, 0, 0, 1, 1, 0, 0]
        for n in range(267)
    ]
    rows[0][6] = "AU4+AU7(k)"
    rows[144][6] = "AU1"
    write_book(tmp_path / "4DME_Labelling_Micro_release v1.xlsx", {"S": [FOUR_DME_HEADER, *rows]})
    found = read_dataset("4dme", tmp_path)
    assert found.intervals[0] == Interval(
        "0", "sub0", 100, 110, 120, "micro", "positive", None, 60.0, units(4)
    )
    swapped = [found.intervals[n].units for n in (143, 144, 145)]
    assert swapped == [units(6, 12), units(6, 12), units(1)]
    assert (2, "AUs", "AU4+AU7(k)", "AU4") in notes(found)


def test_megc_tables_of_two_years(tmp_path: Path) -> None:
    (tmp_path / "2022.csv").write_text("vid,pred_onset,pred_offset,type\n001,5,12,me\n")
    (tmp_path / "2023.csv").write_text("vid,onset,offset,type\na,5,12,ME\nb,1,90,mae\n")
    expected = [Interval("", "001", 5, None, 12, "micro")]
    assert read_dataset("megc", tmp_path / "2022.csv").intervals == expected
    assert read_dataset("megc", tmp_path / "2023.csv").intervals == [
        Interval("", "a", 5, None, 12, "micro"),
        Interval("", "b", 1, None, 90, "macro"),
    ]


def test_every_reader_is_tried_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'read_dataset("{name}"' in text for name in READERS)
