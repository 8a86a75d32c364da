"""Several processes that train as one, started by torchrun, one for each GPU or CPU core.

    torchrun --nproc-per-node 2 --no-python microspot-engines train spotter --data SET --out RUN

Each draws its own samples; gradients are averaged before every step, so all hold the same weights. The leader alone
validates and writes; the others wait for it. They leave together, for torchrun stops all of them as soon as one ends
badly, and a process that ends with its group still open can be aborted. A process on its own is a team of one, and
nothing of this happens. Not from the papers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..errors import UsageError

CPU = torch.device("cpu")


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """As a decorator or a `with`: what L2 has nearly erased would halve the speed of training. Put back at the end."""
    torch.set_flush_denormal(True)  # threads that start later inherit it
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@dataclass(frozen=True)
class TrainingGroup:
    """This process among `size`, and where its tensors live."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default=CPU)

    @classmethod
    def join(cls) -> TrainingGroup:
        """As torchrun's environment says; a GPU of one's own where there are any.

        Raises UsageError where there are GPUs, but fewer than processes.
        """
        rank, size, local = (int(os.environ.get(name, default)) for name, default in
                             (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")))  # fmt: skip
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if gpus and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > gpus:
            raise UsageError(
                f"more processes than GPUs: start torchrun with --nproc-per-node {gpus}"
            )
        device = torch.device("cuda", local) if gpus else CPU
        if size > 1 and not dist.is_initialized():
            dist.init_process_group("gloo" if device == CPU else "nccl")
        return cls(rank, size, device)

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator[TrainingGroup]:
        """Join for the length of a `with`; at its end nobody leaves before the leader has got there too.

        Whoever leaves through an error does not wait: the others then fail at their next exchange, or torchrun stops
        them. A group on GPUs is then left as it is, for closing it needs the others, who may never come.
        """
        found = dist.is_initialized()  # a group that a program opened is that program's to close
        team = cls.join()
        if team.size == 1 or found:
            yield team
            return
        orderly = False
        try:
            yield team
            dist.barrier(device_ids=None if team.device == CPU else [team.device.index])
            orderly = True
        finally:
            if orderly or team.device == CPU:
                dist.destroy_process_group()

    @property
    def is_main_process(self) -> bool:
        """True for the one that validates, reports and writes."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """Every gradient becomes its mean over the team."""
        if self.size > 1:
            self._average([p.grad for p in network.parameters() if p.grad is not None])

    def average_statistics(self, network: nn.Module) -> None:
        """Norm statistics become their means: each member has seen other faces."""
        if self.size > 1:
            self._average([b for b in network.buffers() if b.is_floating_point()])

    def agree(self, value: float) -> float:
        """The leader's value, for all; whoever is early waits."""
        if self.size == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(held, 0)
        return float(held)

    def _average(self, tensors: list[Tensor]) -> None:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(
            tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True
        ):
            tensor.copy_(mean.view_as(tensor))
