"""Encoders of point clouds: PointNet (Qi et al., CVPR 2017) and PointNet++ (Qi et al., 2017).

Both don't depend on the points' order. Clouds are in metres; inside they are measured in
`unit_length`, so that the first layer sees values about one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dexgrasp_models.geometry.farthest_point_batches import farthest_points_of_each
from dexgrasp_models.nets.checks import checked_clouds
from dexgrasp_models.parameters import Parameters, flag, parameter


@dataclass(frozen=True)
class PointNetConfig(Parameters):
    """Settings of :class:`PointNet`. The defaults are those of UniDexGrasp."""

    widths: tuple[int, ...] = parameter(
        (64, 128, 1024), 1, 4096, "", "layers of the MLP that all points share", any_length=True
    )
    align_input: bool = flag(True, "turn the cloud by a matrix that a smaller PointNet predicts")
    batch_norm: bool = flag(True, "normalise each layer over the batch")
    unit_length: float = parameter(0.1, 1e-3, 10, "m", "length that is one to the network")

    @classmethod
    def paper(cls) -> PointNetConfig:
        """PointNet with its input transform and 1024 features, as UniDexGrasp uses it."""
        return cls()

    @classmethod
    def small(cls) -> PointNetConfig:
        """For training without a GPU; unnormalised, so that few points need a gradient."""
        return cls(widths=(64, 128, 256), align_input=False, batch_norm=False)


class PointFeatures(NamedTuple):
    """What PointNet knows of B clouds of N points."""

    cloud: Tensor
    """(B, C) of the whole."""
    points: Tensor
    """(B, N, L) of each point alone: the output of the first layer."""


class PointNet(nn.Module):
    """One MLP for each point, then the maximum over points.

    A feature of the cloud is the value of one of its points, and has no gradient with respect to
    the others. Unless normalisation over the batch mixes the points, they are left out where it is
    computed: the gradient is the same, but that of C points and of one channel of each.
    """

    def __init__(self, config: PointNetConfig, extra: int = 0) -> None:
        """`extra`: numbers that each point has beside its place."""
        super().__init__()
        self.config = config
        first, *others = config.widths
        self.aligner = _InputTransform(config.batch_norm) if config.align_input else None
        self.local = point_mlp(3 + extra, (first,), config.batch_norm)
        self.rest = point_mlp(first, others, config.batch_norm)

    @property
    def features(self) -> int:
        """C: the size of a cloud's feature."""
        return self.config.widths[-1]

    @property
    def point_features(self) -> int:
        """L: the size of a point's feature."""
        return self.config.widths[0]

    def forward(self, clouds: Tensor, extra: Tensor | None = None) -> Tensor:
        """Features (B, C) of clouds (B, N, 3), m, with (B, N, E) what is extra, taken as it is.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        return self.encode(clouds, extra).cloud

    def encode(self, clouds: Tensor, extra: Tensor | None = None) -> PointFeatures:
        """Features of clouds (B, N, 3), m, and of their points; as `forward`."""
        points = checked_clouds(clouds) / self.config.unit_length
        if self.aligner is not None:
            points = points @ self.aligner(points)
        if extra is not None:
            points = torch.cat((points, extra), dim=-1)
        local = self.local(points.flatten(0, 1)).unflatten(0, points.shape[:2])
        return PointFeatures(self._pooled(local), local)

    def _pooled(self, local: Tensor) -> Tensor:
        """The maximum (B, C) over points of their features, from those (B, N, L) of one layer."""
        if self.config.batch_norm or len(self.config.widths) == 1:
            # `max` rather than `amax`, whose gradient is several times slower.
            return self.rest(local.flatten(0, 1)).unflatten(0, local.shape[:2]).max(dim=1).values
        *_, last, activation = self.rest
        with torch.no_grad():
            # Cloud by cloud, as the features of one stay in the cache.
            highest = torch.stack([self.rest[:-1](rows).max(dim=0).indices for rows in local])
        hidden = self.rest[:-2](gather_rows(local, highest))
        return activation((hidden * last.weight).sum(dim=-1) + last.bias)


class _InputTransform(nn.Module):
    """(B, 3, 3) matrices from points (B, N, 3), at first the identity: PointNet's T-Net."""

    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        self.points = point_mlp(3, (64, 128, 1024), batch_norm)
        self.matrix = nn.Sequential(point_mlp(1024, (512, 256), batch_norm=False), _zero(256, 9))

    def forward(self, points: Tensor) -> Tensor:
        pooled = self.points(points.flatten(0, 1)).unflatten(0, points.shape[:2]).max(dim=1).values
        identity = torch.eye(3, dtype=points.dtype, device=points.device)
        return identity + self.matrix(pooled).view(-1, 3, 3)


