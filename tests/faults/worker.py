"""The child of the fuzz pool: reads cases as JSON lines, runs each, answers how it went.

It may crash or hang.

{"case": {...}, "pipeline": true} -> {"outcome": "SourceError", "detail": "..."}
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from microspot.engines.alignment.aligner import FixedAligner
from microspot.engines.data.annotations import read_table
from microspot.engines.errors import MicrospotError
from microspot.engines.loading import load_engines
from microspot.realtime.config import Settings
from microspot.realtime.pipeline import Pipeline, SourceEnd
from microspot.realtime.records import Frame
from microspot.realtime.session import Session
from microspot.realtime.sources.open import open_source
from microspot.realtime.spotting.streaming_nms import compile_nms
from microspot.realtime.watch import to_json
from tests import fakes
from tests.faults.cases import Case

MEMORY = 6 << 30  # bytes of addresses: an array of a promised size must not bring the machine down
TICKS = 20  # pushed through weights whose manifest was damaged


def frames(case: Case) -> None:
    """Every frame, its number rising.

    Times may fall: a pipeline drops such frames and counts them.
    """
    with open_source(case.path) as source:
        last = -1
        for record in source:
            if isinstance(record, Frame):
                assert record.index > last
                last = record.index


def pipeline(case: Case) -> None:
    """The same through a pipeline, with a face that fills the picture and networks of numpy."""
    with Pipeline(
        [open_source(case.path)],
        fakes.engine_set(),
        aligner=lambda spec, _: FixedAligner(side=spec.side),
    ) as run:
        for record in run.run():
            json.dumps(to_json(record), allow_nan=False)
            if isinstance(record, SourceEnd) and record.error is not None:
                raise record.error


def settings(case: Case) -> None:
    """Read, and used once."""
    read = Settings.load(Path(case.path))
    Session(fakes.engine_set(), "x", 0, read)


def table(case: Case) -> None:
    """Read."""
    read_table(Path(case.path))


def manifest(case: Case) -> None:
    """Weights loaded; those that do are used on crops that move."""
    with load_engines(case.path) as engines:
        session = Session(engines, "x")
        rng = np.random.default_rng(15)
        crop = fakes.crop(np.zeros(fakes.L), 0, 0)
        side = engines.spotter.side
        for i in range(TICKS):
            pixels = rng.integers(0, 255, (3, side, side), np.uint8)
            session.push(type(crop)("x", 0, i, i * 10**9 // 30, pixels, crop.affine, 1.0))
        session.flush()


DOES = {
    "clip": frames,
    "folder": frames,
    "settings": settings,
    "table": table,
    "manifest": manifest,
}


def outcome(case: Case, through_pipeline: bool) -> dict[str, Any]:
    """How it went: ok, the name of an expected error, or traceback."""
    try:
        (pipeline if through_pipeline and case.kind in ("clip", "folder") else DOES[case.kind])(
            case
        )
    except MicrospotError as error:
        if "\n" in str(error) or not str(error).isprintable():
            return {"outcome": "traceback", "detail": f"more than a line: {error!r}"}
        return {"outcome": type(error).__name__, "detail": str(error)}
    except Exception:
        return {"outcome": "traceback", "detail": traceback.format_exc()}
    return {"outcome": "ok", "detail": ""}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(
        os.open(os.devnull, os.O_WRONLY), 1
    )  # what libraries print must not break into the answers
    compile_nms(fakes.spec())  # NMS compiles for seconds, which is no hang of the first case
    print(json.dumps({"outcome": "ready"}), file=answers)
    for line in sys.stdin:
        message = json.loads(line)
        print(json.dumps(outcome(Case(**message["case"]), message["pipeline"])), file=answers)


if __name__ == "__main__":
    main()
