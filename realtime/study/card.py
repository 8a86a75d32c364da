"""A study for people: Markdown that can be read, sent and published beside its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FIGURES = ("precision", "recall", "f1", "false_alarms_per_min")
WITHHELD = "withheld"
NONE = "-"


def card(report: Mapping[str, Any]) -> str:
    """The card of a study."""
    lines = [
        f"# microspot on {report['dataset']}",
        "",
        report["weights"],
        "",
        report["privacy"],
        "",
        *_holds(report["holds"]),
        *_rows(report["rows"]),
        *_classes(report["rows"]),
        *_realism(report["realism"]),
        *_made_by(report),
    ]
    return "\n".join(lines) + "\n"


def _holds(holds: Mapping[str, Any]) -> Iterator[str]:
    yield "## Data"
    yield ""
    yield (
        f"{holds['subjects']} people, {holds['recordings']} recordings of "
        f"{holds['minutes']:.1f} minutes, {holds['recordings_missing']} more missing or unreadable."
    )
    yield ""
    yield from _table(
        ("events", "count"),
        [
            *((kind, _text(holds[kind])) for kind in ("micro", "macro")),
            *((f"micro, {name}", _text(own)) for name, own in _given(holds["micro_by_class"])),
        ],
    )


def _rows(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "## Spotting"
    yield ""
    table = []
    for row in rows:
        micro = row.get("micro", row)
        known = WITHHELD not in micro
        cells = [_cell(micro, name) if known else WITHHELD for name in FIGURES]
        table.append((row["row"], _text(micro["events"]) if known else WITHHELD, *cells))
    yield from _table(("row", "MEs", "P", "R", "F1", "false alarms a minute"), table)
    for row in rows:
        if "means" in row:
            yield f"* {row['row']}: protocol {row['protocol']}, {row['means']}."
    first = rows[0]["counts"]
    yield f"* A hit: {first['counts']}, IoU {first['iou']:g} or more; {first['pooling']}."
    yield "* In brackets 95 % intervals: subjects drawn again; of false alarms, of a rate."
    yield ""
    labels = [(row["row"], row["labels"]) for row in rows if row.get("labels")]
    if labels:
        yield from _table(
            ("labels of the hits", "UF1", "UAR", "accuracy"),
            [
                (name, *(_cell(own, key) if WITHHELD not in own else WITHHELD for key in LABELS))
                for name, own in labels
            ],
        )


LABELS = ("uf1", "uar", "accuracy")


def _classes(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    classes = [
        (f"{row['row']}, {name}", *_class(own))
        for row in rows
        for name, own in _given(row.get("recall_by_class", {}))
    ]
    if classes:
        yield from _table(("class", "MEs", "recall"), classes)


def _class(own: Mapping[str, Any]) -> tuple[str, str]:
    if WITHHELD in own:
        return WITHHELD, WITHHELD
    return _text(own["events"]), _cell(own, "recall")


def _realism(found: Mapping[str, Any]) -> Iterator[str]:
    yield "## Realism"
    yield ""
    if WITHHELD in found:
        yield f"Withheld: {found[WITHHELD]}."
        yield ""
        return
    told = found["two_sample"]
    yield (
        f"{found['events']['real']} real and {found['events']['generated']} generated MEs by one "
        f"flow pipeline are told apart with an AUC of {_cell(told, 'auc', told['interval'])}: "
        f"{told['classifier']}."
    )
    yield ""
    names = list(next(iter(found["measures"].values()))["real"])
    rows = [
        (f"{name.replace('_', ' ')} ({own['unit']}), {kind}", *(_text(own[kind][p]) for p in names))
        for name, own in found["measures"].items()
        for kind in ("real", "generated")
    ]
    yield from _table(("measure", *names), rows)


def _made_by(report: Mapping[str, Any]) -> Iterator[str]:
    yield "## Made by"
    yield ""
    for row in report["rows"]:
        if "engines" in row and row["engines"]["digest"]:
            yield f"* {row['row']}: weights {row['engines']['digest']}"
    for name, version in report["versions"].items():
        yield f"* {name} {version}"


def _given(cells: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The cells by name; none where they are withheld together."""
    return [] if WITHHELD in cells else list(cells.items())


def _cell(figures: Mapping[str, Any], name: str, ends: Sequence[float] | None = None) -> str:
    """A figure with its interval."""
    ends = ends or (figures.get("intervals") or {}).get(name)
    text = _text(figures[name])
    return text if ends is None else f"{text} [{_text(ends[0])}, {_text(ends[1])}]"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return WITHHELD
    if value is None:
        return NONE
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for cells in rows:
        yield f"| {' | '.join(cells)} |"
    yield ""
