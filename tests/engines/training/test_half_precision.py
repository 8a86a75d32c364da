"""bfloat16 only where the processor computes in it."""

from __future__ import annotations

import pytest
import torch

from microspot.engines.training.half_precision import has_bfloat16, in_bfloat16


@pytest.mark.parametrize(
    ("capabilities", "half"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": True}, True),
        ({"neon": True}, False),
    ],
)
def test_a_processor_without_bfloat16_is_not_made_to_emulate_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], half: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    has_bfloat16.cache_clear()
    try:
        for wanted in (True, False):
            with in_bfloat16("cpu", wanted):
                product = torch.ones(2, 2) @ torch.ones(2, 2)
            assert product.dtype == (torch.bfloat16 if half and wanted else torch.float32)
        assert has_bfloat16("cuda")
    finally:
        has_bfloat16.cache_clear()
