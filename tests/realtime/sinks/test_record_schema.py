"""The schema is that of the records as they are, and the file beside it is up to date."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_type_hints

import numpy as np
import pytest
from pydantic import ValidationError

from microspot.engines.alignment.head import EyesOpen, HeadPose
from microspot.engines.units.findings import ActionUnit, Region
from microspot.realtime.errors import SourceError
from microspot.realtime.pipeline import Pipeline, SourceEnd
from microspot.realtime.records import (
    ConnectionState,
    Event,
    FaceMeasures,
    FrameTime,
    Gap,
    Marker,
    PersonalState,
    SourceState,
    SourceWarning,
    TickScores,
    WarningKind,
)
from microspot.realtime.review.decisions import Decision, decided
from microspot.realtime.sinks.record_schema import ADAPTER, FILE, LINES, VERSION, text
from microspot.realtime.watch import to_json
from tests.fakes import engine_set

DEFINED = json.loads(FILE.read_text())["$defs"]
FINAL = Event(
    "1", "cam", 0, "final", 0, 10**9, 0, 30, 0.5, 2 * 10**9, 5 * 10**8, 15, "surprise",
    {"surprise": 0.8}, (0.1, 1.0), {"blink": 0.2},
)  # fmt: skip
MOVED = replace(
    FINAL,
    action_units=(ActionUnit("AU12", "L", 1.24, "c", 0.88),),
    region=Region("mouth corner", "L", 1.24, "c", 0.9),
)
RECORDS = [
    FINAL,
    MOVED,
    Event("2", "cam", 1, "provisional", 0, 10**9, 0, 30, 0.5, 2 * 10**9),
    Gap("cam", None, 0, 10**9, "no face"),
    PersonalState("cam", 0, 10**9, 0.9, 1.0, 10.0, 3, False),
    Marker("cam", "stimuli", "flash", -(10**9), 0),
    FrameTime("cam", 30, 10**9, 10**15),
    FaceMeasures("cam", 0, 30, 10**9, 0.9, 120.0),
    FaceMeasures("cam", 0, 30, 10**9, 0.9, 120.0, HeadPose(-3, 4, 1), EyesOpen(0.3, 0.25)),
    TickScores("cam", 0, 10**9, np.array([np.nan, 0.5], np.float32), np.nan, 0.9),
    TickScores("cam", 0, 10**9, np.array([0.5], np.float32), 0.7, 0.9, {"blink": 0.25}),
    *(SourceState("cam", state, "") for state in ConnectionState),
    *(SourceWarning("cam", kind, "") for kind in WarningKind),
    SourceEnd("cam", 30, 1, {"overload": 2}, None, {"no face": 3}),
    SourceEnd("cam", 0, 0, {}, SourceError("lost")),
    SourceEnd("cam", 30, 1, {}, suppressed=2),
]


def lines() -> list[dict[str, Any]]:
    made = [Pipeline([], engine_set()).describe(), *(to_json(record) for record in RECORDS)]
    made.append(decided(to_json(FINAL), Decision("accepted"), "Anna"))
    return [json.loads(json.dumps(line)) for line in made]


def test_every_record_is_of_the_schema_with_no_key_more_or_less() -> None:
    known = {get_type_hints(line)["type"].__args__[0]: line for line in LINES}
    promised = {name: set(each["required"]) for name, each in DEFINED.items() if "required" in each}
    assert promised["End"] == {"type", "source", "frames", "events", "drops", "rejected"}
    seen: dict[str, set[str]] = {}
    for line in lines():
        ADAPTER.validate_json(json.dumps(line), strict=True)
        seen.setdefault(line["type"], set()).update(line)
        assert line.keys() <= known[line["type"]].__annotations__.keys()
        assert promised[known[line["type"]].__name__] <= line.keys()
    assert seen == {kind: set(line.__annotations__) for kind, line in known.items()}
    assert lines()[0]["schema"] == VERSION


def test_the_file_is_what_the_types_say() -> None:
    assert FILE.read_text() == text(), "python -m microspot.realtime.sinks.record_schema"


@pytest.mark.parametrize(
    ("key", "value"), [("score", 1.5), ("status", "perhaps"), ("face", -1), ("onset_s", None)]
)
def test_a_wrong_line_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_json(json.dumps(to_json(FINAL) | {key: value}))


def test_a_key_that_is_added_breaks_no_reader() -> None:
    ADAPTER.validate_json(json.dumps(to_json(FINAL) | {"added": 1}))
