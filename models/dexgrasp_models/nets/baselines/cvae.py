"""GraspTTA: a conditional variational autoencoder and its adaptation (Jiang et al., ICCV 2021).

B.1.2 of UniDexGrasp. GraspTTA is made for MANO; here the decoder gives a palm's pose and the joints
of the hand. Its losses are kept in kind: the hand's surface and parameters, KL divergence, contact
map, penetration and distance; their weights are those of this package's terms, as GraspTTA's belong
to other units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dexgrasp_models.geometry.so3 import columns_from_rotation, rotation_from_columns
from dexgrasp_models.nets.adaptation import Adaptation, AdaptationConfig
from dexgrasp_models.nets.baselines.grouping import LENGTH, grasps_per_cloud, normal_noise
from dexgrasp_models.nets.checks import checked_clouds, checked_rotations
from dexgrasp_models.nets.contact import canonical, contact_heat
from dexgrasp_models.nets.glow import JOINTS
from dexgrasp_models.nets.losses import GraspLosses, HandBody, Losses, LossWeights
from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig, point_mlp
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, flag, parameter

GRASPTTA_WEIGHTS = LossWeights(cmap=1e-4, pen=840.0, tpen=84.0, spen=0.84, dis=7500.0, points=3000)
"""Of GraspTTA's adaptation, from its published code; without a table or self-collision of its own,
tpen and spen are to pen as in UniDexGrasp's Table 6."""


def grasptta_adaptation(hand: HandBody, config: AdaptationConfig | None = None) -> Adaptation:
    """GraspTTA's adaptation: hand-centric, and with the target predicted anew in every step.

    The optimiser is UniDexGrasp's, whose step size suits metres and radians.
    """
    return Adaptation(hand, GRASPTTA_WEIGHTS, config or AdaptationConfig(target_interval=1))


@dataclass(frozen=True)
class GraspCVAEConfig(Parameters):
    """Settings of :class:`GraspCVAE`; the sizes are those of GraspTTA's published network."""

    given_rotation: bool = flag(
        False, "of t and q alone, for a rotation: 'C' in 'R + C + T' of Table 1"
    )

    encoder: PointNetConfig = field(default_factory=lambda: PointNetConfig(align_input=False))
    latents: int = parameter(64, 1, 1024, "", "size of the latent vector")
    encoder_widths: tuple[int, ...] = parameter(
        (512, 256), 1, 4096, "", "of hand and object", any_length=True
    )
    decoder_widths: tuple[int, ...] = parameter(
        (1024, 256), 1, 4096, "", "of latents and object", any_length=True
    )

    weight_pose: float = parameter(1.0, 0, 1e6, "", "of the squared error of (R, t, q)")
    weight_surface: float = parameter(
        0.1, 0, 1e6, "1/cm^2", "of the mean squared error of the hand's surface"
    )
    weight_kl: float = parameter(0.05, 0, 1e6, "1/nat", "of the KL divergence")
    quality: LossWeights = field(default_factory=lambda: LossWeights(dis=1000.0))

    @classmethod
    def paper(cls, given_rotation: bool = False) -> GraspCVAEConfig:
        """The published network's sizes."""
        return cls(given_rotation=given_rotation)

    @classmethod
    def small(cls, given_rotation: bool = False) -> GraspCVAEConfig:
        """For training without a GPU."""
        encoder = PointNetConfig.small()
        return cls(given_rotation, encoder, 32, encoder_widths=(256,), decoder_widths=(256, 128))


class Latents(NamedTuple):
    """Normal distributions of B latent vectors of size Z."""

    means: Tensor
    """(B, Z)."""
    log_variances: Tensor
    """(B, Z)."""

    def draw(self, generator: torch.Generator | None = None) -> Tensor:
        """(B, Z), differentiable with respect to the distributions."""
        rows, width = self.means.shape
        noise = normal_noise(rows, width, self.means, generator)
        return self.means + (0.5 * self.log_variances).exp() * noise

    def kl_divergence(self) -> Tensor:
        """(B,) nats, from the standard normal distribution."""
        means, logs = self
        return -0.5 * (1 + logs - means.square() - logs.exp()).sum(dim=1)


