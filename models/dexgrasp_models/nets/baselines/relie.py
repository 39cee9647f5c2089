"""ReLie: a flow on rotation vectors (Falorsi et al., AISTATS 2019; B.1.2 of UniDexGrasp)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from dexgrasp_models.geometry.so3 import (
    log_volume_of_exp,
    rotation_from_vector,
    vector_from_rotation,
)
from dexgrasp_models.nets.baselines.joint_flow import Coordinates, JointFlow

RADIUS = 1.6 * math.pi
"""Of the ball of rotation vectors that the flow reaches, rad."""


class ReLie(JointFlow):
    """The flow's space is shrunk into a ball of rotation vectors, whose exponentials are rotations.

    The ball is larger than a half turn, so that every rotation is reached from inside, and the
    rotations beyond 0.4 pi are reached twice, from both ends of their axis: their density is the
    sum of both. So `log_prob` is that of a proper distribution, and needs no normalisation.
    """

    rotation_size = 3

    def rotations(self, coordinates: Tensor) -> Tensor:
        """(..., 3, 3) of any (..., 3)."""
        return rotation_from_vector(into_ball(coordinates))

    def coordinates(self, rotations: Tensor) -> Coordinates:
        """Both points that rotations (B, 3, 3) may come from; that beyond a half turn second."""
        short = vector_from_rotation(rotations)
        angles = short.norm(dim=1, keepdim=True)
        # The other way round the axis; at the identity there is no axis and no other way.
        long = short * (1 - 2 * math.pi / angles.clamp_min(1e-6))
        reached = long.norm(dim=1) < 0.9999 * RADIUS
        vectors = torch.stack((short, torch.where(reached[:, None], long, short)), dim=1)
        values = out_of_ball(vectors)
        log_volumes = -log_stretch_into_ball(values) - log_volume_of_exp(vectors)
        log_volumes[:, 1] = log_volumes[:, 1].masked_fill(~reached, -torch.inf)
        return Coordinates(values, log_volumes)


def into_ball(coordinates: Tensor) -> Tensor:
    """(..., 3) shrunk along its direction into the ball: the length l becomes RADIUS tanh(l)."""
    return RADIUS * _ratio_of_tanh(coordinates.norm(dim=-1, keepdim=True)) * coordinates


def out_of_ball(vectors: Tensor) -> Tensor:
    """The inverse of `into_ball`, for vectors shorter than RADIUS."""
    shares = vectors.norm(dim=-1, keepdim=True) / RADIUS
    lengths = torch.atanh(shares)
    ratios = torch.where(shares > 1e-6, lengths / shares.clamp_min(1e-6), 1.0)
    return vectors * ratios / RADIUS


def log_stretch_into_ball(coordinates: Tensor) -> Tensor:
    """(...) log of the determinant of `into_ball` at (..., 3)."""
    lengths = coordinates.norm(dim=-1)
    across = _ratio_of_tanh(lengths).log()
    # log(1 - tanh^2), without the difference of numbers that are nearly equal.
    along = 2 * (math.log(2) - lengths - functional.softplus(-2 * lengths))
    return 3 * math.log(RADIUS) + 2 * across + along


def _ratio_of_tanh(lengths: Tensor) -> Tensor:
    """tanh(l) / l, which is 1 at 0."""
    return torch.where(lengths > 1e-6, lengths.tanh() / lengths.clamp_min(1e-6), 1.0)
