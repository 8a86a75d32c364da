"""Events as a Praat TextGrid in its long form: intervals without gaps; apices, markers as points.

A tier holds intervals of all the time, those between events with an empty text. No two points of
a tier may be at one time: stimulus markers of one ms are one point. Times are seconds.
"""

from __future__ import annotations

from microspot.engines.data.coded.words import APEX

from .coded_run import CodedEvent, CodedRun, quoted, values_by_ms


def document(run: CodedRun) -> bytes:
    """The TextGrid of a run, as UTF-8."""
    end_ms = max(
        [1000]
        + [round(1000 * source.seconds) for source in run.sources]
        + [event.offset_ms for event in run.events]
        + [marker.at_ms for marker in run.markers]
    )
    tiers: list[list[str]] = []
    for name, events in run.tiers().items():
        tiers.append(_intervals(name, events, end_ms))
        peaks = {event.apex_ms: APEX for event in events if event.apex_ms is not None}
        if peaks:
            tiers.append(_points(f"{name} {APEX}", peaks, end_ms))
    for name, markers in run.marker_tiers().items():
        tiers.append(_points(name, values_by_ms(markers), end_ms))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += [f"xmin = {_s(0)}", f"xmax = {_s(end_ms)}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", *(f"        {line}" for line in tier)]
    return ("\n".join(lines) + "\n").encode()


def _intervals(name: str, events: list[CodedEvent], end_ms: int) -> list[str]:
    spans: list[tuple[int, int, str]] = []
    at = 0
    for event in events:
        if event.onset_ms > at:
            spans.append((at, event.onset_ms, ""))
        spans.append((event.onset_ms, event.offset_ms, event.words))
        at = event.offset_ms
    if at < end_ms:
        spans.append((at, end_ms, ""))
    lines = _head("IntervalTier", name, end_ms, f"intervals: size = {len(spans)}")
    for number, (start, stop, text) in enumerate(spans, 1):
        lines += [
            f"intervals [{number}]:",
            f"    xmin = {_s(start)}",
            f"    xmax = {_s(stop)}",
            f"    text = {quoted(text)}",
        ]
    return lines


def _points(name: str, marks: dict[int, str], end_ms: int) -> list[str]:
    """A point tier; marks: texts by ms, in order of time."""
    lines = _head("TextTier", name, end_ms, f"points: size = {len(marks)}")
    for number, (at_ms, text) in enumerate(marks.items(), 1):
        lines += [
            f"points [{number}]:",
            f"    number = {_s(at_ms)}",
            f"    mark = {quoted(text)}",
        ]
    return lines


def _head(kind: str, name: str, end_ms: int, size: str) -> list[str]:
    return [
        f'class = "{kind}"',
        f"name = {quoted(name)}",
        f"xmin = {_s(0)}",
        f"xmax = {_s(end_ms)}",
        size,
    ]


def _s(ms: int) -> str:
    return f"{ms / 1000:.3f}"
