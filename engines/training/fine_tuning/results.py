"""Writes the files of a run of folds: see `finished`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...data.aligned.recordings import AlignedRecording
from ...data.annotations import Interval
from ...data.annotations.report import table_rows
from ...errors import DataError
from ...evaluation.metrics.average_precision import IOUS, average_precision
from ...evaluation.metrics.comparison import Comparison
from ...evaluation.metrics.report import DRAWS, score_tables
from ...system.replacement import replace as replace_path
from ..folds import Split
from .choice import Choice
from .finished import CANDIDATES, FOLDS, PREDICTIONS, REPORT, TABLE, TRUTH

EMITS = ("micro",)
COUNTS = ("tp", "fp", "fn", "precision", "recall", "f1", "false_alarms_per_min")

Rows = tuple[Interval, ...]


@dataclass(frozen=True)
class Found:
    """What was found in a recording at the chosen thresholds, and everything at low ones."""

    recording: AlignedRecording
    rows: Rows
    everything: Rows


@dataclass(frozen=True)
class FoldResult:
    """A fold as it is told: its choice, and by data set what was found in its test subjects."""

    told: dict[str, Any]
    predictions: dict[str, Rows]
    candidates: dict[str, Rows]

    @classmethod
    def of(cls, split: Split, choice: Choice, found: Sequence[Found]) -> FoldResult:
        """The result of a fold that has spotted its test subjects."""
        told = {
            "fold": split.name,
            "test": [str(one) for one in split.test],
            "training": [str(one) for one in split.training],
            "chosen_by": [str(one) for one in choice.apart],
            "steps": choice.steps,
            "t_cpn": choice.spec.t_cpn,
            "t_crn": choice.spec.t_crn,
            "tried": list(choice.tried),
        }
        names = sorted({one.recording.dataset for one in found})
        own = {name: [one for one in found if one.recording.dataset == name] for name in names}
        return cls(
            told,
            {name: tuple(row for one in ones for row in one.rows) for name, ones in own.items()},
            {
                name: tuple(row for one in ones for row in one.everything)
                for name, ones in own.items()
            },
        )


def check_writable(out: Path) -> None:
    """Raise DataError where no fold could be kept, before one trains."""
    probe = out / FOLDS / ".writable"
    _write(probe, "")
    probe.unlink(missing_ok=True)


def write_fold(out: Path, number: int, result: FoldResult, key: dict[str, Any]) -> None:
    """Keep a fold that is done. key: what it was made from. Raises DataError."""
    content = {
        "made_from": _digest(key),
        "told": result.told,
        "predictions": _as_json(result.predictions),
        "candidates": _as_json(result.candidates),
    }
    _write(out / FOLDS / f"{number:03}.json", json.dumps(content, indent=1) + "\n")


def kept_fold(out: Path, number: int, split: Split, key: dict[str, Any]) -> FoldResult | None:
    """A fold of an earlier run; None where there is none that was made from the same."""
    try:
        path = out / FOLDS / f"{number:03}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["made_from"] != _digest(key) or content["told"]["fold"] != split.name:
            return None
        tables = [
            {name: tuple(Interval(**row) for row in rows) for name, rows in content[kind].items()}
            for kind in ("predictions", "candidates")
        ]
        return FoldResult(content["told"], *tables)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _as_json(tables: dict[str, Rows]) -> dict[str, list[dict[str, Any]]]:
    return {name: [asdict(row) for row in rows] for name, rows in tables.items()}


def _digest(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def write_run(
    out: Path,
    about: dict[str, Any],
    results: Sequence[FoldResult],
    recordings: Sequence[AlignedRecording],
) -> dict[str, Any]:
    """Write all files of a run but those of its folds; the report. Raises DataError."""
    tested = {who for result in results for who in result.told["test"]}
    of = [each for each in recordings if f"{each.dataset}/{each.subject}" in tested]
    report = about | {"folds": [result.told for result in results]} | _figures(of, results)
    rows = [_row(result, of) for result in results]
    total = {"fold": "all", "steps": "", "t_cpn": "", "t_crn": ""}
    rows.append(total | {name: report["micro"][name] for name in COUNTS})
    _write(out / TABLE, _csv([list(rows[0]), *([*row.values()] for row in rows)]))
    for dataset in sorted({each.dataset for each in of}):
        own = [row for each in of if each.dataset == dataset for row in _micros(each)]
        tables = {
            TRUTH: own,
            PREDICTIONS: _pooled(result.predictions.get(dataset, ()) for result in results),
            CANDIDATES: _pooled(result.candidates.get(dataset, ()) for result in results),
        }
        for name, intervals in tables.items():
            _write(out / dataset / name, _csv(table_rows(intervals)))
    _write(out / REPORT, json.dumps(report, indent=1) + "\n")
    return report


def _pooled(parts: Iterable[Rows]) -> list[Interval]:
    return [row for part in parts for row in part]


def _micros(recording: AlignedRecording) -> list[Interval]:
    return [row for row in recording.truth if row.type == "micro"]


def _row(result: FoldResult, of: Sequence[AlignedRecording]) -> dict[str, Any]:
    """The row of a fold in the table."""
    own = [each for each in of if f"{each.dataset}/{each.subject}" in result.told["test"]]
    figures = _figures(own, [result], resamples=0)["micro"]
    told = {name: result.told[name] for name in ("fold", "steps", "t_cpn", "t_crn")}
    return told | {name: figures[name] for name in COUNTS}


def _figures(
    of: Sequence[AlignedRecording], results: Sequence[FoldResult], resamples: int = DRAWS
) -> dict[str, Any]:
    """What `score` prints, and the average precision of all that is found at low thresholds.

    Subjects are called with their data sets: two may have one name.
    """
    truth = _named(_by_dataset(of))
    found, everything = (
        [row for result in results for row in _named(getattr(result, kind))]
        for kind in ("predictions", "candidates")
    )
    minutes = sum(each.seconds for each in of) / 60
    scored = score_tables(truth, found, minutes=minutes, emits=EMITS, resamples=resamples)
    compared = Comparison(truth, everything, min(IOUS))
    return scored | {"average_precision": average_precision(compared, EMITS)}


def _by_dataset(of: Sequence[AlignedRecording]) -> dict[str, Rows]:
    names = {each.dataset for each in of}
    return {
        name: tuple(row for each in of if each.dataset == name for row in _micros(each))
        for name in sorted(names)
    }


def _named(tables: dict[str, Rows]) -> list[Interval]:
    return [
        replace(row, subject=f"{name}/{row.subject}", label=None)
        for name, rows in tables.items()
        for row in rows
    ]


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    """Write a file whole. Raises DataError."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        replace_path(part, path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
