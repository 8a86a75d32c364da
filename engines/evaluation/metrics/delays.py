"""How long after an interval's end it was decided, where that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


def delay_report(delays_s: Sequence[float]) -> dict[str, float] | None:
    """Count, quantiles, least and most of delays in seconds; None without any."""
    if not len(delays_s):
        return None
    values = np.asarray(delays_s, np.float64)
    report = {name: float(np.quantile(values, share)) for name, share in QUANTILES.items()}
    return {"count": len(values), "min": float(values.min()), **report, "max": float(values.max())}
