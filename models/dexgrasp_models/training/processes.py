"""Training by several processes that average their gradients, started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """This process among those that train together; one alone by default."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes, validates and reports."""
        return self.rank == 0

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are averaged over all processes."""
        if self.count == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids)

    def agreed(self, decision: bool) -> bool:
        """What the leading process decides."""
        if self.count == 1:
            return decision
        told = torch.tensor([decision], dtype=torch.uint8, device=self.device)
        distributed.broadcast(told, src=0)
        return bool(told.item())


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone.

    Args:
        device: `cpu` or `cuda`; each process takes a GPU of its own.

    Raises:
        ValueError: there is no such device.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here; train with --device cpu")
    rank, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    place = torch.device(device)
    if device == "cuda":
        place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(place)
    if count == 1:
        yield Processes(0, 1, place)
        return
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, place)
    finally:
        distributed.destroy_process_group()
