"""Every setting of the stream that the weights do not carry, with its default.

Option beats file beats manifest: a threshold left at None is the weights' own.
"""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from microspot.engines.alignment.aligner import AlignOptions
from microspot.engines.alignment.bridge import BridgeOptions
from microspot.engines.running_neutral import RATES
from microspot.engines.specs import CLUSTER_TICKS, SpotterSpec
from microspot.engines.text.documents import DocumentError, read_toml

from .errors import UsageError

BRIDGE = BridgeOptions()
SECONDS = (0.001, 1e9)  # least and most of --seconds: its nanoseconds fit 64 bits
KEEP_DAYS = (0.001, 36_500.0)  # least and most of --keep
# Ticks of the ring beyond a cluster: reach of its last window, lags of the encoder, look-ahead.
RING_SPARE_TICKS = 60


class Settings(BaseModel):
    """Settings of a run. None of these values is from the papers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    hop: int = Field(1, ge=1, le=30, description="ticks scored at a time")
    bridge_frames: int = Field(
        BRIDGE.frames,
        ge=0,
        le=15,
        description="missing frames of a face that interpolation bridges",
    )
    bridge_ms: int = Field(
        BRIDGE.most_ns // 1_000_000,
        ge=34,
        le=500,
        description="longest bridge, in ms between the frames on both sides",
    )
    cluster_ticks: int = Field(
        CLUSTER_TICKS, ge=60, le=3540, description="longest cluster before a barrier"
    )
    ring_ticks: int = Field(
        400,
        ge=64,
        le=3600,
        description="crops and history kept per face, 40 KB each; exceeds cluster_ticks",
    )
    threshold: float | None = Field(None, ge=0, le=1, description="T_CRN")
    proposal_threshold: float | None = Field(None, ge=0, le=1, description="T_CPN")
    nms_threshold: float | None = Field(None, ge=0, le=1, description="T_nms")
    nms_rule: Literal["greedy", "author", "soft"] | None = Field(
        None, description="suppression rule"
    )
    alarms_per_min: float | None = Field(
        None,
        ge=RATES[0],
        le=RATES[1],
        description="alarms a minute that a threshold of each face's own aims at",
    )
    memory: str | None = Field(
        None, min_length=1, description="file of rejected events, of which none comes again"
    )
    refine: bool = Field(
        True, description="refine proposals; without it these alone score (ablation M40)"
    )
    label_floor: float | None = Field(
        None, ge=0, le=1, description="label probability below which it is uncertain"
    )
    queue_frames: int = Field(64, ge=2, le=4096, description="aligned frames waiting per source")
    queue_mb: int = Field(
        128, ge=8, le=8192, description="images of the frames waiting per source, in MB"
    )
    clock_reset_frames: int = Field(
        5, ge=1, le=1000, description="frames in a row with earlier times that mean a reset clock"
    )
    min_face_px: float = Field(
        AlignOptions().min_face_px,
        ge=20,
        le=1000,
        description="width from which a face is used, in px of the picture",
    )
    small_face_px: float = Field(
        90, ge=0, le=1000, description="width below which it is called small"
    )
    faces: int = Field(1, ge=1, le=8, description="faces followed per source")
    subject: str | None = Field(
        None, min_length=1, max_length=200, description="who is in front of all cameras of the run"
    )
    frame_batch_ms: int = Field(
        500,
        ge=0,
        le=2000,
        description="how long scores and times of frames wait for each other before outputs get "
        "them, in ms; events never wait, and what waits goes before them",
    )
    process_cameras: int = Field(
        5,
        ge=1,
        le=256,
        description="cameras that share a process on the CPU, while there are cores",
    )

    @model_validator(mode="after")
    def _ring_holds_a_cluster(self) -> Self:
        if self.ring_ticks < self.cluster_ticks + RING_SPARE_TICKS:
            raise ValueError(
                f"ring_ticks {self.ring_ticks}: expected cluster_ticks + {RING_SPARE_TICKS} or more"
            )
        return self

    @model_validator(mode="after")
    def _subject_is_one_face(self) -> Self:
        if self.subject is None:
            return self
        if not self.subject.isprintable() or not self.subject.strip():
            raise ValueError("subject: give a name of printable characters")
        if self.faces > 1:
            raise ValueError(
                f"subject {self.subject!r} and faces {self.faces}: the number of a face says where "
                "it is, not whose it is; name a subject where one face is followed"
            )
        return self

    @property
    def bridge(self) -> BridgeOptions:
        """How long a face may be missing and its segment still goes on."""
        return BridgeOptions(self.bridge_frames, self.bridge_ms * 1_000_000)

    @property
    def align(self) -> AlignOptions:
        """How faces are aligned."""
        return AlignOptions(min_face_px=self.min_face_px, bridge=self.bridge)

    def spotter(self, spec: SpotterSpec) -> SpotterSpec:
        """The weights' spec with this run's thresholds in place.

        Raises UsageError where the ring is too short for these weights.
        """
        needed = self.cluster_ticks + max(spec.windows) + spec.radius + self.hop
        if self.ring_ticks < needed:
            raise UsageError(f"ring_ticks {self.ring_ticks}: these weights need {needed} or more")
        options = {
            "t_crn": self.threshold,
            "t_cpn": self.proposal_threshold,
            "t_nms": self.nms_threshold,
            "nms_rule": self.nms_rule,
        }
        chosen = {name: value for name, value in options.items() if value is not None}
        return SpotterSpec.from_json(spec.to_json() | chosen)

    @classmethod
    def load(cls, path: Path | None, **options: Any) -> Self:
        """Settings of a TOML file; options that are not None replace those of the file.

        Raises UsageError with one line.
        """
        values: dict[str, Any] = {}
        if path is not None:
            try:
                values = read_toml(path)
            except DocumentError as error:
                raise UsageError(f"configuration {path}: {error}") from error
        values |= {name: value for name, value in options.items() if value is not None}
        try:
            return cls(**values)
        except ValidationError as error:
            raise UsageError(f"configuration: {cls._explain(error)}") from error

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        """The first of the errors in one line; an unknown key with the nearest known one."""
        first = error.errors()[0]
        if not first["loc"]:
            return first["msg"].removeprefix("Value error, ")
        name = str(first["loc"][0])
        if first["type"] != "extra_forbidden":
            return f"{name}: {first['msg']}, got {reprlib.repr(first['input'])}"
        nearest = difflib.get_close_matches(name, cls.model_fields, n=1)
        if nearest:
            return f"unknown key {name!r}; did you mean {nearest[0]!r}?"
        return f"unknown key {name!r}; known: {', '.join(cls.model_fields)}"
