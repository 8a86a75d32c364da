"""Results as `microspot analyze` writes them, over clips that say which frame is which."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from microspot.realtime.analyze.one_video import SUMMARY
from microspot.realtime.pipeline import Pipeline
from microspot.realtime.records import Event
from microspot.realtime.review.results import RECORDS, VideoResults, read_results
from tests.clips import write_clip
from tests.fakes import engine_set

HZ = 30
FRAMES = 90
SQUARE = 16  # px of a picture's side for each bit of its index
BITS = 10


def numbered(frames: int) -> Iterator[np.ndarray]:
    """Pictures (32, 160, 3) whose upper half has a white square for each bit of their index."""
    for index in range(frames):
        image = np.full((2 * SQUARE, BITS * SQUARE, 3), 90, np.uint8)
        for bit in range(BITS):
            image[:SQUARE, bit * SQUARE : (bit + 1) * SQUARE] = 255 * (index >> bit & 1)
        yield image


def number_of(image: np.ndarray) -> int:
    """The index that a picture says."""
    row = image[SQUARE // 2, SQUARE // 2 :: SQUARE, 0]
    return sum(int(value > 128) << bit for bit, value in enumerate(row))


def event(number: int, onset: int, source: str) -> dict[str, Any]:
    """The record of an event of 10 frames."""

    def at_ns(frame: int) -> int:
        return frame * 10**9 // HZ

    apex = onset + 4
    offset = onset + 9
    return Event(
        f"e{number:03}", source, 0, "final", at_ns(onset), at_ns(offset), onset, offset, 0.9,
        at_ns(offset + 29), at_ns(apex), apex, "negative", {"negative": 0.8, "positive": 0.2},
        (0.1, 0.9, 0.2), {"blink": 0.7},
    ).to_json()  # fmt: skip


def add_video(
    results: Path,
    name: str,
    events: int = 3,
    folder: str = "",
    frames: int = FRAMES,
    address: Path | None = None,
    damaged: int = 0,
) -> Path:
    """One video with events from frame 20 on, 4 frames apart; the clip, which lies beside DIR.

    frames: how many it has; damaged: how many of them count as damaged.
    """
    clip = address or results.parent / name
    if not clip.exists():
        clip.parent.mkdir(parents=True, exist_ok=True)
        write_clip(clip, numbered(frames), HZ, bf="2", g="12")
    home = results / (folder or name)
    home.mkdir(parents=True)
    source = {"source": name, "started_utc": None, "fps": float(HZ)}
    records = [
        Pipeline([], engine_set()).describe() | {"sources": [source]},
        *(event(number, 20 + 4 * number, name) for number in range(events)),
        {
            "type": "end",
            "source": name,
            "frames": frames - damaged,
            "events": events,
            "drops": {"damaged": damaged} if damaged else {},
            "rejected": {},
        },
    ]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (home / RECORDS).write_text(lines, encoding="utf-8")
    summary = {
        "made_from": {"fps": None},
        "address": str(clip),
        "analysis": {"video": name, "frames": frames - damaged},
    }
    (home / SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
    return clip


def read(results: Path) -> tuple[list[VideoResults], dict[str, str]]:
    """The videos and where they lie."""
    videos = read_results(results)
    return videos, {video.folder: video.address for video in videos}
