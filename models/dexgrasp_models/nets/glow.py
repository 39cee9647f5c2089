"""GraspGlow: the density of translation and joints, given cloud and rotation.

UniDexGrasp 3.2.2 and B.1.1: a conditional Glow (`conditional_glow`), with a PointNet's feature as
the condition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dexgrasp_models.nets.checks import checked_clouds, checked_rotations
from dexgrasp_models.nets.conditional_glow import ConditionalGlow, FlowConfig
from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters

JOINTS = 22


@dataclass(frozen=True)
class GraspGlowConfig(Parameters):
    """Settings of :class:`GraspGlow`. The defaults are those of UniDexGrasp."""

    encoder: PointNetConfig = field(default_factory=PointNetConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)

    @classmethod
    def paper(cls) -> GraspGlowConfig:
        """As B.1.1 and the published network; it trains with a batch of 64 at a rate of 1e-3."""
        return cls(PointNetConfig.paper(), FlowConfig.paper())

    @classmethod
    def small(cls) -> GraspGlowConfig:
        """For training in hours on a few CPU cores."""
        return cls(PointNetConfig.small(), FlowConfig.small())


class GlowSamples(NamedTuple):
    """K grasps for each of B clouds."""

    grasps: GraspTensors
    """B K grasps, the K of the first cloud first, in the clouds' frames."""
    log_densities: Tensor
    """(B, K) log p(t, q|X, R), nats for m and rad."""


class GraspGlow(nn.Module):
    """p(t, q|X, R) = p(R^-1 t, q|R^-1 X): a flow in the frame of a hand that isn't turned.

    So a turn of cloud and grasp together makes no difference. Densities are with respect to metres
    and radians.
    """

    def __init__(self, config: GraspGlowConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointNet(config.encoder)
        self.flow = ConditionalGlow(3 + JOINTS, self.encoder.features, config.flow)

    def fit_standardisation(self, grasps: GraspTensors) -> None:
        """Take mean and deviation of the data from grasps, before training.

        Raises:
            ValueError: fewer than two grasps, or they aren't valid.
        """
        self.flow.fit_standardisation(_canonical_vectors(grasps.checked()))

    def encode(self, clouds: Tensor, rotations: Tensor) -> Tensor:
        """The flow's conditions (B, C), of clouds (B, N, 3), m, and rotations (B, 3, 3).

        Raises:
            ValueError: shapes don't fit, or the values aren't finite, or no rotations.
        """
        if checked_rotations(rotations).shape != (len(checked_clouds(clouds)), 3, 3):
            raise ValueError(
                f"expected rotations (B, 3, 3) of {len(clouds)} clouds, got "
                f"{tuple(rotations.shape)}"
            )
        return self.encoder(clouds @ rotations)

    def log_prob(self, clouds: Tensor, grasps: GraspTensors) -> Tensor:
        """log p(t, q|X, R) (B,) of one grasp for each cloud (B, N, 3); its negative is the loss.

        Raises:
            ValueError: shapes don't fit, or the values aren't finite, or no rotations.
        """
        vectors = _canonical_vectors(grasps.checked())
        return self.flow.log_prob(vectors, self.encode(clouds, grasps.rotations))

    def sample(
        self,
        clouds: Tensor,
        rotations: Tensor,
        count: int = 1,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> GlowSamples:
        """Grasps with given rotations, drawn from p(t, q|X, R); differentiable.

        Joints may be beyond their limits.

        Args:
            clouds: (B, N, 3) m.
            rotations: (B, 3, 3) of `rh_palm`, one for each cloud.
            count: K, of each.
            temperature: deviation of the flow's noise; less than 1 keeps to the likely grasps.
            generator: draws the noise; PyTorch's own by default.

        Raises:
            ValueError: shapes don't fit, or the values aren't finite, or no rotations, or `count`
                or `temperature` aren't valid.
        """
        conditions = self.encode(clouds, rotations)
        vectors, densities = self.flow.sample(conditions, count, temperature, generator)
        translations, joints = vectors.split((3, JOINTS), dim=2)
        grasps = GraspTensors(
            rotations.repeat_interleave(count, dim=0),
            (translations @ rotations.transpose(1, 2)).flatten(0, 1),
            joints.flatten(0, 1),
        )
        return GlowSamples(grasps, densities)


def _canonical_vectors(grasps: GraspTensors) -> Tensor:
    """(B, 25): translation in the palm's frame, and joints."""
    translations = grasps.translations[:, None] @ grasps.rotations
    return torch.cat((translations.squeeze(1), grasps.joints), dim=1)
