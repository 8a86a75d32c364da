"""Tables as spreadsheets write them, and as they must not compute them."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from microspot.engines.data.annotations import Interval, read_table
from microspot.engines.data.tables import escaped, plain, read_columns
from microspot.engines.errors import DataError
from microspot.realtime.sinks.text_files import CsvSink

HEADER = ["subject", "video", "onset", "apex", "offset", "type", "label", "score"]
ROWS = [
    ["007", "a b.mp4", "3", "5", "9", "micro", "surprise", "0.5"],
    ["s", "ö", "12", "", "14", "macro", "", ""],
]
EXPECTED = [
    Interval("007", "a b.mp4", 3, 5, 9, "micro", "surprise", 0.5),
    Interval("s", "ö", 12, None, 14, "macro"),
]


def text(delimiter: str = ",", rows: list[list[str]] = ROWS, end: str = "\r\n") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows([HEADER, *rows])
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_as_spreadsheets_write_it(
    tmp_path: Path, encoding: str, delimiter: str, end: str
) -> None:
    (tmp_path / "t.csv").write_bytes(text(delimiter, end=end).encode(encoding))
    assert read_table(tmp_path / "t.csv") == EXPECTED


@pytest.mark.parametrize(
    "content",
    [
        text() + ",,,,,,,\r\n" * 3 + "\r\n" + " , ,,,,,,\r\n",  # Excel's empty rows
        text().replace("\r\n", ",,\r\n"),  # and its empty columns
        "sep=;\r\n" + text(";"),
        text(";").replace("0.5", "0,5").replace(";3;", ";3,0;"),  # a decimal comma
        text().replace("subject", " Subject ").replace("onset", "Onset"),
        text(end="\r"),  # of a Mac before OS X
    ],
)
def test_what_spreadsheets_add_is_read_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode())
    assert read_table(tmp_path / "t.csv") == EXPECTED


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04" + bytes(50), "is a workbook, not a table: save it as CSV UTF-8"),
        (
            text(rows=[*ROWS, ["a", "M\xfcller"]]).encode("latin-1"),
            "line 3: neither UTF-8 nor UTF-16",
        ),
        (text("|").encode(), "column 'subject' is missing"),
        (b"", "column 'subject' is missing"),
        (
            text(rows=[["s", "v", "1,234", "", "2000", "micro", "", ""]]).encode(),
            "line 2: onset is '1,234'.*frame",
        ),
        (
            text(rows=[["s", "v", "1.5", "", "2", "micro", "", ""]]).encode(),
            "line 2: onset is '1.5'.*whole number",
        ),
        (text(rows=[[*ROWS[0], "more"]]).encode(), "line 2: 9 cells, but the header has 8"),
        (
            b"sep=;\n" + text(";", rows=[["s", "v", "x", "", "2", "micro", "", ""]]).encode(),
            "line 3: onset is 'x'",
        ),
        (
            text(rows=[["s", "v" * 200_000, "1", "", "2", "micro", "", ""]]).encode(),
            "field larger than",
        ),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / "t.csv")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "pipe", "no file"),
        (tmp_path, "no file"),
        (tmp_path / "no.csv", "no such file"),
    ):
        with pytest.raises(DataError, match=said):
            read_table(path)


FORMULAS = [
    "=1+1",
    "+a",
    "-a",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\nx",
    "＝1",
    "'=1",
    "''",
    "'",
    "-",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("name", [*FORMULAS, "plain", "it's", "'tis", "a=b", " =1"])
def test_no_name_becomes_a_formula_and_every_name_comes_back(tmp_path: Path, name: str) -> None:
    assert plain(escaped(name)) == name
    assert (escaped(name)[0] in "'") == (name in [*FORMULAS, "'tis"])
    sink = CsvSink(tmp_path / "t.csv")
    sink.write(
        {
            "type": "event",
            "status": "final",
            "face": 0,
            "subject": None,
            "source": name,
            "onset_frame": 3,
            "apex_frame": 5,
            "offset_frame": 9,
            "label": name,
            "score": 0.5,
        }
    )
    sink.close()
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        row = list(csv.reader(file))[1]
    assert not any(cell.startswith(tuple("=+-@\t\r\n＝")) for cell in row)
    (back,) = read_table(tmp_path / "t.csv")
    assert (back.video, back.label, back.onset, back.score) == (name, name, 3, 0.5)


@pytest.mark.parametrize("cell", ["'tis", "it's", "a", ""])
def test_cells_of_others_keep_their_apostrophe(cell: str) -> None:
    assert plain(cell) == cell


@pytest.mark.parametrize("text", ["1,000", "1.000", "1.5", "1e3"])
def test_a_frame_is_a_whole_number_written_as_one(tmp_path: Path, text: str) -> None:
    """1,000 is a thousand to some and one to others: neither is guessed."""
    path = tmp_path / "t.csv"
    path.write_text(f'subject,video,onset,apex,offset,type,label\n1,a,"{text}",,2000,micro,x\n')
    with pytest.raises(DataError, match="expected a whole number: a frame"):
        read_table(path)


@pytest.mark.parametrize("more", ["", ",,,,,,,\r\n", "a,b\r\n", "'=a,v,1,,2,micro,,\r\n"])
def test_columns_are_those_of_a_table_without_any_odd_row(tmp_path: Path, more: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes((text() + more).encode())
    columns = read_columns(path, HEADER)
    assert (columns is None) == bool(more)
    if columns is not None:
        assert [list(row) for row in zip(*columns.values(), strict=True)] == ROWS


def test_a_tab_may_be_announced(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"sep=\t\r\nsubject\tvideo\tonset\tapex\toffset\ttype\tlabel\r\n1\ta\t3\t\t5\tmicro\tx\r\n"
    )
    assert [(row.onset, row.offset) for row in read_table(path)] == [(3, 5)]
