"""Translation and joints one after the other: the ablation "decoup.T" of Table 2.

The paper gives no more than its name. Read as GraspGlow's own step once more: a flow for the
translation given the cloud in the palm's axes, then a flow for the joints given that cloud about
the palm's origin.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dexgrasp_models.nets.baselines.grouping import grasps_per_cloud
from dexgrasp_models.nets.checks import checked_clouds, checked_rotations
from dexgrasp_models.nets.conditional_glow import ConditionalGlow
from dexgrasp_models.nets.contact import canonical
from dexgrasp_models.nets.glow import JOINTS, GraspGlowConfig
from dexgrasp_models.nets.losses import Losses
from dexgrasp_models.nets.pointnet import PointNet
from dexgrasp_models.nets.types import GraspTensors


class DecoupledGlow(nn.Module):
    """p(t|X, R) p(q|X, R, t), each with a PointNet and a flow of GraspGlow's."""

    def __init__(self, config: GraspGlowConfig) -> None:
        super().__init__()
        self.config = config
        self.translation_encoder = PointNet(config.encoder)
        self.joint_encoder = PointNet(config.encoder)
        features = self.joint_encoder.features
        self.translation_flow = ConditionalGlow(3, features, config.flow)
        self.joint_flow = ConditionalGlow(JOINTS, features, config.flow)

    def fit_standardisation(self, grasps: GraspTensors) -> None:
        """Take mean and deviation of the data from grasps, before training.

        Raises:
            ValueError: fewer than two grasps, or they aren't valid.
        """
        grasps.checked()
        self.translation_flow.fit_standardisation(_canonical_translations(grasps))
        self.joint_flow.fit_standardisation(grasps.joints)

    def log_prob(self, clouds: Tensor, grasps: GraspTensors) -> Tensor:
        """log p(t, q|X, R) (B G,) of the grasps of clouds (B, N, 3), nats for m and rad.

        Raises:
            ValueError: shapes don't fit, or values aren't finite, or no rotations.
        """
        count = grasps_per_cloud(clouds, grasps)
        seen = self._seen(clouds, checked_rotations(grasps.rotations), count)
        translations = _canonical_translations(grasps)
        first = self.translation_flow.log_prob(translations, self.translation_encoder(seen))
        about_palm = self.joint_encoder(seen - translations[:, None])
        return first + self.joint_flow.log_prob(grasps.joints, about_palm)

    def loss(self, clouds: Tensor, grasps: GraspTensors) -> Losses:
        """Negative log-likelihood `nll` of each grasp, arguments as for `log_prob`."""
        nll = -self.log_prob(clouds, grasps)
        return Losses({"nll": nll}, nll)

    @torch.no_grad()
    def sample(
        self,
        clouds: Tensor,
        rotations: Tensor,
        count: int = 1,
        generator: torch.Generator | None = None,
    ) -> GraspTensors:
        """B K grasps with rotations (B, 3, 3), one for each of clouds (B, N, 3); K = `count`.

        Raises:
            ValueError: shapes don't fit, or values aren't finite, or no rotations, or `count` is
                less than one.
        """
        if len(rotations) != len(clouds):
            raise ValueError(f"expected {len(clouds)} rotations, one a cloud: {len(rotations)}")
        seen = self._seen(clouds, checked_rotations(rotations), 1)
        translations, _ = self.translation_flow.sample(
            self.translation_encoder(seen), count, generator=generator
        )
        about_palm = seen[:, None] - translations[:, :, None]
        joints, _ = self.joint_flow.sample(
            self.joint_encoder(about_palm.flatten(0, 1)), 1, generator=generator
        )
        back = (translations @ rotations.transpose(1, 2)).flatten(0, 1)
        repeated = rotations.repeat_interleave(count, dim=0)
        return GraspTensors(repeated, back, joints.flatten(0, 1))

    @staticmethod
    def _seen(clouds: Tensor, rotations: Tensor, count: int) -> Tensor:
        """(B G, N, 3): each cloud as the palms of its grasps are turned."""
        return canonical(checked_clouds(clouds).repeat_interleave(count, dim=0), rotations)


def _canonical_translations(grasps: GraspTensors) -> Tensor:
    return canonical(grasps.translations[:, None], grasps.rotations).squeeze(1)
