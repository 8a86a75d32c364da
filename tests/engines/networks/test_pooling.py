"""The compiled pooling: PyTorch's values; gradients are sums in float32 that are rounded once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microspot.engines.networks.pooling import _PoolRelu, pool_relu


def both(x: Tensor, window: tuple[int, int, int]) -> list[tuple[Tensor, Tensor]]:
    """(result, gradient) of the compiled pooling and of PyTorch's in float32."""
    kernel, stride, padding = window
    given = x.clone().requires_grad_()
    wanted = x.float().requires_grad_()
    ours = pool_relu(given, *window)
    theirs = F.relu(F.max_pool2d(wanted, kernel, stride, padding, ceil_mode=True))
    assert "PoolRelu" in type(ours.grad_fn).__name__
    # whole numbers, whose sums are exact in float32 in any order and need rounding in bfloat16
    weights = torch.randint(-255, 256, theirs.shape).to(x.dtype)
    ours.backward(weights)
    theirs.backward(weights.float())
    assert given.grad is not None
    assert wanted.grad is not None
    return [(ours.detach(), given.grad), (theirs.detach(), wanted.grad)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [(3, 1, 1), (2, 2, 0)])
@pytest.mark.parametrize("side", [7, 8])
def test_values_are_pytorchs_and_gradients_its_float32_sums_rounded_once(
    dtype: torch.dtype, window: tuple[int, int, int], side: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, side, side).to(dtype)
    x[0, 0] = 0.5  # ties: the first place wins
    x[1, 1] = -1.0  # nothing above zero: no gradient
    (value, gradient), (wanted, wanted_gradient) = both(x, window)
    assert torch.equal(value.float(), wanted)
    assert torch.equal(gradient, wanted_gradient.to(dtype))
    if window[1] == 1:
        assert (wanted_gradient != wanted_gradient.bfloat16()).any(), "rounding is put to the test"
    assert not gradient[1, 1].any()


def test_without_gradients_pytorch_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_PoolRelu, "forward", None)
    x = torch.randn(1, 2, 6, 6)
    assert torch.equal(pool_relu(x, 2, 2, 0), F.relu(F.max_pool2d(x, 2, 2, 0)))
