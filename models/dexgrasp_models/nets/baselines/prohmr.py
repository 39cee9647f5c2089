"""ProHMR: a flow on two columns of the rotation (Kolotouros et al., ICCV 2021; B.1.2)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.geometry.so3 import columns_from_rotation, rotation_from_columns
from dexgrasp_models.nets.baselines.grouping import grasps_per_cloud
from dexgrasp_models.nets.baselines.joint_flow import Coordinates, JointFlow
from dexgrasp_models.nets.checks import checked_rotations
from dexgrasp_models.nets.losses import Losses
from dexgrasp_models.nets.types import GraspTensors

ORTHOGONAL_WEIGHT = 0.1
"""Of the loss that keeps samples near rotations, as in ProHMR's published configuration."""

_SHAPE_SAMPLES = 256  # of each cloud, that tell which columns one rotation comes from


class ProHMR(JointFlow):
    """The flow's space is that of any two columns, which become orthonormal afterwards.

    Many columns make one rotation, so `log_prob`, the flow's density at the rotation's own columns,
    isn't normalised over SO(3). True columns fill a part of the space without volume: unless there
    is noise on them (`FlowConfig.noise`) it may grow without bound in training, and means little.
    `log_density` is the density that samples really have.
    """

    rotation_size = 6

    def rotations(self, coordinates: Tensor) -> Tensor:
        """(..., 3, 3) of any (..., 6), by Gram and Schmidt."""
        return rotation_from_columns(coordinates)

    def coordinates(self, rotations: Tensor) -> Coordinates:
        """The columns of rotations (B, 3, 3), and as log volume zero, as there is no proper one."""
        values = columns_from_rotation(rotations)[:, None]
        return Coordinates(values, torch.zeros_like(values[..., 0]))

    def loss(self, clouds: Tensor, grasps: GraspTensors) -> Losses:
        """Terms `nll`, and `orthogonal`: how far the columns of one sample are from orthonormal.

        As for `log_prob`; one sample is drawn for each grasp.
        """
        nll = -self.log_prob(clouds, grasps)
        conditions = self.encoder(clouds)
        columns = self._draw(conditions, grasps.count // len(clouds))[:, : self.rotation_size]
        orthogonal = orthogonality_error(columns)
        return Losses({"nll": nll, "orthogonal": orthogonal}, nll + ORTHOGONAL_WEIGHT * orthogonal)

    @torch.no_grad()
    def log_density(
        self,
        clouds: Tensor,
        grasps: GraspTensors,
        nodes: int = 7,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """log p(R, t, q|X) of samples' grasps: the flow's over all columns that make a rotation.

        The columns of a rotation (x, y, z) are l x and m y + c x, for any lengths l and m and any
        c. The integral over the three is by Gauss and Hermite, about those that samples have. The
        paper's Table 9 normalises over a grid instead, and doesn't say how for grasps as a whole.

        Args:
            clouds: (B, N, 3) m.
            grasps: B G.
            nodes: of the integral, in each of three directions. Where the flow knows the grasps, 7
                are within hundredths of a nat; far from them more nodes go on changing it.
            generator: draws the samples; PyTorch's own by default.

        Returns:
            (B G,) nats, with respect to a volume of SO(3) of pi^2, metres and radians.

        Raises:
            ValueError: shapes don't fit, or values aren't finite, or no rotations.
        """
        count = grasps_per_cloud(clouds, grasps)
        conditions = self.encoder(clouds)
        samples = self._draw(conditions, _SHAPE_SAMPLES, generator)[:, : self.rotation_size]
        shapes = _shapes(samples).unflatten(0, (-1, _SHAPE_SAMPLES))
        deviations, means = torch.std_mean(shapes, dim=1)

        places, log_weights = _gauss_hermite(nodes, samples)
        shapes = means[:, None] + deviations.clamp_min(1e-4)[:, None] * places  # (B, M, 3)
        first, second, lean = shapes.unbind(-1)
        # d(l x) d(m y + c x) is l^2 m dl dm dc, times dx and dy; these cover 8 pi^2 in all.
        log_volumes = (2 * first.clamp_min(1e-9).log() + second.clamp_min(1e-9).log()) + (
            log_weights + deviations.clamp_min(1e-4).log().sum(1, keepdim=True) + math.log(8)
        )
        log_volumes = log_volumes.masked_fill((first <= 0) | (second <= 0), -torch.inf)

        first, second, lean, log_volumes = (
            values.repeat_interleave(count, dim=0) for values in (first, second, lean, log_volumes)
        )
        x, y, _ = checked_rotations(grasps.rotations)[:, None].unbind(-1)
        columns = (first[..., None] * x, second[..., None] * y + lean[..., None] * x)
        rest = torch.cat((grasps.translations, grasps.joints), dim=1)
        vectors = torch.cat((*columns, rest[:, None].expand(-1, len(places), -1)), dim=2)
        conditions = conditions.repeat_interleave(count * len(places), dim=0)
        densities = self.flow.log_prob(vectors.flatten(0, 1), conditions)
        return (densities.unflatten(0, (-1, len(places))) + log_volumes).logsumexp(dim=1)


def orthogonality_error(columns: Tensor) -> Tensor:
    """(B,) squared Frobenius norm of A^T A - 1 for the two columns (B, 6) of A."""
    pairs = columns.unflatten(1, (2, 3))
    identity = torch.eye(2, dtype=columns.dtype, device=columns.device)
    return (pairs @ pairs.transpose(1, 2) - identity).square().sum(dim=(1, 2))


def _shapes(columns: Tensor) -> Tensor:
    """(B, 3): l, m and c of columns (B, 6), which Gram and Schmidt take off."""
    first, second = columns.unflatten(1, (2, 3)).unbind(1)
    x, y, _ = rotation_from_columns(columns).unbind(-1)
    return torch.stack((first.norm(dim=1), (second * y).sum(1), (second * x).sum(1)), dim=1)


def _gauss_hermite(nodes: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """(M, 3) places and (M,) log weights whose sum over f is the integral of f over space.

    Exact for polynomials times the standard normal density.
    """
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    log_weights = np.log(weights) + 0.5 * places**2
    grid = np.stack(np.meshgrid(places, places, places, indexing="ij"), axis=-1).reshape(-1, 3)
    sums = log_weights[:, None, None] + log_weights[:, None] + log_weights
    return like.new_tensor(grid), like.new_tensor(sums.reshape(-1))
