"""A report on paper: Chromium opens it from disk, reaches nothing else, and prints it to a PDF."""

from __future__ import annotations

import re
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from microspot.engines.magnification.magnify import Magnification
from microspot.realtime.analyze.pictures.event_pictures import event_pictures
from microspot.realtime.sinks.html_report import page
from tests.demo.conftest import CHROMIUM, FLAGS
from tests.realtime.analyze.test_pictures import found, moving_crops
from tests.realtime.sinks.test_html_report import START, event

EVENTS = 8
PAGES = 4  # most of them: as wide as on a screen, the pictures alone take eight
NOWHERE = "--proxy-server=http://127.0.0.1:9"
TIMEOUT_S = 120


@pytest.fixture(scope="module")
def report() -> str:
    """The page of events with the same pictures."""
    pictures = event_pictures(found(7, 10, 13), moving_crops(), Magnification())
    assert pictures is not None
    events = [event(onset=1.0 + n) | {"id": f"{n:016x}"} for n in range(EVENTS)]
    return page([START, *events], {one["id"]: pictures for one in events})


def test_the_page_says_how_it_is_printed(report: str) -> None:
    print_rules = report.partition("@media print{")[2].partition("</style>")[0]
    assert re.search(r"figure\{[^}]*break-inside:avoid", report)
    assert ".paper{display:none}" in report.partition("@media print{figure")[0]
    for rule in (
        "tr,li{break-inside:avoid}",
        "h1,h2,h3{break-after:avoid}",
        ":root{color-scheme:light}",
        ".screen{display:none}",
    ):
        assert rule in print_rules


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_a_report_prints_from_disk_with_its_stills_as_they_are(report: str, tmp_path: Path) -> None:
    source = tmp_path / "report.html"
    source.write_text(report)
    pdf = tmp_path / "report.pdf"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    options = ["--headless", *FLAGS, NOWHERE, profile, f"--print-to-pdf={pdf}"]
    command = [str(CHROMIUM), *options, source.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
    printed = pdf.read_bytes()
    stills = {b64decode(text) for text in re.findall(r"image/jpeg;base64,([^\"]*)", report)}
    assert all(still in printed for still in stills)
    images = re.findall(rb"/Subtype /Image\b", printed)
    assert len(images) == len(stills), "and no loop; equal pictures are in a PDF once"
    assert len(re.findall(rb"/Type /Page\b", printed)) <= PAGES
    assert len(re.findall(rb"/Subtype /Link\b", printed)) == EVENTS
