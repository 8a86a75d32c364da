"""Several processes that train as one, started by torchrun, one for each GPU or CPU core.

    torchrun --nproc-per-node 2 --no-python microspot-engines train spotter --data SET --out RUN

Each draws its own samples; gradients are averaged before every step, so all hold the same weights.
The main process alone validates and writes; the others wait for it. They leave together, for
torchrun stops all of them as soon as one ends badly, and a process that ends with its group still
open can be aborted. A process on its own is a group of one, and nothing of this happens. Not from
the papers.
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
    """Treat denormal numbers as zero inside, as a decorator or a `with`.

    Weights that decay has nearly erased, and moments of gradients that ended, become denormal and
    would halve the speed of training. Behind it denormals count again, whatever was set before.
    """
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
        """Join the group of torchrun's environment, on a GPU of one's own where there are any.

        Raises UsageError where there are GPUs, but fewer than processes.
        """
        rank = int(os.environ.get("RANK", "0"))
        size = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
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
        """Join for the length of a `with`; at its end all processes wait for each other.

        One that leaves through an error does not wait: the others then fail at their next exchange,
        or torchrun stops them. A group on GPUs is then left open, for closing it needs the others,
        which may never come.
        """
        already_open = dist.is_initialized()  # by the program, which then closes it
        group = cls.join()
        if group.size == 1 or already_open:
            yield group
            return
        orderly = False
        try:
            yield group
            dist.barrier(device_ids=None if group.device == CPU else [group.device.index])
            orderly = True
        finally:
            if orderly or group.device == CPU:
                dist.destroy_process_group()

    @property
    def is_main_process(self) -> bool:
        """Whether this process is the one that validates, reports and writes."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """Replace every gradient by its mean over the group."""
        if self.size > 1:
            self._average([p.grad for p in network.parameters() if p.grad is not None])

    def average_statistics(self, network: nn.Module) -> None:
        """Replace norm statistics by their means: each process has seen other faces."""
        if self.size > 1:
            self._average([b for b in network.buffers() if b.is_floating_point()])

    def agree(self, value: float) -> float:
        """The main process's value, for all processes; the early ones wait."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def _average(self, tensors: list[Tensor]) -> None:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        means = torch.split(flat, [t.numel() for t in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))
