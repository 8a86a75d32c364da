"""Reports for people: rounded, a line for each figure. JSON keeps full precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DIGITS = 4


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """`value` with all numbers in it rounded; what holds them keeps its shape."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, Mapping):
        return {key: rounded(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each, digits) for each in value]
    return value


def lines(report: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Lines "name value"; what lies within another figure is named "above.name"."""
    for name, value in rounded(report).items():
        whole = f"{above}{name}"
        if isinstance(value, dict) and value:
            yield from lines(value, f"{whole}.")
        else:
            yield f"{whole:36} {'-' if value is None else value}"
