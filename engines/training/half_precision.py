"""bfloat16 in training, where the processor has it.

One that has not emulates it: on an AVX2 processor a step of the spotter took eight times as long as
in float32. Not from the papers.
"""

from __future__ import annotations

import functools

import torch


@functools.cache
def has_bfloat16(device_type: str) -> bool:
    """Whether a kind of device multiplies bfloat16 itself; GPUs do."""
    if device_type != "cpu":
        return True
    found = torch.cpu.get_capabilities()
    return any(value for name, value in found.items() if "bf16" in name)


def in_bfloat16(device_type: str, wanted: bool) -> torch.autocast:
    """A context that computes in bfloat16, if that is wanted and the device has it."""
    return torch.autocast(device_type, torch.bfloat16, enabled=wanted and has_bfloat16(device_type))