@dataclass(frozen=True)
class SetAbstractionConfig(Parameters):
    """One level of PointNet++: the points around some centres become a feature of each centre."""

    centres: int = parameter(512, 1, 65536, "", "points that the cloud is reduced to")
    radius: float = parameter(0.1, 1e-4, 10, "m", "of the ball around a centre")
    neighbours: int = parameter(64, 1, 1024, "", "most points of a ball, its nearest to the centre")
    widths: tuple[int, ...] = parameter(
        (64, 64, 128), 1, 4096, "", "layers of the MLP", any_length=True
    )


@dataclass(frozen=True)
class PointNet2Config(Parameters):
    """Settings of :class:`PointNet2`. The defaults are those of UniDexGrasp."""

    levels: tuple[SetAbstractionConfig, ...] = (
        SetAbstractionConfig(512, 0.1, 64, (64, 64, 128)),
        SetAbstractionConfig(128, 0.2, 64, (128, 128, 256)),
    )
    pooled: tuple[int, ...] = parameter(
        (256, 512, 1024),
        1,
        4096,
        "",
        "MLP of the last centres, before the maximum over them",
        any_length=True,
    )
    head: tuple[int, ...] = parameter(
        (512, 256, 128), 1, 4096, "", "layers from the maximum to the feature", any_length=True
    )
    batch_norm: bool = flag(True, "normalise each layer over the batch")
    unit_length: float = parameter(0.1, 1e-3, 10, "m", "length that is one to the network")

    @classmethod
    def paper(cls) -> PointNet2Config:
        """Two levels of a single scale and 128 features, as UniDexGrasp's published network.

        Its numbers of centres are a half and an eighth of the cloud's points; these are for 1024.
        """
        return cls()

    @classmethod
    def small(cls) -> PointNet2Config:
        """A sixtieth of the arithmetic, for training without a GPU."""
        return cls(
            levels=(
                SetAbstractionConfig(128, 0.04, 16, (32, 32, 64)),
                SetAbstractionConfig(32, 0.1, 16, (64, 64, 128)),
            ),
            pooled=(128, 256),
            head=(128,),
            batch_norm=False,
        )


