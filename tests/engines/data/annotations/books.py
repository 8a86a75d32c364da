"""Workbooks for tests: .xlsx by openpyxl, and the plainest .xls there is."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

Rows = Sequence[Sequence[Any]]


def write_book(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """An .xlsx; text stays text, as cells of the format @ do."""
    book = Workbook(write_only=True)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def write_old_book(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """An .xls of Excel 5: records of type and length, sheets after a list of where they begin."""
    bodies = []
    for rows in sheets.values():
        body = record(0x809, struct.pack("<HHHH", 0x500, 0x10, 0, 0))
        for place, row in enumerate(rows):
            for column, cell in enumerate(row):
                head = struct.pack("<HHH", place, column, 0)
                if isinstance(cell, str):
                    text = cell.encode("latin-1")
                    body += record(0x204, head + struct.pack("<H", len(text)) + text)
                elif cell is not None:
                    body += record(0x203, head + struct.pack("<d", cell))
        bodies.append(body + record(0x0A, b""))
    names = [name.encode("latin-1") for name in sheets]
    start = record(0x809, struct.pack("<HHHH", 0x500, 0x05, 0, 0))
    start += record(0x42, struct.pack("<H", 1252))
    at = len(start) + sum(4 + 7 + len(name) for name in names) + 4
    listed = b""
    for name, body in zip(names, bodies, strict=True):
        listed += record(0x85, struct.pack("<IHB", at, 0, len(name)) + name)
        at += len(body)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(start + listed + record(0x0A, b"") + b"".join(bodies))
    return path


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data
