"""How long things take in a simulated fleet, in seconds, each drawn evenly between two bounds.

The only place of these numbers. They can be replaced by a TOML file of what was measured.
"""

from __future__ import annotations

import difflib
import random
import reprlib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from microspot.engines.text.documents import DocumentError, read_toml

from ...errors import UsageError

Seconds = tuple[float, float]  # least and most


class Times(BaseModel):
    """Times of Ray, processes and cameras; which were measured says the README of this room."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group_start_s: Seconds = Field(
        (6.0, 12.0), description="from the call until the process has its engines"
    )
    camera_open_s: Seconds = Field((0.5, 4.0), description="from then to its first frame")
    change_s: Seconds = Field((0.05, 0.5), description="until a running group acts on a change")
    stop_s: Seconds = Field((0.2, 2.0), description="until a group has flushed and ended")
    kill_s: Seconds = Field((20.0, 20.0), description="until one that does not answer is killed")
    node_death_seen_s: Seconds = Field((0.03, 10.0), description="until a dead node is known")
    group_death_seen_s: Seconds = Field((0.03, 1.0), description="until a dead process is known")
    heartbeat_s: Seconds = Field((1.0, 1.0), description="between two reports of a group")

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        for name, (least, most) in self:
            if not 0 <= least <= most < float("inf"):
                raise ValueError(f"{name} [{least}, {most}]: expected two times, least first")
        if self.heartbeat_s[0] <= 0:
            raise ValueError("heartbeat_s: expected more than 0")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Times of a TOML file, such as `group_start_s = [6.1, 7.4]`. Raises UsageError."""
        try:
            return cls(**read_toml(path))
        except DocumentError as error:
            raise UsageError(f"times {path}: {error}") from error
        except ValidationError as error:
            raise UsageError(f"times {path}: {cls._explain(error)}") from error

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        """The first of the errors in one line; an unknown key with the nearest known one."""
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            return said
        name = str(first["loc"][0])
        if first["type"] != "extra_forbidden":
            return f"{name}: {said}, got {reprlib.repr(first['input'])}"
        nearest = difflib.get_close_matches(name, cls.model_fields, n=1)
        if nearest:
            return f"unknown key {name!r}; did you mean {nearest[0]!r}?"
        return f"unknown key {name!r}; known: {', '.join(cls.model_fields)}"


class Draw:
    """Draws times, the same ones for the same seed."""

    def __init__(self, times: Times, seed: int) -> None:
        self.times = times
        self.random = random.Random(seed)

    def seconds(self, bounds: Seconds) -> float:
        """A time between two bounds."""
        return self.random.uniform(*bounds)
