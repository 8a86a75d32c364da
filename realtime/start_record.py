"""The `start` record of a run: what it can be told apart by later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microspot.engines.commands.version import installed_version
from microspot.engines.runtime.engine import EngineSet
from microspot.engines.specs import SpotterSpec

from .sinks.record_schema import VERSION
from .sources.open import Source

THRESHOLDS = ("t_cpn", "t_crn", "t_nms")  # of the spec, which the record gives


def start_record(
    sources: Sequence[Source], engines: EngineSet, spec: SpotterSpec, hop: int
) -> dict[str, Any]:
    """Sources, backend, grid, version, weights, thresholds, labels, latency bounds of the spec."""
    recognizer = engines.recognizer_spec
    return {
        "type": "start",
        "schema": VERSION,
        "version": installed_version(),
        "sources": [
            {"source": source.name, "started_utc": source.started_utc, "fps": source.rate_hz}
            for source in sources
        ],
        "engines": engines.name,
        "digest": engines.digest,
        "thresholds": {name: getattr(spec, name) for name in THRESHOLDS},
        "labels": list(recognizer.labels) if recognizer and engines.emotions else None,
        "backend": engines.backend,
        "why": engines.backend_reason,
        "grid_hz": engines.spotter.grid_hz,
        "windows": list(spec.windows),
        "latency_ticks": latency(spec, hop),
    }


def latency(spec: SpotterSpec, hop: int) -> dict[str, int]:
    """Bounds in ticks, from receptive field, hop and reach.

    provisional: after the last tick of the first window that passes; final: after the last tick of
    an isolated event.
    """
    # Windows that end so much later than an interval's last tick can still overlap it.
    horizon = int(-(-spec.reach // 1)) - 1
    return {"provisional": spec.radius + hop + 1, "final": horizon + spec.radius + hop + 1}
