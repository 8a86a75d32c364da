"""The smallest set that both networks can be trained on, and recipes that take seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SIDE = 32
FRAMES = 60
TICK = 33_333_333
SPOTTER = """
bfloat16 = false
pretrain_steps = 2
pretrain_clips = 4
joint_steps = 4
joint_clips = 2
joint_ticks = 50
cpn_steps = 1
crn_steps = 1
warm_steps = 1
validation_clips = 1
[spec]
side = 32
feature = 32
"""
RECOGNIZER = (
    "side = 32\nframes = 5\nepochs = 1\nbatch = 2\nbfloat16 = false\n"
    "validate_epochs = 1\nwarmup = 1\n"
)


def noise_set(folder: Path) -> Path:
    """Nine clips of noise with an ME each, one of them for validation; `folder`."""
    random = np.random.default_rng(0)
    times = [i * TICK for i in range(FRAMES)]
    micro = {
        "kind": "micro",
        "units": ["AU4"],
        "onset_ns": 20 * TICK,
        "apex_ns": 25 * TICK,
        "offset_ns": 30 * TICK,
        "label3": "positive",
        "label5": "happiness",
    }
    clips = [
        {
            "face": f"f{i}",
            "split": "validation" if i == 8 else "train",
            "start": i * FRAMES,
            "count": FRAMES,
            "times_ns": times,
            "movements": [micro],
        }
        for i in range(9)
    ]
    np.save(folder / "crops.npy", random.integers(0, 256, (9 * FRAMES, 3, SIDE, SIDE), np.uint8))
    (folder / "index.json").write_text(json.dumps({"clips": clips}))
    return folder
