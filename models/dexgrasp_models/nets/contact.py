"""Contact maps and the network that tells the one a flawed grasp should have: UniDexGrasp, 3.2.3.

The heat of a point is 2 - 2 sigmoid(beta D): one where the hand touches it, about a half at 18 mm.
The paper's D is the least distance to points sampled on the hand; here it is the distance to the
hand's surface itself, in closed form, which that tends to with ever more points. It has no noise of
sampling (from a contact the nearest of 1024 points is 3.6 mm away on average, which makes a heat of
0.89), an exact gradient, and is at hand anyway where penetration is computed. The authors' code
does the same in its losses. It is unsigned: points inside the hand cool down with their depth.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig, point_mlp
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.parameters import Parameters, parameter

BETA = 60.0
"""Decay of the heat over distance, 1/m (C.2)."""
BINS = 10
"""Bins of the heat that the network predicts (B.1.1)."""


def contact_heat(distances: Tensor) -> Tensor:
    """Heat in [0, 1] of points from their signed or unsigned distances (m) to the hand, (...)."""
    return 1 - torch.tanh(BETA / 2 * distances.abs())  # 2 - 2 sigmoid(x) = 1 - tanh(x / 2)


def heat_bins(heat: Tensor) -> Tensor:
    """(...) int64 index of the bin that each heat in [0, 1] falls in."""
    return (heat * BINS).long().clamp(0, BINS - 1)


def expected_heat(logits: Tensor) -> Tensor:
    """Mean heat (...) over bins of which unnormalised log probabilities (..., 10) are given.

    The map that grasps are adapted to by squared differences: of all maps, the mean one has the
    least expected difference to the true one. The authors' code takes the likeliest bin in the
    adaptation.
    """
    probabilities = logits.softmax(-1)
    return probabilities @ ((torch.arange(BINS).to(probabilities) + 0.5) / BINS)


def canonical(points: Tensor, rotations: Tensor) -> Tensor:
    """Points as the palm's axes see them: R^-1 x, about the frame's origin (3.2.2).

    Args:
        points: (B, N, 3), or (N, 3) for all rotations.
        rotations: (B, 3, 3).

    Returns:
        (B, N, 3).
    """
    return points @ rotations


def flawed(
    grasps: GraspTensors,
    generator: torch.Generator,
    translation: float,
    joints: float,
) -> GraspTensors:
    """Grasps with normal noise on translations (m) and joints (rad), for ContactNet to see through.

    Its training pairs the hand of such a grasp with the contact map of the true one. The paper only
    says "flawed"; this is the noise of the authors' code, which leaves rotations as they are.
    """

    def noisy(values: Tensor, deviation: float) -> Tensor:
        noise = torch.randn(values.shape, generator=generator, device=generator.device)
        return values + deviation * noise.to(values)

    return GraspTensors(
        grasps.rotations, noisy(grasps.translations, translation), noisy(grasps.joints, joints)
    )


@dataclass(frozen=True)
class ContactNetConfig(Parameters):
    """Settings of :class:`ContactNet`. The defaults are those of UniDexGrasp (B.1.1)."""

    encoder: PointNetConfig = field(default_factory=lambda: PointNetConfig(align_input=False))
    widths: tuple[int, ...] = parameter(
        (512, 256, 128),
        1,
        4096,
        "",
        "layers of each point's MLP, before that to the bins",
        any_length=True,
    )

    @classmethod
    def paper(cls) -> ContactNetConfig:
        """B.1.1, whose (1024, 512, 512, 256, ...) is read as inputs and outputs of each layer."""
        return cls()

    @classmethod
    def small(cls) -> ContactNetConfig:
        """For training without a GPU."""
        return cls(encoder=PointNetConfig.small(), widths=(128, 64))


class ContactNet(nn.Module):
    """The contact map that a grasp is meant to have, from an object and a hand that errs (3.2.3).

    Two PointNets; what they find of the whole object and the whole hand joins what is known of each
    point of the object, and an MLP tells the bin of the point's heat.
    """

    def __init__(self, config: ContactNetConfig) -> None:
        super().__init__()
        self.config = config
        self.object_encoder = PointNet(config.encoder)
        self.hand_encoder = PointNet(config.encoder)
        first, *others = config.widths
        # The first layer on (point, object, hand) as a sum, so that the part of the wholes is
        # computed once and not for every point.
        self.of_point = nn.Linear(self.object_encoder.point_features, first)
        wholes = self.object_encoder.features + self.hand_encoder.features
        self.of_wholes = nn.Linear(wholes, first, bias=False)
        batch_norm = config.encoder.batch_norm
        norm = nn.BatchNorm1d(first) if batch_norm else nn.Identity()
        self.head = nn.Sequential(
            norm,
            nn.ReLU(),
            point_mlp(first, others, batch_norm),
            nn.Linear(config.widths[-1], BINS),
        )

    def forward(self, clouds: Tensor, hands: Tensor) -> Tensor:
        """Unnormalised log probabilities (B, N, 10) of the bins of each point's heat.

        Args:
            clouds: (B, N, 3) of the object and table, canonical: see :func:`canonical`, m.
            hands: (B, M, 3) points on the hands' surfaces, likewise.

        Raises:
            ValueError: shapes don't fit together, or something isn't finite.
        """
        if len(clouds) != len(hands):
            raise ValueError(f"expected as many hands as clouds, got {len(hands)}, {len(clouds)}")
        found = self.object_encoder.encode(clouds)
        wholes = self.of_wholes(torch.cat((found.cloud, self.hand_encoder(hands)), dim=-1))
        rows = self.of_point(found.points) + wholes[:, None]
        return self.head(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])

    def loss(self, clouds: Tensor, hands: Tensor, heat: Tensor) -> Tensor:
        """Mean cross-entropy (nats) of the bins of the true heat (B, N); arguments as `forward`.

        Raises:
            ValueError: as `forward`, or the heat has another shape or isn't in [0, 1].
        """
        if heat.shape != clouds.shape[:2]:
            raise ValueError(f"expected a heat {tuple(clouds.shape[:2])}, got {tuple(heat.shape)}")
        if not ((heat >= 0) & (heat <= 1)).all():
            raise ValueError("heat must be in [0, 1]")
        logits = self(clouds, hands)
        return functional.cross_entropy(logits.flatten(0, 1), heat_bins(heat).flatten())

    @torch.no_grad()
    def heat(self, clouds: Tensor, hands: Tensor) -> Tensor:
        """(B, N) `expected_heat` of each point, arguments as `forward`."""
        return expected_heat(self(clouds, hands))
