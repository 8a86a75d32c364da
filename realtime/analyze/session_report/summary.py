"""session.json: channels, blinks and responses to markers of a recording, in figures and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .blinks import RULE
from .channels import Channels
from .statistics import DIGITS, Rate, latency_of, permutation_test, rate_of
from .trials import Trial, by_condition, trials

QUANTILES = (0.05, 0.5, 0.95)  # of each channel
CANNOT_SHOW = (
    "An event is a short movement of the face that looks like a micro-expression. It is no "
    "feeling, and a feeling need not show.",
    "The spotter learned from synthetic movement. What it misses and what it spots falsely is in "
    "every rate, and may differ between conditions: people blink, speak and turn at some stimuli "
    "more than at others.",
    "The figures are those of one recording. They say nothing of other people, and p is right only "
    "where the order of the stimuli was drawn at random.",
    "Intervals take events as independent; after one event another may be likelier.",
    "Who looks at many recordings, conditions or windows finds a small p by chance: decide before "
    "which comparison counts, and correct for the others.",
)


def summary(
    channels: Channels,
    markers: Sequence[tuple[float, str]],
    onsets_s: dict[str, float],
    window_s: float,
) -> dict[str, Any]:
    """What session.json holds.

    markers: time and value of each; onsets_s: of each event, by its id.
    """
    seen_s = channels.seen_s
    blinks = channels.blinks()
    face_s = len(seen_s) * channels.tick_s
    found = trials(markers, onsets_s, seen_s, channels.tick_s, window_s)
    return {
        "seen_s": round(face_s, 3),
        "events": Rate(len(onsets_s), face_s).to_json(),
        "blinks": None if blinks is None else Rate(blinks, face_s).to_json() | {"rule": RULE},
        "quantiles": list(QUANTILES),
        "channels": channels.quantiles(QUANTILES),
        "responses": _responses(found, onsets_s, face_s, window_s) if found else None,
        "cannot_show": list(CANNOT_SHOW),
    }


def _responses(
    found: Sequence[Trial], onsets_s: dict[str, float], face_s: float, window_s: float
) -> dict[str, Any]:
    """Rates and latencies by condition, the rate outside of all windows, and the test."""
    conditions = by_condition(found)
    within = rate_of(found)
    outside = Rate(len(onsets_s) - within.count, max(0.0, face_s - within.seconds))
    return {
        "window_s": window_s,
        "conditions": [
            {"condition": name, "markers": len(group)}
            | rate_of(group).to_json()
            | {"latency_s": latency_of(group)}
            for name, group in conditions.items()
        ],
        "outside": outside.to_json(),
        "permutation_test": permutation_test(conditions),
        "latencies_s": [
            {"id": name, "condition": trial.condition, "latency_s": round(after, DIGITS)}
            for trial in found
            for name, after in trial.latencies.items()
        ],
    }
