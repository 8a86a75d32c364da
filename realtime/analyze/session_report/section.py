"""The figures of a session as a part of a report: plain tables, and what they cannot show."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

from microspot.engines.evaluation.rates import CONFIDENCE
from microspot.engines.text.redaction import printable

UNITS = {"width_px": "px", "yaw": "°", "pitch": "°", "roll": "°"}
NAMES = {"width_px": "width", "yaw": "yaw, to the right", "pitch": "pitch, down"}
NAMES |= {"roll": "roll, clockwise"}
RESPONSE_COLUMNS = ("condition", "markers", "face seen", "events", "a minute", "latency (median)")


def section(summary: dict[str, Any]) -> str:
    """The HTML of a summary, as `summary.summary` gives it."""
    parts = ["<h2>Session</h2>", _blinks(summary["blinks"]), _channels(summary)]
    if summary["responses"] is not None:
        parts.append(_responses(summary["responses"]))
    items = "".join(f"<li>{_text(words)}</li>" for words in summary["cannot_show"])
    return "".join([*parts, f"<h3>What these figures cannot show</h3><ul>{items}</ul>"])


def _blinks(blinks: dict[str, Any] | None) -> str:
    if blinks is None:
        return "<p>These weights do not tell blinks.</p>"
    figures = f"Blinks: {blinks['count']}, a minute {_rate(blinks)}."
    return f"<p>{figures} The rule: {_text(blinks['rule'])}.</p>"


def _channels(summary: dict[str, Any]) -> str:
    """A table with a row for each channel; nothing without a face."""
    if not summary["channels"]:
        return ""
    heads = ["channel", *map(_quantile, summary["quantiles"])]
    rows = []
    for name, values in summary["channels"].items():
        unit = UNITS.get(name, "")
        rows.append([NAMES.get(name, name), *(f"{value:.3g} {unit}".strip() for value in values)])
    return _table(heads, rows)


def _quantile(share: float) -> str:
    return "median" if share == 0.5 else f"{share:.0%} of frames below"


def _responses(responses: dict[str, Any]) -> str:
    """Rates and latencies by condition, and the test between conditions."""
    rows = [
        [
            each["condition"],
            str(each["markers"]),
            f"{each['seen_s']:.1f} s",
            str(each["count"]),
            _rate(each),
            _latency(each["latency_s"]),
        ]
        for each in responses["conditions"]
    ]
    outside = responses["outside"]
    seen = f"{outside['seen_s']:.1f} s"
    rows.append(["outside of all windows", "", seen, str(outside["count"]), _rate(outside), ""])
    words = (
        f"A window begins with a marker and ends {responses['window_s']:g} s later, or with the "
        f"next marker. In brackets {CONFIDENCE:.0%} intervals: exact ones of Poisson counts, and "
        "bootstrapped ones of medians."
    )
    test = _test(responses["permutation_test"])
    table = _table(RESPONSE_COLUMNS, rows)
    return f"<h3>Responses to markers</h3><p>{words}</p>{table}<p>{test}</p>"


def _test(test: dict[str, Any] | None) -> str:
    if test is None:
        return "The conditions are not compared: too few markers, or no event to tell them by."
    names = _text(", ".join(test["conditions"]))
    return (
        f"Permutation test of the rates between {names}: p = {test['p']:.3g}. This is how often "
        "markers whose conditions are exchanged at random differ as much."
    )


def _rate(rate: dict[str, Any]) -> str:
    if rate["per_min"] is None:
        return "no face seen"
    low, high = rate["interval_per_min"]
    return f"{rate['per_min']:.2f} ({low:.2f} to {high:.2f})"


def _latency(latency: dict[str, Any]) -> str:
    if latency["median"] is None:
        return ""
    shown = f"{latency['median']:.2f} s"
    if latency["interval"] is None:
        return shown
    low, high = latency["interval"]
    return f"{shown} ({low:.2f} to {high:.2f})"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    return html.escape(printable(text))
