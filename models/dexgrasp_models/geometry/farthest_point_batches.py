"""Farthest-point sampling of batches of clouds, as tensors.

Apart from that of one cloud (`farthest_points`), for which nobody needs PyTorch.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def farthest_points_of_each(points: Tensor, count: int) -> Tensor:
    """Indices of points spread over each cloud, each the farthest from all chosen before.

    The first is the one farthest from the mean, so that the set doesn't depend on the order.

    Args:
        points: (B, N, 3).
        count: number wanted; N if that is less.

    Returns:
        (B, S) int64.
    """
    columns = points.transpose(1, 2).contiguous()
    nearest = torch.full_like(columns[:, 0], torch.inf)
    farthest = (columns - columns.mean(dim=2, keepdim=True)).square().sum(dim=1).argmax(dim=1)
    chosen = []
    for _ in range(min(count, points.shape[1])):
        chosen.append(farthest)
        newest = columns.gather(2, farthest[:, None, None].expand(-1, 3, 1))
        nearest = torch.minimum(nearest, (columns - newest).square_().sum(dim=1))
        farthest = nearest.argmax(dim=1)
    return torch.stack(chosen, dim=1)
