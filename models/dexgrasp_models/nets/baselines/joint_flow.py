"""One flow over rotation, translation and joints: what ReLie and ProHMR have in common (B.1.2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dexgrasp_models.nets.baselines.grouping import grasps_per_cloud
from dexgrasp_models.nets.checks import checked_rotations
from dexgrasp_models.nets.conditional_glow import ConditionalGlow, FlowConfig
from dexgrasp_models.nets.glow import JOINTS
from dexgrasp_models.nets.losses import Losses
from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters


class Coordinates(NamedTuple):
    """The K points of a flat space that each of B rotations is mapped from."""

    values: Tensor
    """(B, K, D); finite also where a rotation has fewer than K."""
    log_volumes: Tensor
    """(B, K) log of the volume of the flat space per volume of SO(3); -inf where there is none."""


@dataclass(frozen=True)
class JointFlowConfig(Parameters):
    """Settings of :class:`JointFlow`; those of GraspGlow, as in B.1.2."""

    encoder: PointNetConfig = field(default_factory=PointNetConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)

    @classmethod
    def paper(cls) -> JointFlowConfig:
        """The encoder and flow of GraspGlow, as the paper has it."""
        return cls(PointNetConfig.paper(), FlowConfig.paper())

    @classmethod
    def small(cls) -> JointFlowConfig:
        """For training without a GPU."""
        return cls(PointNetConfig.small(), FlowConfig.small())


class JointFlow(nn.Module, ABC):
    """p(R, t, q|X) as a flow over a flat space of which a part is mapped onto the rotations.

    The cloud isn't turned into the palm's frame, as the rotation isn't known before.
    """

    rotation_size: int
    """D: how many coordinates stand for the rotation."""

    def __init__(self, config: JointFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointNet(config.encoder)
        size = self.rotation_size + 3 + JOINTS
        self.flow = ConditionalGlow(size, self.encoder.features, config.flow)

    @abstractmethod
    def rotations(self, coordinates: Tensor) -> Tensor:
        """(..., 3, 3) that coordinates (..., D) are mapped to."""

    @abstractmethod
    def coordinates(self, rotations: Tensor) -> Coordinates:
        """What rotations (B, 3, 3) are mapped from; the first of each always counts."""

    def fit_standardisation(self, grasps: GraspTensors) -> None:
        """Take mean and deviation of the data from grasps, before training.

        Raises:
            ValueError: fewer than two grasps, or they aren't valid.
        """
        values = self.coordinates(grasps.checked().rotations).values[:, 0]
        self.flow.fit_standardisation(torch.cat((values, *grasps[1:]), dim=1))

    def log_prob(self, clouds: Tensor, grasps: GraspTensors) -> Tensor:
        """log p(R, t, q|X) of the grasps of clouds (B, N, 3).

        Returns:
            (B G,) nats, with respect to a volume of SO(3) of pi^2, metres and radians.

        Raises:
            ValueError: shapes don't fit, or values aren't finite, or no rotations.
        """
        count = grasps_per_cloud(clouds, grasps)
        values, log_volumes = self.coordinates(checked_rotations(grasps.rotations))
        branches = values.shape[1]
        rest = torch.cat((grasps.translations, grasps.joints), dim=1)
        vectors = torch.cat((values, rest[:, None].expand(-1, branches, -1)), dim=2)
        conditions = self.encoder(clouds).repeat_interleave(count * branches, dim=0)
        densities = self.flow.log_prob(vectors.flatten(0, 1), conditions)
        return (densities.unflatten(0, (-1, branches)) + log_volumes).logsumexp(dim=1)

    def loss(self, clouds: Tensor, grasps: GraspTensors) -> Losses:
        """Negative log-likelihood `nll` of each grasp, arguments as for `log_prob`."""
        nll = -self.log_prob(clouds, grasps)
        return Losses({"nll": nll}, nll)

    @torch.no_grad()
    def sample(
        self, clouds: Tensor, count: int, generator: torch.Generator | None = None
    ) -> GraspTensors:
        """B `count` grasps of clouds (B, N, 3), those of the first cloud first.

        Raises:
            ValueError: clouds aren't valid, or `count` is less than one.
        """
        return self._grasps(self._draw(self.encoder(clouds), count, generator))

    def _draw(
        self, conditions: Tensor, count: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """(B K, D + 25) vectors of the flat space."""
        return self.flow.sample(conditions, count, generator=generator)[0].flatten(0, 1)

    def _grasps(self, vectors: Tensor) -> GraspTensors:
        coordinates, translations, joints = vectors.split((self.rotation_size, 3, JOINTS), dim=1)
        return GraspTensors(self.rotations(coordinates), translations, joints)
