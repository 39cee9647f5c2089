"""ProHMR: a flow on two columns of the rotation (Kolotouros et al., ICCV 2021; B.1.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from dexgrasp_models.nets.baselines.joint_flow import Coordinates, JointFlow
from dexgrasp_models.nets.losses import Losses
from dexgrasp_models.nets.so3 import columns_from_rotation, rotation_from_columns
from dexgrasp_models.nets.types import GraspTensors

ORTHOGONAL_WEIGHT = 0.1
"""Of the loss that keeps samples near rotations, as in ProHMR's published configuration."""


class ProHMR(JointFlow):
    """The flow's space is that of any two columns, which become orthonormal afterwards.

    Many columns make one rotation, so `log_prob`, the flow's density at the rotation's own columns,
    isn't normalised over SO(3), and true columns fill a part of the space without volume: without
    noise on them (`FlowConfig.noise`) the likelihood may grow without bound, and means little.
    Table 9 normalises it over a grid (:func:`~dexgrasp_models.metrics.rotation_log_likelihood`).
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


def orthogonality_error(columns: Tensor) -> Tensor:
    """(B,) squared Frobenius norm of A^T A - 1 for the two columns (B, 6) of A."""
    pairs = columns.unflatten(1, (2, 3))
    identity = torch.eye(2, dtype=columns.dtype, device=columns.device)
    return (pairs @ pairs.transpose(1, 2) - identity).square().sum(dim=(1, 2))
