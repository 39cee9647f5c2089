"""Grasps and their clouds, where a cloud has several grasps."""

from __future__ import annotations

import torch
from torch import Tensor

from dexgrasp_models.nets.types import GraspTensors

LENGTH = 0.1
"""What is one to a network that predicts translations (m)."""


def grasps_per_cloud(clouds: Tensor, grasps: GraspTensors) -> int:
    """G, where B clouds have G grasps each.

    Raises:
        ValueError: grasps aren't valid, or aren't a multiple of the clouds.
    """
    grasps.checked()
    if not len(clouds) or not grasps.count or grasps.count % len(clouds):
        raise ValueError(
            f"expected as many grasps for each of {len(clouds)} clouds, got {grasps.count}"
        )
    return grasps.count // len(clouds)


def normal_noise(
    rows: int, width: int, like: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """(rows, width) standard normal numbers, of the type and on the device of `like`."""
    on = like.device if generator is None else generator.device
    noise = torch.randn(rows, width, generator=generator, device=on, dtype=like.dtype)
    return noise.to(like.device)
