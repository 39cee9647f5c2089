"""DDG: one grasp by regression, then differentiable quality (Liu et al., RA-L 2020; B.1.2).

The original sees five depth images without a table and improves a bound of Q1. Here a PointNet sees
the cloud, and the quality is the force closure programme of the analytic proposer, differentiable
and on the same cones.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dexgrasp_models.geometry.so3 import columns_from_rotation, rotation_from_columns
from dexgrasp_models.mechanics.force_closure import force_closure
from dexgrasp_models.nets.baselines.grouping import LENGTH, grasps_per_cloud
from dexgrasp_models.nets.checks import checked_rotations
from dexgrasp_models.nets.glow import JOINTS
from dexgrasp_models.nets.losses import GraspLosses, HandBody, Losses, LossWeights
from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig, point_mlp
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, parameter

DIGITS = 5


@dataclass(frozen=True)
class DDGConfig(Parameters):
    """Settings of :class:`DDG`."""

    encoder: PointNetConfig = field(default_factory=lambda: PointNetConfig(align_input=False))
    widths: tuple[int, ...] = parameter(
        (512, 256), 1, 4096, "", "from the feature to the grasp", any_length=True
    )
    quality: LossWeights = field(default_factory=lambda: LossWeights(cmap=0.0, dis=1000.0))
    weight_closure: float = parameter(1.0, 0, 1e6, "", "of the force closure residual")

    @classmethod
    def paper(cls) -> DDGConfig:
        """With the encoder that UniDexGrasp's other networks have."""
        return cls()

    @classmethod
    def small(cls) -> DDGConfig:
        """For training without a GPU."""
        return cls(PointNetConfig.small(), (256, 128))


class DDG(nn.Module):
    """One grasp for a cloud."""

    def __init__(self, config: DDGConfig, hand: HandBody) -> None:
        """`hand` must be on the device that the module is used on; it is no part of its weights."""
        super().__init__()
        self.config, self.hand = config, hand
        self._losses = GraspLosses(hand, config.quality)
        self.encoder = PointNet(config.encoder)
        self.head = nn.Sequential(
            point_mlp(self.encoder.features, config.widths, batch_norm=False),
            nn.Linear(config.widths[-1], 6 + 3 + JOINTS),
        )

    def forward(self, clouds: Tensor) -> GraspTensors:
        """B grasps of clouds (B, N, 3), m; differentiable.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        return _grasps(self.head(self.encoder(clouds)))

    def loss(self, clouds: Tensor, grasps: GraspTensors, quality: bool = False) -> Losses:
        """Term `nearest`, the squared error from the nearest of the true grasps, for each cloud.

        In the second stage of training also those of :class:`GraspLosses`, and `closure`.

        Args:
            clouds: (B, N, 3) in the table-top frame, m.
            grasps: B G true ones, all of each cloud together; repeat some where there are fewer.
            quality: whether this is the second stage.

        Raises:
            ValueError: shapes don't fit, or values aren't finite, or no rotations.
        """
        count = grasps_per_cloud(clouds, grasps)
        checked_rotations(grasps.rotations)
        vectors = self.head(self.encoder(clouds))
        true = _vectors(grasps).unflatten(0, (-1, count))
        terms = {"nearest": (vectors[:, None] - true).square().sum(dim=2).amin(dim=1)}
        if not quality:
            return Losses(terms, terms["nearest"])
        found = _grasps(vectors)
        physical = self._losses(found, clouds, torch.zeros_like(clouds[..., 0]))
        closure = self._closure(found, clouds)
        total = terms["nearest"] + physical.total + self.config.weight_closure * closure
        return Losses(terms | physical.terms | {"closure": closure}, total)

    @torch.no_grad()
    def sample(
        self, clouds: Tensor, count: int, generator: torch.Generator | None = None
    ) -> GraspTensors:
        """B `count` grasps of clouds (B, N, 3): as it knows only one, the same again and again.

        Raises:
            ValueError: clouds aren't valid, or `count` is less than one.
        """
        if count < 1:
            raise ValueError(f"cannot sample {count} grasps; ask for at least one")
        return GraspTensors(*(field.repeat_interleave(count, dim=0) for field in self(clouds)))

    def _closure(self, grasps: GraspTensors, clouds: Tensor) -> Tensor:
        """(B,) residual of force closure, each digit pressing with the pad nearest to the cloud.

        A pad presses along its own normal: clouds come without any.
        """
        poses = self.hand.link_poses(grasps)
        pads, normals = self.hand.pads(poses), self.hand.pad_normals(poses)
        with torch.no_grad():
            gaps = torch.cdist(pads, clouds).amin(dim=2).unflatten(1, (DIGITS, -1))
            of_digit = gaps.argmin(dim=2)
            of_digit += gaps.shape[2] * torch.arange(DIGITS, device=of_digit.device)
        index = of_digit[..., None].expand(-1, -1, 3)
        return force_closure(
            pads.gather(1, index), -normals.gather(1, index), clouds.mean(dim=1)
        ).residual


def _vectors(grasps: GraspTensors) -> Tensor:
    """(B, 31): the numbers that are compared and predicted."""
    columns = columns_from_rotation(grasps.rotations)
    return torch.cat((columns, grasps.translations / LENGTH, grasps.joints), dim=1)


def _grasps(vectors: Tensor) -> GraspTensors:
    columns, translations, joints = vectors.split((6, 3, JOINTS), dim=1)
    return GraspTensors(rotation_from_columns(columns), LENGTH * translations, joints)
