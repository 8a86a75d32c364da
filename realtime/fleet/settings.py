"""Settings of placement and supervisor, with their defaults. None of the values is from the papers.

What the file of a fleet says beside them is added where it is read.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from ..config import Settings


class SupervisorSettings(BaseModel):
    """How cameras are placed, and when a group that does not answer is given up."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    group_size: int = Field(
        Settings().process_cameras, ge=1, le=256, description="most cameras of a group"
    )
    starts_per_round: int = Field(
        50, ge=1, le=10_000, description="most groups started or emptied in a round"
    )
    starts_per_node: int = Field(
        4, ge=1, le=256, description="most groups that start on a node at a time"
    )
    patience_s: float = Field(
        20.0, ge=1, le=3600, description="seconds of silence after which a group is replaced"
    )
    start_s: float = Field(
        90.0, ge=1, le=3600, description="the same for a group whose process has just been started"
    )
    failed_pause_s: float = Field(
        600.0,
        ge=0,
        le=86_400,
        description="seconds for which a node is used last after a group failed on it",
    )
