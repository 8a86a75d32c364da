"""What the specs share: their JSON, and checks that name what is wrong."""

from __future__ import annotations

import dataclasses
import reprlib
from typing import Any, ClassVar, Self

from ..errors import EngineError

MOST = 32  # lags, windows, kernels, labels: no spec has more; not from the papers


class CheckedSpec:
    """JSON round trip of the specs; wrong keys, types and values are refused by name."""

    NUMBERS: ClassVar[dict[str, tuple[int, int]]]  # least and most of each whole number
    LISTS: ClassVar[dict[str, tuple[int, int]]] = {}  # least and most of lists of whole numbers
    SHARES: ClassVar[tuple[str, ...]]  # numbers from 0 to 1
    # keys that manifests of earlier weights lack; their defaults say what those weights are
    ADDED: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The spec of a JSON object. Raises EngineError with key, expected and actual."""
        if not isinstance(values, dict):
            raise EngineError(
                f"{cls.__name__}: expected an object {{...}}, got {reprlib.repr(values)}"
            )
        known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        odd = set(values) ^ known
        odd -= set(cls.ADDED) - set(values)
        if odd:
            raise EngineError(
                f"{cls.__name__}: manifest and code disagree on {sorted(odd)}; "
                "re-export the weights"
            )
        return cls(**{key: _tupled(value) for key, value in values.items()})

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    def check_numbers(self) -> None:
        """Raise EngineError with key, expected and actual."""
        for name, (low, high) in self.NUMBERS.items():
            if not is_whole(getattr(self, name), low, high):
                raise self.wrong(name, f"a whole number from {low} to {high}")
        for name, (low, high) in self.LISTS.items():
            value = getattr(self, name)
            listed = isinstance(value, tuple) and len(value) <= MOST
            if not listed or not all(is_whole(v, low, high) for v in value):
                raise self.wrong(name, f"at most {MOST} whole numbers from {low} to {high}")
        for name in self.SHARES:
            value = getattr(self, name)
            if not is_within(value, 0, 1):
                raise self.wrong(name, "a number from 0 to 1")

    def wrong(self, name: str, expected: str) -> EngineError:
        """The error that a key has another value than `expected` says."""
        return EngineError(f"{name}: expected {expected}, got {reprlib.repr(getattr(self, name))}")


def is_whole(value: Any, low: int, high: int) -> bool:
    """Whether `value` is a whole number from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_within(value: Any, low: float, high: float) -> bool:
    """Whether `value` is a number from `low` to `high`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and low <= value <= high


def is_pair(value: Any) -> bool:
    """Whether `value` is a pair of dilations."""
    return isinstance(value, tuple) and len(value) == 2 and all(is_whole(v, 1, 1000) for v in value)


def are_distinct_of(values: Any, known: tuple[Any, ...]) -> bool:
    """Whether `values` is a tuple without repetitions of members of `known`."""
    if not isinstance(values, tuple) or not all(value in known for value in values):
        return False
    return len(set(values)) == len(values)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, list) else value