class GraspCVAE(nn.Module):
    """Grasps from latent vectors and a cloud; or translation and joints, where rotation is given.

    With a given rotation clouds and grasps are turned into the palm's axes, as for GraspGlow.
    """

    def __init__(self, config: GraspCVAEConfig, hand: HandBody) -> None:
        """`hand` must be on the device that the module is used on; it is no part of its weights."""
        super().__init__()
        self.config, self.hand = config, hand
        self._losses = GraspLosses(hand, config.quality)
        self.object_encoder = PointNet(config.encoder)
        self.hand_encoder = PointNet(config.encoder)
        condition = self.object_encoder.features
        seen = condition + self.hand_encoder.features
        self.encoder = nn.Sequential(
            point_mlp(seen, config.encoder_widths, batch_norm=False),
            nn.Linear(config.encoder_widths[-1], 2 * config.latents),
        )
        outputs = 3 + JOINTS + (0 if config.given_rotation else 6)
        self.decoder = nn.Sequential(
            point_mlp(config.latents + condition, config.decoder_widths, batch_norm=False),
            nn.Linear(config.decoder_widths[-1], outputs),
        )

    def encode(self, conditions: Tensor, hands: Tensor) -> Latents:
        """Latents of hands (B, M, 3), points on their surfaces, under conditions (B, C)."""
        seen = torch.cat((self.hand_encoder(hands), conditions), dim=1)
        return Latents(*self.encoder(seen).chunk(2, dim=1))

    def decode(self, conditions: Tensor, latents: Tensor) -> Tensor:
        """(B, 25 or 31) of latents (B, Z): what :func:`_vectors` makes of a grasp."""
        return self.decoder(torch.cat((latents, conditions), dim=1))

    def loss(
        self,
        clouds: Tensor,
        grasps: GraspTensors,
        quality: bool = True,
        generator: torch.Generator | None = None,
    ) -> Losses:
        """Terms pose, surface (cm^2), kl (nats) and those of :class:`GraspLosses`, for each grasp.

        The contact map aimed at is that of the true grasp.

        Args:
            clouds: (B, N, 3) in the table-top frame, m.
            grasps: B G true ones in the same frame.
            quality: whether the terms of :class:`GraspLosses` count; not at first, as GraspTTA.
            generator: draws latents; PyTorch's own by default.

        Raises:
            ValueError: shapes don't fit, or values aren't finite, or no rotations.
        """
        config, count = self.config, grasps_per_cloud(clouds, grasps)
        rotations = checked_rotations(grasps.rotations)
        repeated = checked_clouds(clouds).repeat_interleave(count, dim=0)
        with torch.no_grad():
            true_poses = self.hand.link_poses(grasps)
            surface = self.hand.surface(true_poses)
            target = contact_heat(self.hand.distance.to_links(repeated, true_poses))
        if config.given_rotation:
            conditions = self.object_encoder(canonical(repeated, rotations))
            hands = canonical(surface, rotations)
        else:
            conditions = self.object_encoder(clouds).repeat_interleave(count, dim=0)
            hands = surface
        latents = self.encode(conditions, hands)
        vectors = self.decode(conditions, latents.draw(generator))
        found = self._grasps(vectors, rotations)

        found_poses = self.hand.link_poses(found)
        apart = (self.hand.surface(found_poses) - surface).square().sum(dim=2).mean(dim=1)
        terms = {
            "pose": (vectors - self._vectors(grasps)).square().sum(dim=1),
            "surface": 1e4 * apart,
            "kl": latents.kl_divergence(),
        }
        total = (
            config.weight_pose * terms["pose"]
            + config.weight_surface * terms["surface"]
            + config.weight_kl * terms["kl"]
        )
        if not quality:
            return Losses(terms, total)
        physical = self._losses(found, repeated, target)
        return Losses(terms | physical.terms, total + physical.total)

    @torch.no_grad()
    def sample(
        self,
        clouds: Tensor,
        count: int,
        generator: torch.Generator | None = None,
        rotations: Tensor | None = None,
    ) -> GraspTensors:
        """B `count` grasps of clouds (B, N, 3), those of the first cloud first.

        Args:
            clouds: in the table-top frame, m.
            count: of each cloud.
            generator: draws latents; PyTorch's own by default.
            rotations: (B, 3, 3), one for each cloud, where they are given.

        Raises:
            ValueError: clouds or rotations aren't valid, or `count` is less than one.
        """
        if count < 1:
            raise ValueError(f"cannot sample {count} grasps; ask for at least one")
        if (rotations is not None) != self.config.given_rotation:
            raise ValueError("rotations are needed where they are given, and only there")
        if rotations is not None:
            if len(checked_rotations(rotations)) != len(clouds):
                raise ValueError(f"expected {len(clouds)} rotations, one for each cloud")
            clouds = canonical(checked_clouds(clouds), rotations)
            rotations = rotations.repeat_interleave(count, dim=0)
        conditions = self.object_encoder(clouds).repeat_interleave(count, dim=0)
        latents = normal_noise(len(conditions), self.config.latents, conditions, generator)
        return self._grasps(self.decode(conditions, latents), rotations)

    def _vectors(self, grasps: GraspTensors) -> Tensor:
        """(B, 25 or 31) the numbers that grasps are decoded from."""
        if not self.config.given_rotation:
            columns = columns_from_rotation(grasps.rotations)
            return torch.cat((grasps.translations / LENGTH, grasps.joints, columns), dim=1)
        translations = canonical(grasps.translations[:, None], grasps.rotations).squeeze(1)
        return torch.cat((translations / LENGTH, grasps.joints), dim=1)

    def _grasps(self, vectors: Tensor, rotations: Tensor | None) -> GraspTensors:
        translations, joints, columns = vectors.tensor_split((3, 3 + JOINTS), dim=1)
        translations = LENGTH * translations
        if not self.config.given_rotation:
            return GraspTensors(rotation_from_columns(columns), translations, joints)
        assert rotations is not None
        return GraspTensors(rotations, (rotations @ translations[..., None]).squeeze(2), joints)
