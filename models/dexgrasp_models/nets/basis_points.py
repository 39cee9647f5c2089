"""Basis point sets: clouds as distances from fixed points (Prokudin et al., ICCV 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dexgrasp_models.nets.checks import checked_clouds
from dexgrasp_models.nets.pointnet import point_mlp
from dexgrasp_models.parameters import Parameters, parameter

_CHUNKS = {"cpu": 2, "cuda": 64}
"""Clouds whose distances are held at once, by the device: on a processor they stay in its cache."""


@dataclass(frozen=True)
class BasisPointsConfig(Parameters):
    """Settings of :class:`BasisPoints`. The ball is what a hand holds, in the palm's frame."""

    points: int = parameter(256, 1, 65536, "", "fixed points, drawn evenly from the ball")
    centre: tuple[float, ...] = parameter((0.0, -0.04, 0.09), -10, 10, "m", "of the ball")
    radius: float = parameter(0.12, 1e-3, 10, "m", "of the ball")
    seed: int = parameter(0, 0, 2**31, "", "of the draw")
    widths: tuple[int, ...] = parameter(
        (256, 256), 1, 4096, "", "layers of the MLP on the distances", any_length=True
    )
    decay: float = parameter(
        0.03, 1e-3, 10, "m", "distance at which a feature has fallen to a third; near points count"
    )


class BasisPoints(nn.Module):
    """How near each fixed point is to the cloud, exp(-distance / decay), then an MLP.

    It depends neither on the points' order nor much on their number, and has no weights for each
    point of a cloud: an encoder for clouds in a frame that means something, as the palm's.
    """

    basis: Tensor

    def __init__(self, config: BasisPointsConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("basis", _in_ball(config))
        self.mlp = point_mlp(config.points, config.widths, batch_norm=False)

    @property
    def features(self) -> int:
        """C: the size of a cloud's feature."""
        return self.config.widths[-1]

    def distances(self, clouds: Tensor) -> Tensor:
        """(B, K) from each basis point to the nearest point of clouds (B, N, 3), m.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        parts = checked_clouds(clouds).split(_CHUNKS.get(clouds.device.type, 64))
        return torch.cat([_nearest(self.basis.expand(len(part), -1, -1), part) for part in parts])

    def nearness(self, clouds: Tensor) -> Tensor:
        """(B, K) how near the basis points are, 1 on the cloud; raises as `distances`."""
        # Bounded, so that a cloud that is far off is like none and not like nothing ever seen.
        return torch.exp(-self.distances(clouds) / self.config.decay)

    def sees_as(self, other: BasisPoints) -> bool:
        """Whether another has the same nearness of any cloud."""
        same = torch.equal(self.basis, other.basis)
        return same and self.config.decay == other.config.decay

    def forward(self, clouds: Tensor) -> Tensor:
        """Features (B, C) of clouds (B, N, 3), m; raises as `distances`."""
        return self.mlp(self.nearness(clouds))


def _nearest(places: Tensor, clouds: Tensor) -> Tensor:
    """(B, K) distances from (B, K, 3) to the nearest of (B, N, 3)."""
    # As a product of matrices, |p|^2 - 2 b.p + |b|^2: many times as fast, and exact to 0.1 mm in
    # the palm's surroundings.
    squares = clouds.square().sum(dim=-1)[:, None]
    least = torch.baddbmm(squares, places, clouds.transpose(1, 2), alpha=-2).amin(dim=-1)
    return (least + places.square().sum(dim=-1)).clamp_min(1e-12).sqrt()


def _in_ball(config: BasisPointsConfig) -> Tensor:
    """(K, 3) the seed's points."""
    generator = torch.Generator().manual_seed(config.seed)
    directions = torch.randn(config.points, 3, generator=generator, dtype=torch.float64)
    shares = torch.rand(config.points, 1, generator=generator, dtype=torch.float64)
    unit = directions / directions.norm(dim=1, keepdim=True) * shares ** (1 / 3)
    centre = torch.tensor(config.centre, dtype=torch.float64)
    return (centre + config.radius * unit).float()
