"""Missing files, shifted headers, wrong sheets and cells: one line that says where, and code 5."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microspot.engines.commands.app import app
from microspot.engines.data.annotations import read_table
from microspot.engines.data.annotations.datasets import read_dataset
from microspot.engines.data.annotations.workbook import letter
from microspot.engines.errors import DataError, UsageError

from .books import write_book
from .test_datasets import CAS_ME_2, CASME_II_HEADER, LONG_HEADER, LONG_ROWS, SMIC_HEADER

ROW = [1, "EP02_01f", None, 46, 59, 86, None, "12", "happiness"]
BOOK = "CASME2-coding-20140508.xlsx"


def casme_ii(folder: Path, *rows, sheet="Sheet1"):
    write_book(folder / BOOK, {sheet: rows})
    return read_dataset("casme-ii", folder)


def said(call) -> str:
    with pytest.raises(DataError) as raised:
        call()
    assert raised.value.exit_code == 5
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_folder_that_is_not_there_and_one_without_the_table(tmp_path: Path) -> None:
    assert "does not exist" in said(lambda: read_dataset("casme", tmp_path / "no"))
    message = said(lambda: read_dataset("casme", tmp_path))
    assert message.startswith(f"{tmp_path} has no table casme.xlsx or")
    (tmp_path / "1" / "2" / "3").mkdir(parents=True)
    (tmp_path / "1" / "2" / "3" / "casme.xlsx").touch()
    assert "has no table" in said(lambda: read_dataset("casme", tmp_path)), "three folders deep"
    with pytest.raises(UsageError, match="choose one of casme, casme-ii"):
        read_dataset("casme3", tmp_path)


def test_a_shifted_header_says_where_it_stands(tmp_path: Path) -> None:
    message = said(lambda: casme_ii(tmp_path, ["CASME II"], [], CASME_II_HEADER, ROW))
    assert f"{BOOK} sheet 'Sheet1' row 1" in message
    assert "the header stands in row 3: move it to row 1" in message
    text = [["x"]] * 12
    write_book(
        tmp_path / "SAMM_LongVideos_V2_Release.xlsx",
        {"FACS_Movement_Only": [*text, LONG_HEADER, *LONG_ROWS]},
    )
    assert "row 13: move it to row 10" in said(lambda: read_dataset("samm-lv", tmp_path))


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    header = ["Onset" if name == "OnsetFrame" else name for name in CASME_II_HEADER]
    message = said(lambda: casme_ii(tmp_path, header, ROW))
    assert "sheet 'Sheet1' row 1: the header has no column 'OnsetFrame'" in message


def test_names_of_columns_may_differ_in_case_and_spaces(tmp_path: Path) -> None:
    header = [name and f" {name.upper().replace('FRAME', ' Frame')}\n" for name in CASME_II_HEADER]
    assert casme_ii(tmp_path, header, ROW).intervals[0].onset == 46


def test_a_wrong_sheet_is_named(tmp_path: Path) -> None:
    sheets = dict(CAS_ME_2)
    sheets["Sheet1"] = sheets.pop("CASFEcode_final")
    write_book(tmp_path / "code_final.xlsx", sheets)
    message = said(lambda: read_dataset("cas-me-2", tmp_path))
    assert "has no sheet 'CASFEcode_final'; its sheets are 'naming rule1'" in message


@pytest.mark.parametrize(
    ("place", "cell", "where"),
    [
        (3, "x", "row 2 column D (OnsetFrame): 'x', expected a frame"),
        (3, 4.5, "row 2 column D (OnsetFrame): '4.5'"),
        (5, None, "row 2 column F (OffsetFrame): ''"),
        (4, "?", "row 2 column E (ApexFrame): '?'"),
        (3, True, "row 2 column D (OnsetFrame): 'True'"),
        (3, -5, "row 2 column D (OnsetFrame): -5, but the first frame is 0"),
    ],
)
def test_a_wrong_cell_is_told_with_its_place(tmp_path: Path, place, cell, where) -> None:
    row = list(ROW)
    row[place] = cell
    assert f"sheet 'Sheet1' {where}" in said(lambda: casme_ii(tmp_path, CASME_II_HEADER, row))


def test_cas_me_2_with_a_header_is_shifted(tmp_path: Path) -> None:
    header = ["subject", "video", "onset", "apex", "offset", "AU", "emotion", "type", "self"]
    sheets = CAS_ME_2 | {"CASFEcode_final": [header, *CAS_ME_2["CASFEcode_final"]]}
    write_book(tmp_path / "code_final.xlsx", sheets)
    assert "row 1 column H (type): 'type', expected macro-expression" in said(
        lambda: read_dataset("cas-me-2", tmp_path)
    )
    wrong = [*CAS_ME_2["CASFEcode_final"], [9, "joy1_1", 1, 2, 3, "", "", "micro-expression", ""]]
    write_book(tmp_path / "code_final.xlsx", CAS_ME_2 | {"CASFEcode_final": wrong})
    assert "row 4 column B (video): sheet 'naming rule2' has no code for 'joy1'" in said(
        lambda: read_dataset("cas-me-2", tmp_path)
    )


def test_absolute_numbers_are_not_taken_for_relative_ones(tmp_path: Path) -> None:
    """A set that counts from 1 has no frame 0, and a clip's first frame is before its onset."""
    rows = [[1, "anger1_1", 0, 3, 9, "4", "negative", "micro-expression", ""]]
    write_book(tmp_path / "code_final.xlsx", CAS_ME_2 | {"CASFEcode_final": rows})
    assert "row 1 column C (onset): 0, but the first frame is 1" in said(
        lambda: read_dataset("cas-me-2", tmp_path)
    )
    row = ["s3", "s3_ne_01", None, 20, 50, *[None] * 5, 1100, 1300, 31, 0, 0, 201, "negative"]
    write_book(tmp_path / "SMIC-HS-E_annotation.xlsx", {"HS": [SMIC_HEADER, row]})
    assert "row 2 column D (OnsetF): it lies before FirstF, which is 1100" in said(
        lambda: read_dataset("smic-hs", tmp_path)
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0 broken", b"a,b"])
def test_what_is_no_workbook(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "casme.xlsx").write_bytes(content)
    message = said(lambda: read_dataset("casme", tmp_path))
    assert "cannot be read as a workbook" in message
    assert ("XLRDError" in message) == content.startswith(b"\xd0"), "the content says what it is"


def test_a_file_that_excel_has_open_is_not_the_table(tmp_path: Path) -> None:
    (tmp_path / "~$code_final.xlsx").write_bytes(b"x")
    assert "has no table" in said(lambda: read_dataset("cas-me-2", tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vid,onset,offset,type\na,5,12,micro\n", "line 2: type is 'micro', expected me or mae"),
        ("vid,onset,offset,type\na,5.5,12,me\n", "line 2: onset is '5.5'"),
        ("vid,onset,offset,type\na,12,5,me\n", "line 2: a: offset 5 lies before onset 12"),
        ("vid,onset,type\n", "column 'offset' is missing"),
    ],
)
def test_wrong_tables_of_megc(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    assert message in said(lambda: read_dataset("megc", tmp_path))


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    write_book(tmp_path / BOOK, {"Sheet1": [CASME_II_HEADER, ROW]})
    code = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "from microspot.engines.commands.app import main\n"
        "sys.argv[1:] = ['annotations', 'report', '--dataset', 'casme-ii', '--data', sys.argv[1]]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "needs openpyxl: pip install '.[datasets]'" in done.stderr


def test_columns_are_called_as_in_excel() -> None:
    assert [letter(place) for place in (0, 25, 26, 51, 52, 701, 702)] == [
        "A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"
    ]  # fmt: skip


def command(*arguments: str):
    return CliRunner().invoke(app, ["annotations", *arguments])


def test_the_report_counts_and_lists_each_row(tmp_path: Path) -> None:
    write_book(tmp_path / "code_final.xlsx", CAS_ME_2)
    given = ("--dataset", "cas-me-2", "--data", str(tmp_path))
    report = json.loads(command("report", *given, "--json").stdout)
    assert (report["subjects"], report["videos"], report["micro"], report["macro"]) == (2, 2, 1, 2)
    assert report["macro_classes"] == {"negative": 1, "others": 1}
    assert (report["fps"], report["frames"], report["with_units"]) == (30.0, "from 0", 3)
    assert report["repaired"][1] == {
        "file": str(tmp_path / "code_final.xlsx"),
        "sheet": "CASFEcode_final",
        "row": 3,
        "column": "offset",
        "was": "0",
        "now": "30",
        "reason": "offset 0 means that the apex is the last frame",
    }
    text = command("report", *given).stdout
    assert "repaired       2 rows:\n" in text
    assert "code_final.xlsx sheet 'CASFEcode_final' row 3 offset: '0' -> '30': offset 0" in text
    assert "left_out       0 rows\n" in text


def test_rows_left_out_are_listed_apart(tmp_path: Path) -> None:
    casme_ii(tmp_path, CASME_II_HEADER, ROW, [*ROW[:3], 90, 95, 80, *ROW[6:]])
    report = json.loads(
        command("report", "--dataset", "casme-ii", "--data", str(tmp_path), "--json").stdout
    )
    assert [note["row"] for note in report["left_out"]] == [3]
    assert report["repaired"] == []


def test_the_table_is_the_one_that_score_reads(tmp_path: Path) -> None:
    write_book(tmp_path / "code_final.xlsx", CAS_ME_2)
    out = tmp_path / "t.csv"
    done = command("table", "--dataset", "cas-me-2", "--data", str(tmp_path), "--out", str(out))
    assert done.stdout == f"3 intervals in {out}; frames: from 0\n"
    assert read_table(out) == read_dataset("cas-me-2", tmp_path).intervals
    wrong = command(
        "table", "--dataset", "cas-me-2", "--data", str(tmp_path), "--out", str(tmp_path)
    )
    assert isinstance(wrong.exception, DataError)
