"""GraspIPDF: the density of the hand's rotation for a cloud (UniDexGrasp, 3.2.1 and B.1.1).

It follows Implicit-PDF (Murphy et al., ICML 2021): a network gives the unnormalised log density of
any rotation, and sums over an equivolumetric grid of SO(3) normalise it. Densities are with respect
to a volume of pi^2 of SO(3), as the paper's Eq. 1 has it.

An object may stand in any direction on the table, and its grasps turn with it. A network that adds
the features of cloud and rotation learns this only from very many examples: until then, the density
is that of all directions together. With `upright` cloud and rotation are turned into the object's
axes from above (`upright_axes`) first, so that it has nothing to learn there. f(X, R) is then
f(A^-1 X, A^-1 R), and as a turn keeps volumes, everything else is as before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dexgrasp_models.geometry.so3 import rotation_from_vector
from dexgrasp_models.geometry.so3_grid import SO3_VOLUME, so3_grid
from dexgrasp_models.nets.checks import checked_clouds, checked_rotations
from dexgrasp_models.nets.clouds import upright_axes
from dexgrasp_models.nets.likelihood import rotation_log_likelihood
from dexgrasp_models.nets.pointnet import PointNet2, PointNet2Config
from dexgrasp_models.parameters import Parameters, flag, parameter

GRID_LEVEL = 3
"""Of the grid for evaluation: 36,864 rotations, 7.5 degrees apart."""

_CHUNK = 1024  # rows that go through the layers at once where no gradient is kept: they stay cached
_STARTS = 4  # ascents for each mode that is asked for: some starts are on one another's slopes
_FIRST_STEP = 0.1  # rad, of the ascent


@dataclass(frozen=True)
class GraspIPDFConfig(Parameters):
    """Settings of :class:`GraspIPDF`. The defaults are those of UniDexGrasp."""

    encoder: PointNet2Config = field(default_factory=PointNet2Config)
    frequencies: int = parameter(
        1, 1, 8, "", "sines and cosines of each element of the rotation, the frequency doubling"
    )
    widths: tuple[int, ...] = parameter(
        (256, 256, 256), 1, 4096, "", "hidden layers of the MLP", any_length=True
    )
    upright: bool = flag(False, "see cloud and rotations in the object's axes from above")
    grid_level: int = parameter(
        2, 0, 4, "", "of the grid that normalises in training: 72 * 8^level rotations"
    )

    @classmethod
    def paper(cls) -> GraspIPDFConfig:
        """As B.1.1 and the published network; it trains with a batch of 16 at a rate of 1e-3."""
        return cls()

    @classmethod
    def small(cls) -> GraspIPDFConfig:
        """About a fortieth of the arithmetic, for training in hours on a few CPU cores."""
        return cls(PointNet2Config.small(), 2, (128, 128, 128), upright=True, grid_level=1)


class Conditions(NamedTuple):
    """What of B clouds the density of a rotation depends on."""

    features: Tensor
    """(B, W): the clouds' part of the first layer."""
    axes: Tensor | None
    """(B, 3, 3): axes in which cloud and rotations are seen; None for those of the frame."""

    def row(self, index: int) -> Conditions:
        """Of one cloud."""
        axes = None if self.axes is None else self.axes[index, None]
        return Conditions(self.features[index, None], axes)


class RotationSamples(NamedTuple):
    """K rotations for each of B clouds."""

    rotations: Tensor
    """(B, K, 3, 3) of `rh_palm`, in the cloud's frame."""
    log_densities: Tensor
    """(B, K) log p(R|X)."""


