"""The optimizer of the spotter's training, and what its weight decay takes.

The L2 term of [S1 M19, M31] is decoupled from Adam, as in Loshchilov and Hutter, Decoupled Weight
Decay Regularization (ICLR 2019): within the loss its gradient would pass through Adam, which makes
a full step of it for every filter that nothing reads yet, and so kills new filters. Not from the
paper.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ...networks.mesnet import ClipClassifier, MESNet
from ..losses import regularised
from .config import SpotterTraining

SLOW = ("encoder", "temporal")  # what joint training moves at `encoder_scale`


def decayed(network: nn.Module) -> list[nn.Parameter]:
    """What weight decay takes: all kernels but those of the last layers [S1 M20, M31].

    The last are the two output layers of CRN, and the output layer of pre-training.
    """
    excluded: Iterable[nn.Module] = ()
    if isinstance(network, MESNet):
        excluded = network.refiner.heads()
    elif isinstance(network, ClipClassifier):
        excluded = (network.last,)
    return regularised(network, excluded)


def make_optimizer(network: nn.Module, config: SpotterTraining) -> torch.optim.AdamW:
    """AdamW for a stage; each of its groups has its peak rate as "peak"."""
    peak = config.pretrain_lr
    scale = 1.0
    if isinstance(network, MESNet):
        peak = config.joint_lr
        scale = config.encoder_scale
    taken = {id(parameter) for parameter in decayed(network)}
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        kind = (name.startswith(SLOW), id(parameter) in taken)
        groups.setdefault(kind, []).append(parameter)
    settings = []
    for (slow, decays), parameters in sorted(groups.items(), key=lambda group: group[0]):
        settings.append(
            {
                "params": parameters,
                "peak": peak * scale if slow else peak,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
        )
    return torch.optim.AdamW(settings, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set every group's learning rate to a share of its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def size_of(parameters: Iterable[Tensor]) -> float:
    """Root of the sum of squares of all numbers in the parameters."""
    return float(nn.utils.get_total_norm([p.detach() for p in parameters]))
