"""Checks of what comes into the networks."""

from __future__ import annotations

import torch
from torch import Tensor


def checked_clouds(clouds: Tensor) -> Tensor:
    """The clouds, after a check.

    Raises:
        ValueError: they aren't (B, N, 3) with N > 0, of floating point, and finite.
    """
    if clouds.dim() != 3 or clouds.shape[2] != 3 or 0 in clouds.shape:
        raise ValueError(f"expected clouds (B, N, 3) with points, got {tuple(clouds.shape)}")
    if not clouds.is_floating_point():
        raise ValueError(f"expected clouds of floating point in m, got {clouds.dtype}")
    if not torch.isfinite(clouds).all():
        raise ValueError("clouds must be finite; drop points without a depth before")
    return clouds


def checked_rotations(rotations: Tensor) -> Tensor:
    """The rotations (..., 3, 3), after a check.

    Raises:
        ValueError: they have another shape, or aren't finite, orthonormal and right-handed.
    """
    if rotations.shape[-2:] != (3, 3):
        raise ValueError(f"expected rotations (..., 3, 3), got {tuple(rotations.shape)}")
    found = rotations.detach()
    identity = torch.eye(3, dtype=found.dtype, device=found.device)
    off = (found @ found.transpose(-1, -2) - identity).abs()
    # Also false where something isn't finite.
    if not (off < 1e-3).all() or not (torch.linalg.det(found) > 0).all():
        raise ValueError("rotations must be finite, orthonormal and right-handed")
    return rotations
