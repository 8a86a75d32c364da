"""What a simulated fleet is made of, and what happens to it. No value is from the papers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .times import Seconds


class Scenario(BaseModel):
    """Cameras, machines and failures. A rate of 0 lets something never happen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cameras: int = Field(10_000, ge=1, le=1_000_000)
    nodes: int = Field(200, ge=1, le=10_000)
    node_cameras: int = Field(60, ge=1, description="how many a node carries")
    hours: float = Field(24.0, gt=0, le=1000)
    seed: int = Field(0, ge=0)
    failing_per_hour: float = Field(0.05, ge=0, le=60, description="share of the nodes")
    death_seen_s: Seconds | None = Field(
        None, description="until a dead node is known, where not as in Times"
    )
    repair_s: Seconds = Field((1800.0, 1800.0), description="until a failed node is back, empty")
    rack_nodes: int = Field(20, ge=1, description="nodes that fail together with a rack")
    racks_per_hour: float = Field(0.0, ge=0, le=60, description="racks that fail")
    crashes_per_hour: float = Field(1 / 720, ge=0, le=60, description="of a group: once in a month")
    hangs_per_hour: float = Field(1 / 2400, ge=0, le=60, description="of a group: in 100 days")
    drains_per_hour: float = Field(0.0, ge=0, le=60, description="nodes emptied and started anew")
    reboot_s: Seconds = Field((300.0, 300.0), description="until a drained node is back")
    pinned: float = Field(0.0, ge=0, le=1, description="share of cameras pinned to a host")
    round_s: float = Field(1.0, gt=0, le=3600, description="between rounds of the supervisor")
    supervisor_stops_per_hour: float = Field(0.0, ge=0, le=60)
    supervisor_away_s: float = Field(60.0, ge=0, le=3600, description="until it is started again")


SCENARIOS = {
    "nodes": Scenario(),
    "racks": Scenario(racks_per_hour=0.25),
    "pinned": Scenario(pinned=0.2),
    "drains": Scenario(drains_per_hour=10.0),
    "slow-supervisor": Scenario(round_s=20.0),
    "supervisor-restarts": Scenario(supervisor_stops_per_hour=2.0),
    # A machine that answers nothing, under Ray's health check as it comes: five in a row, one every
    # 3 s, that fail at once or after 10 s each.
    "late-news": Scenario(death_seen_s=(15.0, 65.0)),
    "no-spare": Scenario(node_cameras=50),
}
