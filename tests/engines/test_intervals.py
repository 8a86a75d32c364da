"""NMS is compiled when it is first needed, and leaves no file behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from microspot.engines import intervals
from microspot.engines.intervals import Intervals

FOUND = Intervals.of([0, 1, 30], [10, 11, 40], [0.9, 0.8, 0.7])


def test_importing_compiles_nothing() -> None:
    code = "import sys, microspot.engines.intervals; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compiling_leaves_nothing_beside_the_code() -> None:
    """What pip does not know it does not remove, and a folder that stays hides later installs."""
    home = Path(intervals.__file__).parent
    code = (
        "import sys; sys.pycache_prefix = None\n"
        "from microspot.engines.intervals import Intervals, nms\n"
        "for rule in ('greedy', 'author', 'soft'):\n"
        "    nms(Intervals.of([0.0, 1.0], [2.0, 3.0], [1.0, 0.5]), 0.5, rule)\n"
    )
    before = set(home.rglob("*.nb?"))
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(home.rglob("*.nb?")) == before
