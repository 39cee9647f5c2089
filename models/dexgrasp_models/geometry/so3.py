"""Rotations as vectors and as six numbers, with the volume that the exponential map gives them.

All functions take any leading dimensions and are differentiable unless they say otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def rotation_from_vector(vectors: Tensor) -> Tensor:
    """(..., 3, 3) rotation matrices of (..., 3) rotation vectors in rad, by Rodrigues' formula."""
    angles = vectors.norm(dim=-1)[..., None, None]
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
    # sin(a) / a and (1 - cos(a)) / a^2, smooth through zero.
    first = torch.sinc(angles / math.pi)
    second = 0.5 * torch.sinc(angles / (2 * math.pi)).square()
    identity = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return identity + first * cross + second * (cross @ cross)


def vector_from_rotation(rotations: Tensor) -> Tensor:
    """(..., 3) rotation vectors, no longer than pi, of (..., 3, 3) matrices; no gradient."""
    with torch.no_grad():
        m = rotations
        trace = m.diagonal(dim1=-2, dim2=-1).sum(-1)
        # Each row is a quaternion (w, x, y, z) times four times its largest component.
        candidates = [
            torch.stack(row, dim=-1)
            for row in (
                (
                    1 + trace,
                    m[..., 2, 1] - m[..., 1, 2],
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] - m[..., 0, 1],
                ),
                (
                    m[..., 2, 1] - m[..., 1, 2],
                    1 + 2 * m[..., 0, 0] - trace,
                    m[..., 0, 1] + m[..., 1, 0],
                    m[..., 0, 2] + m[..., 2, 0],
                ),
                (
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 0, 1] + m[..., 1, 0],
                    1 + 2 * m[..., 1, 1] - trace,
                    m[..., 1, 2] + m[..., 2, 1],
                ),
                (
                    m[..., 1, 0] - m[..., 0, 1],
                    m[..., 0, 2] + m[..., 2, 0],
                    m[..., 1, 2] + m[..., 2, 1],
                    1 + 2 * m[..., 2, 2] - trace,
                ),
            )
        ]
        stacked = torch.stack(candidates, dim=-2)
        largest = stacked.diagonal(dim1=-2, dim2=-1).argmax(-1)
        index = largest[..., None, None].expand(*largest.shape, 1, 4)
        quaternion = torch.nn.functional.normalize(stacked.gather(-2, index).squeeze(-2), dim=-1)
        quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
        sine = quaternion[..., 1:].norm(dim=-1, keepdim=True)
        angle = 2 * torch.atan2(sine, quaternion[..., :1])
        scale = torch.where(sine > 1e-12, angle / sine.clamp_min(1e-12), torch.full_like(sine, 2))
        return quaternion[..., 1:] * scale


def log_volume_of_exp(vectors: Tensor) -> Tensor:
    """(...) log of the volume of SO(3) that a volume of rotation vectors (..., 3) is mapped to.

    SO(3) has a volume of pi^2 in all, as in :mod:`~dexgrasp_models.geometry.so3_grid`. The volume
    vanishes at multiples of 2 pi other than zero, all vectors of which give one rotation.
    """
    half_turns = vectors.norm(dim=-1) / (2 * math.pi)
    return 2 * torch.sinc(half_turns).abs().log() - math.log(8)


def rotation_from_columns(columns: Tensor) -> Tensor:
    """(..., 3, 3) rotations whose first two columns are nearest to (..., 6), by Gram and Schmidt.

    The six numbers are the first column, then the second (Zhou et al., CVPR 2019, and ProHMR).
    """
    first, second = columns.unflatten(-1, (2, 3)).unbind(-2)
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)


def columns_from_rotation(rotations: Tensor) -> Tensor:
    """(..., 6) first two columns of (..., 3, 3) rotations, one after the other."""
    return rotations[..., :2].transpose(-1, -2).flatten(-2)