class PointNet2(nn.Module):
    """PointNet++: PointNets of ever larger surroundings of ever fewer points, then of the whole."""

    def __init__(self, config: PointNet2Config) -> None:
        super().__init__()
        self.config = config
        inputs = 0
        self.levels = nn.ModuleList()
        for level in config.levels:
            self.levels.append(
                SetAbstraction(level, inputs, config.batch_norm, 1 / config.unit_length)
            )
            inputs = level.widths[-1]
        self.pooled = point_mlp(3 + inputs, config.pooled, config.batch_norm)
        # Normalisation over few clouds is noise, and over one it's an error: none here.
        *hidden, last = config.head
        before = hidden[-1] if hidden else config.pooled[-1]
        self.head = nn.Sequential(
            point_mlp(config.pooled[-1], hidden, batch_norm=False), nn.Linear(before, last)
        )

    @property
    def features(self) -> int:
        """C: the size of a cloud's feature."""
        return self.config.head[-1]

    def forward(self, clouds: Tensor) -> Tensor:
        """Features (B, C) of clouds (B, N, 3), m.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        points, features = checked_clouds(clouds), None
        for level in self.levels:
            points, features = level(points, features)
        rows = points / self.config.unit_length
        rows = rows if features is None else torch.cat((rows, features), dim=-1)
        pooled = self.pooled(rows.flatten(0, 1)).unflatten(0, rows.shape[:2]).max(dim=1).values
        return self.head(pooled)


class SetAbstraction(nn.Module):
    """Farthest points as centres, and a PointNet of the ball around each."""

    def __init__(
        self, config: SetAbstractionConfig, inputs: int, batch_norm: bool, scale: float
    ) -> None:
        """`inputs`: features that a point comes with; `scale`: the network's units in a metre."""
        super().__init__()
        self.config, self._scale = config, scale
        first, *others = config.widths
        self.first = nn.Linear(3 + inputs, first)
        self.first_norm = _activation(first, batch_norm)
        self.rest = point_mlp(first, others, batch_norm)

    def forward(self, points: Tensor, features: Tensor | None) -> tuple[Tensor, Tensor]:
        """Points (B, N, 3), m, with features (B, N, F) -> centres (B, S, 3) with (B, S, G)."""
        chosen = farthest_points_of_each(points, self.config.centres)
        centres = gather_rows(points, chosen)
        index = ball_query(points, centres, self.config.radius, self.config.neighbours)
        # A linear layer of (point - centre, feature) is the difference of one of the points and one
        # of the centres, so it is taken before each point is copied into many balls.
        scaled = points * self._scale
        scaled = scaled if features is None else torch.cat((scaled, features), dim=-1)
        of_points = self.first(scaled)
        of_centres = functional.linear(centres * self._scale, self.first.weight[:, :3])
        rows = gather_rows(of_points, index) - of_centres[:, :, None]
        found = self.rest(self.first_norm(rows.flatten(0, 2)))
        return centres, found.unflatten(0, index.shape).max(dim=2).values


@torch.no_grad()
def ball_query(points: Tensor, centres: Tensor, radius: float, count: int) -> Tensor:
    """Indices of the points around each centre.

    Where a ball holds more than `count` points, its nearest are taken, so that the choice doesn't
    depend on the order. Where it holds fewer, the nearest of them is repeated, as PointNet++ does:
    the maximum over a ball doesn't change.

    Args:
        points: (B, N, 3).
        centres: (B, S, 3).
        radius: of the balls, in the points' unit.
        count: K; N if that is less.

    Returns:
        (B, S, K) int64, the nearest first.
    """
    # Through products of matrices it would be faster, but near pairs lose their digits.
    distances = torch.cdist(centres, points, compute_mode="donot_use_mm_for_euclid_dist")
    near, index = distances.topk(min(count, points.shape[1]), largest=False)
    return torch.where(near <= radius, index, index[..., :1])


def gather_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (B, N, C) at indices (B, ...) of them -> (B, ..., C)."""
    batch, count, width = rows.shape
    start = count * torch.arange(batch, device=index.device)
    flat = (index.flatten(1) + start[:, None]).flatten()
    return rows.reshape(-1, width).index_select(0, flat).view(*index.shape, width)


def point_mlp(inputs: int, widths: tuple[int, ...] | list[int], batch_norm: bool) -> nn.Sequential:
    """Linear layers, each followed by batch normalisation (or none) and ReLU, for rows (M, inputs).

    No widths make no layer.
    """
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), _activation(width, batch_norm)]
        inputs = width
    return nn.Sequential(*layers)


def _activation(width: int, batch_norm: bool) -> nn.Sequential:
    norm = [nn.BatchNorm1d(width)] if batch_norm else []
    return nn.Sequential(*norm, nn.ReLU(inplace=batch_norm))


def _zero(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that begins with zeros."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
