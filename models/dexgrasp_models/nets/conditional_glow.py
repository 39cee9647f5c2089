"""A conditional Glow (Kingma and Dhariwal, NeurIPS 2018) over single vectors.

As in ProHMR (Kolotouros et al., ICCV 2021) and UniDexGrasp B.1.1, for GraspGlow and the baselines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dexgrasp_models.parameters import Parameters, flag, parameter

_LEAST_DEVIATION = 1e-3  # m or rad: a coordinate that hardly varies isn't blown up
_MAX_LOG_STRETCH = 6.0  # of the actnorm and of the convolution's diagonal


@dataclass(frozen=True)
class FlowConfig(Parameters):
    """Settings of :class:`ConditionalGlow`. The defaults are those of UniDexGrasp."""

    blocks: int = parameter(21, 1, 200, "", "of actnorm, 1x1 convolution and affine coupling")
    hidden: int = parameter(64, 1, 4096, "", "width of the couplings' networks")
    residual_blocks: int = parameter(2, 0, 16, "", "of two layers each, in a coupling's network")
    dropout: float = parameter(0.5, 0, 0.9, "", "in the residual blocks")
    batch_norm: bool = flag(True, "in the residual blocks")
    max_log_scale: float = parameter(1.0, 0.1, 10, "", "bound of the couplings' log scales")
    noise: float = parameter(
        0.0, 0, 1, "", "added to the data in training, in its standard deviations"
    )

    @classmethod
    def paper(cls) -> FlowConfig:
        """B.1.1."""
        return cls()

    @classmethod
    def small(cls) -> FlowConfig:
        """For training in hours on a few CPU cores.

        Data of coupled joints fill a subspace only, on which a density would grow without bound;
        the noise bounds it.
        """
        return cls(blocks=12, hidden=96, dropout=0.1, batch_norm=False, noise=0.03)


class ConditionalGlow(nn.Module):
    """A bijection between vectors (D) of data and of standard normal noise, for each condition (C).

    Data is standardised first (`fit_standardisation`); densities are in the data's own units. In
    evaluation mode everything is exact; in training mode dropout, normalisation over the batch and
    noise change the result from call to call. The first batch in training mode sets the actnorms,
    which is remembered with the weights.
    """

    mean: Tensor
    deviation: Tensor
    initialised: Tensor

    def __init__(self, size: int, conditions: int, config: FlowConfig) -> None:
        """`size`: D; `conditions`: C."""
        super().__init__()
        self.size, self.config = size, config
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.register_buffer("initialised", torch.tensor(False))
        blocks = (_Block(size, conditions, config) for _ in range(config.blocks))
        self.blocks = cast(Sequence[_Block], nn.ModuleList(blocks))

    @torch.no_grad()
    def fit_standardisation(self, data: Tensor) -> None:
        """Take mean and deviation of data (M, D), before training.

        Raises:
            ValueError: fewer than two vectors, of another size, or not finite.
        """
        if data.dim() != 2 or data.shape[1] != self.size or len(data) < 2:
            raise ValueError(
                f"expected two or more vectors of {self.size}, got {tuple(data.shape)}"
            )
        if not torch.isfinite(data).all():
            raise ValueError("data must be finite")
        self.mean.copy_(data.mean(dim=0))
        self.deviation.copy_(data.std(dim=0).clamp_min(_LEAST_DEVIATION))

    def forward(self, data: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Data (B, D) and conditions (B, C) -> noise (B, D) and log |det d noise / d data| (B,).

        Raises:
            ValueError: the first batch in training mode is a single vector.
        """
        values = (data - self.mean) / self.deviation
        log_det = -self.deviation.log().sum().expand(len(data))
        initialise = self.training and not self.initialised
        for block in self.blocks:
            if initialise:
                block.actnorm.initialise(values)
            values, change = block(values, conditions)
            log_det = log_det + change
        if initialise:
            self.initialised.fill_(True)
        return values, log_det

    def inverse(self, noise: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (B, D) and conditions (B, C) -> data (B, D) and log |det d noise / d data| (B,)."""
        values, log_det = noise, -self.deviation.log().sum().expand(len(noise))
        for block in reversed(self.blocks):
            values, change = block.inverse(values, conditions)
            log_det = log_det + change
        return values * self.deviation + self.mean, log_det

    def log_prob(self, data: Tensor, conditions: Tensor) -> Tensor:
        """(B,) nats of data (B, D) under conditions (B, C)."""
        if self.training and self.config.noise > 0:
            data = data + self.config.noise * self.deviation * torch.randn_like(data)
        noise, log_det = self(data, conditions)
        return _standard_normal(noise) + log_det

    def sample(
        self,
        conditions: Tensor,
        count: int = 1,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw `count` vectors for each condition (B, C); differentiable.

        Args:
            conditions: (B, C).
            count: K.
            temperature: deviation of the noise that they are made from; 1 samples the density, 0
                gives what is made from the noise's mode.
            generator: draws the noise; PyTorch's own by default.

        Returns:
            Data (B, K, D), and its log densities (B, K) at temperature 1.

        Raises:
            ValueError: `count` is less than one, or the temperature is negative.
        """
        if count < 1:
            raise ValueError(f"cannot draw {count} samples; ask for at least one")
        if not 0 <= temperature < math.inf:
            raise ValueError(f"the temperature must be zero or more, not {temperature}")
        on = conditions.device if generator is None else generator.device
        shape = (len(conditions) * count, self.size)
        noise = torch.randn(shape, generator=generator, device=on, dtype=conditions.dtype)
        noise = temperature * noise.to(conditions.device)
        data, log_det = self.inverse(noise, conditions.repeat_interleave(count, dim=0))
        densities = _standard_normal(noise) + log_det
        return data.unflatten(0, (-1, count)), densities.unflatten(0, (-1, count))


class _Block(nn.Module):
    """Actnorm, 1x1 convolution, affine coupling."""

    def __init__(self, size: int, conditions: int, config: FlowConfig) -> None:
        super().__init__()
        self.actnorm = _ActNorm(size)
        self.convolution = _Convolution(size)
        self.coupling = _AffineCoupling(size, conditions, config)

    def forward(self, values: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        values, first = self.actnorm(values)
        values, second = self.convolution(values)
        values, third = self.coupling(values, conditions)
        return values, first + second + third

    def inverse(self, values: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        values, third = self.coupling.inverse(values, conditions)
        values, second = self.convolution.inverse(values)
        values, first = self.actnorm.inverse(values)
        return values, first + second + third


class _ActNorm(nn.Module):
    """A shift and a stretch of each coordinate."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(size))
        self.raw = nn.Parameter(torch.zeros(size))

    @torch.no_grad()
    def initialise(self, values: Tensor) -> None:
        """So that these values (B, D) come out with mean zero and deviation one."""
        if len(values) < 2:
            raise ValueError("the first training batch sets the actnorms; it must be two or more")
        deviation, mean = torch.std_mean(values, dim=0, correction=0)
        self.mean.copy_(mean)
        share = -deviation.clamp_min(1e-6).log() / _MAX_LOG_STRETCH
        self.raw.copy_(_MAX_LOG_STRETCH * share.clamp(-0.95, 0.95).atanh())

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        stretch = _bounded(self.raw, _MAX_LOG_STRETCH)
        return (values - self.mean) * stretch.exp(), stretch.sum()

    def inverse(self, values: Tensor) -> tuple[Tensor, Tensor]:
        stretch = _bounded(self.raw, _MAX_LOG_STRETCH)
        return values * (-stretch).exp() + self.mean, stretch.sum()


class _Convolution(nn.Module):
    """An invertible matrix P L (U + S): Glow's 1x1 convolution, for a single vector.

    P is a random orthogonal matrix that stays; L is lower triangular with ones on its diagonal, U
    strictly upper triangular, S positive and diagonal.
    """

    orthogonal: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        # Kept in float64, so that it is orthogonal to the digits of any network.
        orthogonal = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q
        self.register_buffer("orthogonal", orthogonal)
        self.lower = nn.Parameter(torch.zeros(size, size))
        self.upper = nn.Parameter(torch.zeros(size, size))
        self.raw = nn.Parameter(torch.zeros(size))

    def _factors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """P, L, U + S, and the logarithm of S's diagonal."""
        stretch = _bounded(self.raw, _MAX_LOG_STRETCH)
        identity = torch.eye(len(stretch), dtype=stretch.dtype, device=stretch.device)
        lower = self.lower.tril(-1) + identity
        upper = self.upper.triu(1) + stretch.exp().diag()
        return self.orthogonal.to(stretch), lower, upper, stretch

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        orthogonal, lower, upper, stretch = self._factors()
        return values @ (orthogonal @ lower @ upper).T, stretch.sum()

    def inverse(self, values: Tensor) -> tuple[Tensor, Tensor]:
        orthogonal, lower, upper, stretch = self._factors()
        columns = torch.linalg.solve_triangular(
            lower, (values @ orthogonal).T, upper=False, unitriangular=True
        )
        return torch.linalg.solve_triangular(upper, columns, upper=True).T, stretch.sum()


class _AffineCoupling(nn.Module):
    """The first half and the condition say how the second half is stretched and shifted.

    B.1.1 writes NN(x2, c) and y1 = x1; only NN(x1, c) can be inverted, and is taken.
    """

    def __init__(self, size: int, conditions: int, config: FlowConfig) -> None:
        super().__init__()
        self._sizes = (size // 2, size - size // 2)
        self._limit = config.max_log_scale
        self.network = _ResidualNetwork(self._sizes[0], conditions, 2 * self._sizes[1], config)

    def forward(self, values: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        first, second = values.split(self._sizes, dim=1)
        log_scale, shift = self._affine(first, conditions)
        changed = second * log_scale.exp() + shift
        return torch.cat((first, changed), dim=1), log_scale.sum(dim=1)

    def inverse(self, values: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        first, second = values.split(self._sizes, dim=1)
        log_scale, shift = self._affine(first, conditions)
        original = (second - shift) * (-log_scale).exp()
        return torch.cat((first, original), dim=1), log_scale.sum(dim=1)

    def _affine(self, first: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.network(first, conditions).chunk(2, dim=1)
        return _bounded(raw, self._limit), shift


class _ResidualNetwork(nn.Module):
    """A linear layer, residual blocks, and a linear layer that begins with zeros.

    As in ProHMR's flow the condition enters the first layer and gates every block.
    """

    def __init__(self, inputs: int, conditions: int, outputs: int, config: FlowConfig) -> None:
        super().__init__()
        self.first = nn.Linear(inputs + conditions, config.hidden)
        self.blocks = nn.ModuleList(
            _ResidualBlock(conditions, config) for _ in range(config.residual_blocks)
        )
        self.last = nn.Linear(config.hidden, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, values: Tensor, conditions: Tensor) -> Tensor:
        values = self.first(torch.cat((values, conditions), dim=1))
        for block in self.blocks:
            values = block(values, conditions)
        return self.last(values)


class _ResidualBlock(nn.Module):
    def __init__(self, conditions: int, config: FlowConfig) -> None:
        super().__init__()
        width = config.hidden

        def norm() -> nn.Module:
            return nn.BatchNorm1d(width) if config.batch_norm else nn.Identity()

        self.layers = nn.Sequential(
            norm(),
            nn.ReLU(),
            nn.Linear(width, width),
            norm(),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, width),
        )
        self.gate = nn.Linear(conditions, width)

    def forward(self, values: Tensor, conditions: Tensor) -> Tensor:
        return values + self.layers(values) * self.gate(conditions).sigmoid()


def _standard_normal(values: Tensor) -> Tensor:
    """(B,) log density of standard normal vectors (B, D)."""
    return -0.5 * (values.square() + math.log(2 * math.pi)).sum(dim=1)


def _bounded(values: Tensor, limit: float) -> Tensor:
    """Nearly the same near zero, never beyond the limit, and with a gradient everywhere."""
    return limit * torch.tanh(values / limit)