class GraspIPDF(nn.Module):
    """f(X, R), the unnormalised log density of a rotation given a cloud.

    The first layer is linear in the cloud's feature and the rotation's encoding, so the feature's
    part, the cloud's *condition*, is computed once for all rotations.
    """

    _octaves: Tensor

    def __init__(self, config: GraspIPDFConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = PointNet2(config.encoder)
        first, *others = config.widths
        self.from_cloud = nn.Linear(self.encoder.features, first)
        self.from_rotation = nn.Linear(18 * config.frequencies, first, bias=False)
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        for before, width in zip(config.widths, others, strict=False):
            layers += [nn.Linear(before, width), nn.ReLU(inplace=True)]
        self.rest = nn.Sequential(*layers, nn.Linear(config.widths[-1], 1))
        self.register_buffer("_octaves", 2.0 ** torch.arange(config.frequencies), persistent=False)

    def encode(self, clouds: Tensor) -> Conditions:
        """Conditions of clouds (B, N, 3), m.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        axes = None
        if self.config.upright:
            axes = upright_axes(checked_clouds(clouds))
            clouds = clouds @ axes
        return Conditions(self.from_cloud(self.encoder(clouds)), axes)

    def scores(self, conditions: Conditions, rotations: Tensor) -> Tensor:
        """f(X, R) (B, M) of rotations, (M, 3, 3) for all of B clouds or (B, M, 3, 3)."""
        if torch.is_grad_enabled():
            return self._scores(conditions, rotations)
        parts = rotations.split(_CHUNK, dim=-3)
        rows = (
            self._scores(conditions.row(row), part if part.dim() == 3 else part[row, None])
            for row in range(len(conditions.features))
            for part in parts
        )
        return torch.cat(list(rows), dim=1).view(len(conditions.features), -1)

    def _scores(self, conditions: Conditions, rotations: Tensor) -> Tensor:
        features, axes = conditions
        if axes is not None:
            rotations = axes.transpose(-1, -2)[:, None] @ rotations
        phases = rotations.flatten(-2)[..., None] * self._octaves
        encoding = torch.cat((phases.sin(), phases.cos()), dim=-1).flatten(-2)
        return self.rest(self.from_rotation(encoding) + features[:, None]).squeeze(-1)

    def nll(
        self, clouds: Tensor, rotations: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """The loss -log p(R|X) of true rotations (3.2.1), normalised over one random grid a cloud.

        As in Implicit-PDF the grid is turned at random but so that the true rotation is one of its
        points, which bounds the density that training can give it. Several rotations of one cloud
        share the grid, each in turn at the place of the first.

        Args:
            clouds: (B, N, 3) m.
            rotations: (B, 3, 3), or (B, G, 3, 3) for G of each cloud.
            generator: draws the grids; PyTorch's own by default.

        Returns:
            (B,) or (B, G) nats.

        Raises:
            ValueError: shapes don't fit, or the values aren't finite, or no rotations.
        """
        true = _grouped(clouds, rotations)
        conditions = self.encode(clouds)
        grid = _grid(self.config.grid_level).to(true)
        turned = random_rotations(len(true), generator).to(true)[:, None] @ grid
        turned = turned @ (turned[:, :1].transpose(-1, -2) @ true[:, :1])
        scores = self.scores(conditions, torch.cat((true, turned[:, 1:]), dim=1))
        of_true, of_others = scores.split((true.shape[1], len(grid) - 1), dim=1)
        normaliser = torch.logaddexp(of_others.logsumexp(dim=1, keepdim=True), of_true)
        found = normaliser - of_true + math.log(SO3_VOLUME / len(grid))
        return found.view(rotations.shape[:-2])

    def log_density(self, clouds: Tensor, rotations: Tensor, level: int = GRID_LEVEL) -> Tensor:
        """log p(R|X), normalised over the fixed grid of a level (Eq. 1).

        Args:
            clouds: (B, N, 3) m.
            rotations: (B, 3, 3), or (B, M, 3, 3) for M of each cloud.
            level: of the grid, as :func:`~dexgrasp_models.geometry.so3_grid.so3_grid` takes it.

        Returns:
            (B,) or (B, M) nats; differentiable.

        Raises:
            ValueError: shapes don't fit, or the values aren't finite, or no rotations, or there is
                no such level.
        """
        asked = _grouped(clouds, rotations)
        conditions = self.encode(clouds)
        scores = self.scores(conditions, asked)
        grid_scores = self.scores(conditions, _grid(level).to(asked))[:, None]
        found = rotation_log_likelihood(scores, grid_scores.expand(*scores.shape, -1))
        return found.view(rotations.shape[:-2])

    @torch.no_grad()
    def sample(
        self,
        clouds: Tensor,
        count: int,
        level: int = GRID_LEVEL,
        generator: torch.Generator | None = None,
    ) -> RotationSamples:
        """Rotations drawn from p(R|X): from a grid, by the probabilities of its points (3.2.1).

        The grid is turned at random, so that every rotation may be drawn.

        Args:
            clouds: (B, N, 3) m.
            count: K, of each cloud.
            level: of the grid.
            generator: draws the grid and from it; PyTorch's own by default.

        Raises:
            ValueError: clouds or `count` aren't valid, or there is no such level.
        """
        if count < 1:
            raise ValueError(f"cannot sample {count} rotations; ask for at least one")
        conditions = self.encode(clouds)
        grid = random_rotations(1, generator).to(clouds) @ _grid(level).to(clouds)
        densities = _normalised(self.scores(conditions, grid))
        on = densities.device if generator is None else generator.device
        drawn = torch.multinomial(
            densities.softmax(dim=1).to(on), count, replacement=True, generator=generator
        ).to(densities.device)
        return RotationSamples(grid[drawn], densities.gather(1, drawn))

    @torch.no_grad()
    def density_map(self, clouds: Tensor, level: int = GRID_LEVEL) -> RotationSamples:
        """All rotations of the fixed grid of a level, for each of clouds (B, N, 3), m.

        Raises:
            ValueError: clouds aren't valid, or there is no such level.
        """
        grid = _grid(level).to(clouds)
        densities = _normalised(self.scores(self.encode(clouds), grid))
        return RotationSamples(grid.expand(len(clouds), -1, -1, -1), densities)

    def ascend(self, clouds: Tensor, rotations: Tensor, steps: int = 50) -> Tensor:
        """Rotations moved uphill to the nearest modes of p(R|X), by gradient ascent on SO(3).

        Each step is a turn along the gradient, and taken only where it increases the density; its
        angle grows after a success and halves after a failure.

        Args:
            clouds: (B, N, 3) m.
            rotations: (B, 3, 3) or (B, K, 3, 3) to start from.
            steps: to try.

        Returns:
            The same shape.

        Raises:
            ValueError: shapes don't fit, or the values aren't finite, or no rotations.
        """
        start = _grouped(clouds, rotations).detach()
        with torch.no_grad():
            conditions = self.encode(clouds)
        return self._ascend(conditions, start, steps).view_as(rotations)

    def _ascend(self, conditions: Conditions, start: Tensor, steps: int = 50) -> Tensor:
        current, angles = start, torch.full_like(start[..., 0, 0], _FIRST_STEP)
        scores, slopes = self._slopes(conditions, current)
        for _ in range(steps):
            turns = angles[..., None] * nn.functional.normalize(slopes, dim=-1)
            tried = _orthonormal(current @ rotation_from_vector(turns))
            tried_scores, tried_slopes = self._slopes(conditions, tried)
            better = tried_scores > scores
            current = torch.where(better[..., None, None], tried, current)
            slopes = torch.where(better[..., None], tried_slopes, slopes)
            scores = torch.where(better, tried_scores, scores)
            angles = torch.where(better, 1.5 * angles, 0.5 * angles)
        return current

    def _slopes(self, conditions: Conditions, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, K) and their gradients (B, K, 3) along turns in the rotations' own frames."""
        with torch.enable_grad():
            turns = torch.zeros_like(rotations[..., 0], requires_grad=True)
            scores = self.scores(conditions, rotations @ rotation_from_vector(turns))
            (slopes,) = torch.autograd.grad(scores.sum(), turns)
        return scores.detach(), slopes

    @torch.no_grad()
    def modes(
        self,
        clouds: Tensor,
        count: int = 16,
        separation: float = math.radians(30),
        level: int = 2,
    ) -> list[RotationSamples]:
        """The modes of p(R|X) of each cloud: good points of a grid, moved uphill.

        Args:
            clouds: (B, N, 3) m.
            count: most modes of a cloud.
            separation: least angle between two of them, rad.
            level: of the grid.

        Returns:
            For each cloud K <= `count` modes, rotations (1, K, 3, 3) and log densities (1, K), the
            densest first.

        Raises:
            ValueError: clouds aren't valid, or there is no such level.
        """
        conditions = self.encode(clouds)
        grid = _grid(level).to(clouds)
        found = []
        for row, scores in enumerate(self.scores(conditions, grid)):
            condition = conditions.row(row)
            starts = grid[_best_apart(grid, scores, _STARTS * count, separation)]
            tops = self._ascend(condition, starts[None])
            top_scores = self.scores(condition, tops)
            kept = _best_apart(tops[0], top_scores[0], count, separation)
            heights = rotation_log_likelihood(top_scores, scores.expand(*top_scores.shape, -1))
            found.append(RotationSamples(tops[:, kept], heights[:, kept]))
        return found


def random_rotations(count: int, generator: torch.Generator | None = None) -> Tensor:
    """(count, 3, 3) rotations, evenly distributed over SO(3); float64."""
    on = None if generator is None else generator.device
    numbers = torch.randn(count, 4, generator=generator, device=on, dtype=torch.float64)
    real, imaginary = numbers[:, :1], numbers[:, 1:]
    length = imaginary.norm(dim=1, keepdim=True)
    return rotation_from_vector(2 * torch.atan2(length, real) * imaginary / length)


def _best_apart(rotations: Tensor, scores: Tensor, count: int, separation: float) -> list[int]:
    """The highest of scores (M,), then always the highest at least `separation` from those."""
    left = scores.clone()
    chosen: list[int] = []
    least_trace = 1 + 2 * math.cos(separation)
    while len(chosen) < count and (left > -torch.inf).any():
        chosen.append(int(left.argmax()))
        left[chosen[-1]] = -torch.inf
        left[torch.einsum("ij,mij->m", rotations[chosen[-1]], rotations) > least_trace] = -torch.inf
    return chosen


def _normalised(scores: Tensor) -> Tensor:
    """Log densities (B, M) of scores (B, M) of all rotations of a grid."""
    return scores.log_softmax(dim=1) - math.log(SO3_VOLUME / scores.shape[1])


def _orthonormal(rotations: Tensor) -> Tensor:
    """Rotations without the last bits by which products leave SO(3): one step of Newton's."""
    return 1.5 * rotations - 0.5 * rotations @ rotations.transpose(-1, -2) @ rotations


def _grouped(clouds: Tensor, rotations: Tensor) -> Tensor:
    """Rotations (B, 3, 3) or (B, M, 3, 3) of B clouds as (B, M, 3, 3), after a check."""
    grouped = rotations[:, None] if rotations.dim() == 3 else rotations
    if grouped.dim() != 4 or grouped.shape[-2:] != (3, 3) or len(grouped) != len(clouds):
        raise ValueError(
            f"expected rotations (B, 3, 3) or (B, M, 3, 3) of {len(clouds)} clouds, got "
            f"{tuple(rotations.shape)}"
        )
    return checked_rotations(grouped)


@lru_cache(maxsize=4)
def _grid(level: int) -> Tensor:
    return torch.as_tensor(so3_grid(level), dtype=torch.float32)
