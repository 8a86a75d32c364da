"""Progress where standard error is no terminal: each tenth once, so that a log stays short."""

from __future__ import annotations

import pytest

from microspot.realtime.commands.reports import progress_bar


def test_each_tenth_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        for done in (0.0, 4.0, 12.0, 13.0, 35.0, 35.0, 60.0):
            progress(done, 60.0)
        progress(0.0, 0.0)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [f"microspot: {tenth} % analysed" for tenth in (20, 50, 100)]
