"""Training by several processes that average their gradients, started by `torchrun`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, distributed, nn
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

    @property
    def own(self) -> tuple[int, ...]:
        """Tells its seeds from the others'; the leading process draws as one alone does."""
        return (self.rank,) if self.rank else ()

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are averaged over all processes."""
        if self.count == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give gradients their mean over all processes, where no `wrapped` module does."""
        if self.count == 1:
            return
        gradients = [each.grad for each in parameters if each.grad is not None]
        for gradient, mean in zip(gradients, self.averaged(gradients), strict=True):
            gradient.copy_(mean)

    def averaged(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Their means over all processes."""
        if self.count == 1:
            return tensors
        together = torch.cat([each.flatten() for each in tensors])  # one message instead of many
        distributed.all_reduce(together)
        parts = (together / self.count).split([each.numel() for each in tensors])
        return [part.view_as(each) for part, each in zip(parts, tensors, strict=True)]

    def make_alike(self, module: nn.Module) -> None:
        """Give a module the leading process's weights and buffers."""
        if self.count == 1:
            return
        for values in module.state_dict().values():
            distributed.broadcast(values, src=0)

    def share(self, whole: int, what: str) -> int:
        """What each process has of something.

        Raises:
            ValueError: it can't be shared out.
        """
        if whole % self.count:
            raise ValueError(f"{whole} {what} can't be shared by {self.count} processes")
        return whole // self.count

    def agreed(self, decision: bool) -> bool:
        """What the leading process decides."""
        return bool(self.of_leader(int(decision)))

    def of_leader(self, number: int) -> int:
        """The leading process's number."""
        if self.count == 1:
            return number
        told = torch.tensor([number], dtype=torch.int64, device=self.device)
        distributed.broadcast(told, src=0)
        return int(told.item())


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
