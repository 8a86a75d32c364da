"""A micro-expression that was spotted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from microspot.engines.units.findings import ActionUnit, Region
from microspot.engines.units.labels import RuleLabel, label_of

from .values import in_seconds, rounded_shares

Status = Literal["provisional", "final", "withdrawn"]
UNCERTAIN = "uncertain"  # the label of an event whose most probable one is below the label floor


@dataclass(frozen=True)
class Event:
    """One micro-expression. Times are stream ns.

    Frames are source indices, inclusive, nearest in time. `label`, `label_scores`, `intensity`,
    `confounders` and `apex_*` are None until the event is final. confounders: how probable it is
    that something else moved during the event, by name (`engines.specs.NUISANCES`); None also where
    the weights do not say. action_units, region: what moved; None also where the weights do not
    say, and then the record has none of what follows from them either. face: a place in the
    picture, counted from 0: whose it is, only `subject` says, the name that the run was given.
    flow: where each block of the crop went from onset to apex
    (`engines.alignment.displacement.block_flow`), for pictures; vector: what a final event is
    remembered by (`engines.rejected_memory`). Neither is in a record.
    """

    id: str
    source: str
    face: int
    status: Status
    onset_ns: int
    offset_ns: int
    onset_frame: int
    offset_frame: int
    score: float
    emitted_ns: int
    apex_ns: int | None = None
    apex_frame: int | None = None
    label: str | None = None
    label_scores: dict[str, float] | None = None
    intensity: tuple[float, ...] | None = None
    confounders: dict[str, float] | None = None
    action_units: tuple[ActionUnit, ...] | None = None
    region: Region | None = None
    subject: str | None = None
    flow: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    vector: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.offset_ns < self.onset_ns:
            raise ValueError(
                f"Event {self.id}: offset {self.offset_ns} before onset {self.onset_ns}"
            )
        if not 0 <= self.score <= 1:
            raise ValueError(f"Event {self.id}: score {self.score}, expected 0 to 1")

    @property
    def rule_label(self) -> RuleLabel | None:
        """What the rule makes of the action units; None where the weights do not say them."""
        if self.action_units is None:
            return None
        return label_of(unit.name for unit in self.action_units)

    def to_json(self) -> dict[str, Any]:
        """The `event` JSON line of the command contract; seconds to the microsecond."""
        intensity: Any = self.intensity
        if intensity:
            intensity = [round(value, 4) for value in intensity]
        return {
            "type": "event",
            "id": self.id,
            "source": self.source,
            "face": self.face,
            "subject": self.subject,
            "status": self.status,
            "onset_s": in_seconds(self.onset_ns),
            "apex_s": in_seconds(self.apex_ns),
            "offset_s": in_seconds(self.offset_ns),
            "onset_frame": self.onset_frame,
            "apex_frame": self.apex_frame,
            "offset_frame": self.offset_frame,
            "score": round(self.score, 4),
            "label": self.label,
            "label_scores": rounded_shares(self.label_scores),
            "intensity": intensity,
            "confounders": rounded_shares(self.confounders),
            **self._movement_json(),
            "emitted_s": in_seconds(self.emitted_ns),
        }

    def _movement_json(self) -> dict[str, Any]:
        """What moved, and what the rule makes of it; no key where the weights do not say."""
        rule = self.rule_label
        if rule is None or self.action_units is None:
            return {}
        by_rule = "" if self.label is None else rule.label  # no emotion was asked for
        return {
            "action_units": [unit.to_json() for unit in self.action_units],
            "region": None if self.region is None else self.region.to_json(),
            "objective_class": rule.objective_class or None,
            "label_by_units": by_rule or None,
        }
