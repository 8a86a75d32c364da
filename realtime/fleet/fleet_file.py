"""The file of a fleet: which cameras are wanted, where their events go, how they are placed.

Table [fleet] is FleetSettings, [settings] are those of `watch --config`, each [[camera]] is a
Camera.
"""

from __future__ import annotations

import difflib
import os
import reprlib
from collections import Counter
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from microspot.engines.loading import AUTO, BASELINE, choose_backend
from microspot.engines.manifest import LABELS, UNITS
from microspot.engines.text.documents import DocumentError, read_toml
from microspot.engines.text.redaction import printable

from ..config import KEEP_DAYS, Settings
from ..errors import UsageError
from ..sinks.open import kind_of
from ..sources.address import is_number
from .cluster import CameraWanted
from .control import HEARTBEAT_MOST_S
from .settings import SupervisorSettings

# Outputs that several groups on one host may share, and to which a group that starts again adds.
OUTS = (".db", "http", "https")
ON_ANY_HOST = ("env:", "camera:", "sample:", "/")  # sources that mean the same in every folder
SAMPLE = "sample"  # and this one
NO_LABELS = "none"
ABSOLUTE = "give an absolute path, which is the same on every host"


class Camera(BaseModel):
    """One camera of the file, as `CameraWanted` has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, max_length=100, description="unique; events are called so")
    source: str = Field(min_length=1, max_length=2000, description="as `watch` takes it")
    host: str | None = Field(None, min_length=1, description="the only host it may run on")

    @field_validator("name")
    @classmethod
    def _can_be_shown(cls, name: str) -> str:
        if printable(name) != name or not name.strip():
            raise ValueError("give a name of printable characters")
        return name

    @field_validator("source")
    @classmethod
    def _means_the_same_everywhere(cls, source: str) -> str:
        everywhere = source == SAMPLE or source.startswith(ON_ANY_HOST) or is_number(source)
        if not (everywhere or "://" in source):
            raise ValueError("give an address, a camera or an absolute path")
        return source


class FleetSettings(SupervisorSettings):
    """Table [fleet]: outputs, weights and numbers of the supervisor. None is from the papers.

    address: of the Ray cluster, `auto` for the one of this machine; None starts one here, which
    ends with the command.
    """

    address: str | None = Field(None, min_length=1, description="of Ray: HOST:PORT or auto")
    out: list[str] = Field(
        min_length=1, description="databases (absolute paths) and https addresses for events"
    )
    keep_days: float | None = Field(
        None, ge=KEEP_DAYS[0], le=KEEP_DAYS[1], description="days after which events are deleted"
    )
    metrics: str | None = Field(None, description="HOST:PORT of a page for Prometheus")
    engines: str | None = Field(None, description="folder of weights, on every host; or baseline")
    backend: str = Field("auto", description="as `watch --backend`")
    labels: str = Field("3", description="3, 5 or units; none computes no emotion")
    heartbeat_s: float = Field(
        1.0, ge=0.1, le=HEARTBEAT_MOST_S, description="seconds from round to round"
    )
    cameras_per_core: float = Field(
        float(Settings().process_cameras), gt=0, le=1000, description="cameras that a core carries"
    )
    gpus_per_group: float = Field(
        0.0, ge=0, le=16, description="share of a GPU that Ray reserves for a group"
    )
    pending_calls: int = Field(
        16, ge=4, le=1000, description="most calls that wait for a group to take them"
    )
    stop_s: float = Field(
        20.0, ge=1, le=600, description="seconds that a group has for ending, then it is killed"
    )

    @field_validator("out")
    @classmethod
    def _may_be_shared(cls, outs: list[str]) -> list[str]:
        for out in outs:
            if not out.startswith("env:"):  # which is known where a group opens it
                check_out(out)
        return outs

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: str) -> str:
        known = (*map(str, LABELS), UNITS, NO_LABELS)
        if labels not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return labels

    @field_validator("backend")
    @classmethod
    def _is_a_backend(cls, backend: str) -> str:
        try:
            if backend != AUTO:  # which each host chooses for itself
                choose_backend(backend)
        except UsageError as error:
            raise ValueError(str(error).partition(": ")[2]) from error
        return backend

    @field_validator("engines")
    @classmethod
    def _are_on_every_host(cls, engines: str | None) -> str | None:
        if engines is not None and engines != BASELINE and not os.path.isabs(engines):
            raise ValueError(f"{ABSOLUTE}, or baseline")
        return engines

    @model_validator(mode="after")
    def _groups_are_heard_in_time(self) -> Self:
        if self.heartbeat_s >= self.patience_s / 2:
            raise ValueError(
                f"heartbeat_s {self.heartbeat_s:g} must be less than half of patience_s "
                f"{self.patience_s:g}: groups are asked once in a round"
            )
        return self


class FleetFile(BaseModel):
    """A whole file, read strictly."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    fleet: FleetSettings
    settings: Settings = Field(default_factory=Settings)
    camera: list[Camera] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        counts = Counter(camera.name for camera in self.camera)
        for name, count in counts.items():
            if count > 1:
                raise ValueError(f"{count} cameras are called {name!r}: give each its own name")
        return self

    @model_validator(mode="after")
    def _memory_is_on_every_host(self) -> Self:
        memory = self.settings.memory
        if memory is not None and not os.path.isabs(memory):
            raise ValueError(f"settings.memory: {ABSOLUTE}, got {memory!r}")
        return self

    @property
    def wanted(self) -> tuple[CameraWanted, ...]:
        """The cameras, in the file's order."""
        return tuple(CameraWanted(c.name, c.source, c.host) for c in self.camera)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file at `path`. Raises UsageError: one line with file, key and the nearest match."""
        try:
            values = read_toml(path)
        except DocumentError as error:
            raise UsageError(f"fleet {path}: {error}") from error
        try:
            return cls(**values)
        except ValidationError as error:
            raise UsageError(f"fleet {path}: {explain(error, cls)}") from error


def check_out(out: str) -> None:
    """Raise ValueError where groups on many hosts cannot write to this output."""
    kind = kind_of(out)
    if kind not in OUTS:
        raise ValueError("expected a path ending in .db, an https address or env:NAME")
    if kind == ".db" and not os.path.isabs(out):
        raise ValueError(ABSOLUTE)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first of the errors in one line, an unknown key with the nearest known one."""
    first = error.errors()[0]
    place = [part for part in first["loc"] if isinstance(part, str)]
    where = "".join(
        f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
    ).lstrip(".")
    if first["type"] == "missing":
        return f"{where} is missing"
    if first["type"] != "extra_forbidden":
        said = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first["input"], dict) else f", got {_shown(place, first['input'])}"
        return f"{where}: {said}{given}" if where else said
    known = _keys(model, place[:-1])
    nearest = difflib.get_close_matches(place[-1], known, n=1)
    if nearest:
        return f"unknown key {where}; did you mean {nearest[0]!r}?"
    return f"unknown key {where}; known: {', '.join(known)}"


def _shown(place: list[str], value: Any) -> str:
    """A value as an error may quote it: a camera's address may hold a password."""
    return "an address" if place[-1:] == ["source"] else reprlib.repr(value)


def _keys(model: type[BaseModel], place: list[str]) -> list[str]:
    """The keys of the table at a place of the file."""
    tables: dict[str, type[BaseModel]] = {
        "fleet": FleetSettings,
        "settings": Settings,
        "camera": Camera,
    }
    return list((tables[place[0]] if place else model).model_fields)
