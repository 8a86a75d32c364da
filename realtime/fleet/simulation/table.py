"""What came of a simulated fleet, as a table, and whether it meets the aims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .served import Outage, Served

LEAST_SERVED = 0.999  # share of all camera time, the aim; not from the papers
MOST_RECOVERY_S = 60.0  # of 99 in 100 outages, the aim; not from the papers


@dataclass(frozen=True)
class Counts:
    """What was counted beside the time of the cameras.

    failures: by kind; above_capacity: cameras that a node was given beyond what it carries;
    waiting_most: most cameras without a place at a time; calls: starts, changes and stops by
    second; reports: of groups; refused: calls that the cluster did not take; round_ms: what each
    round of the supervisor took on this machine.
    """

    failures: dict[str, int]
    above_capacity: int
    waiting_most: int
    calls: Counter[int]
    reports: float
    refused: int
    round_ms: list[float]


def table_of(served: Served, counts: Counts, whole_s: float) -> dict[str, Any]:
    """The table of a run of `whole_s`, by name.

    Pinned cameras are told apart: while their host is away nothing can be done for them.
    """
    free = _shares(served.shares(whole_s, pinned=False))
    moved = [outage for outage in served.outages if not outage.pinned]
    recovery = _recovery(moved)
    table = {
        "failures": counts.failures,
        "served": free,
        "served_pinned": _shares(served.shares(whole_s, pinned=True)),
        "all_served_first_s": _rounded(served.all_seen_s),
        "recovery_s": recovery,
        "recovery_s_by_cause": {
            cause: _recovery([outage for outage in moved if outage.cause == cause])
            for cause in sorted({outage.cause for outage in moved})
        },
        "cameras_held_twice": served.held_twice,
        "cameras_above_capacity": counts.above_capacity,
        "cameras_waiting_most": counts.waiting_most,
        "control": _control(counts, whole_s),
        "supervisor": _supervisor(counts.round_ms),
    }
    if free is not None:
        table["served_as_aimed"] = free["mean"] >= LEAST_SERVED
    if recovery is not None:
        table["recovery_as_aimed"] = recovery["p99"] <= MOST_RECOVERY_S
    return table


def _shares(shares: Sequence[float]) -> dict[str, float] | None:
    """Mean, that of the worst hundredth, and the worst camera; None without any."""
    if not shares:
        return None
    return {
        "cameras": len(shares),
        "mean": round(float(np.mean(shares)), 6),
        "p1": round(float(np.percentile(shares, 1)), 6),
        "worst": round(min(shares), 6),
    }


def _recovery(outages: Sequence[Outage]) -> dict[str, float] | None:
    """Seconds from a cause to the next frame."""
    if not outages:
        return None
    seconds = [outage.seconds for outage in outages]
    p50, p99 = np.percentile(seconds, [50, 99])
    return {
        "p50": round(float(p50), 1),
        "p99": round(float(p99), 1),
        "max": round(max(seconds), 1),
        "outages": len(seconds),
    }


def _control(counts: Counts, whole_s: float) -> dict[str, float]:
    """Messages: a report is asked for and given, a call is one."""
    return {
        "reports_per_s": round(counts.reports / whole_s, 1),
        "calls_per_s": round(counts.calls.total() / whole_s, 3),
        "calls_per_s_most": max(counts.calls.values(), default=0),
        "messages_per_s": round((2 * counts.reports + counts.calls.total()) / whole_s, 1),
        "refused": counts.refused,
    }


def _supervisor(round_ms: Sequence[float]) -> dict[str, float]:
    """What rounds in which something had changed took."""
    p50, p99 = np.percentile(round_ms, [50, 99]) if round_ms else (0.0, 0.0)
    return {
        "rounds": len(round_ms),
        "ms_p50": round(float(p50), 2),
        "ms_p99": round(float(p99), 2),
        "ms_max": round(max(round_ms, default=0.0), 2),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
