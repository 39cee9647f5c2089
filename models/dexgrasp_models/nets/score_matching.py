"""Score-based generative models: the variance-preserving diffusion, its loss and its sampler.

Data x becomes noise over the time t from 0 to 1: x_t = mean(t) x + deviation(t) z with normal z
(Song et al., ICLR 2021). The *score* of the noisy data, the gradient of its log density, is learned
by denoising score matching and turns noise into data by the probability-flow ODE. GraspGF trains
its primitive so (Wu et al., NeurIPS 2023, B.1, Eq. 8).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from dexgrasp_models.parameters import Parameters, parameter

EARLIEST = 1e-5
"""Least time that is trained on and sampled at (GraspGF, Eq. 8)."""

Score = Callable[[Tensor, Tensor], Tensor]
"""From noisy data (B, D) and times (B,) to scores (B, D)."""

_SPACING = 7.0  # rho of Karras et al.'s steps, denser near the data


@dataclass(frozen=True)
class VarianceSchedule(Parameters):
    """The variance-preserving schedule; the defaults are GraspGF's (B.1).

    Noise comes in at the rate beta(t) = beta_min + t (beta_max - beta_min), so that
    mean(t) = exp(-1/2 int_0^t beta) and mean(t)^2 + deviation(t)^2 = 1. What GraspGF prints as
    sigma(t) is the variance, deviation(t)^2.
    """

    beta_min: float = parameter(0.1, 1e-6, 100, "", "rate of the noise at t = 0")
    beta_max: float = parameter(10.0, 1e-6, 1000, "", "rate of the noise at t = 1")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta_max <= self.beta_min:
            raise ValueError(
                f"beta_max must be greater than beta_min, got {self.beta_max} and {self.beta_min}"
            )

    def rate(self, times: Tensor) -> Tensor:
        """beta(t)."""
        return self.beta_min + times * (self.beta_max - self.beta_min)

    def mean(self, times: Tensor) -> Tensor:
        """What is left of the data at a time, a factor in (0, 1]."""
        return torch.exp(-0.5 * self._integral(times))

    def deviation(self, times: Tensor) -> Tensor:
        """Standard deviation of the noise that was added until a time."""
        return torch.sqrt(-torch.expm1(-self._integral(times)))

    def time_of_ratio(self, ratios: Tensor) -> Tensor:
        """The times at which deviation(t) / mean(t) has given values."""
        integral = torch.log1p(ratios.square())
        rise = self.beta_max - self.beta_min
        root = (self.beta_min**2 + 2 * rise * integral).sqrt()
        # The usual (root - beta_min) / rise, without the difference of like numbers.
        return 2 * integral / (root + self.beta_min)

    def _integral(self, times: Tensor) -> Tensor:
        return times * (self.beta_min + 0.5 * times * (self.beta_max - self.beta_min))


def denoising_loss(
    score: Score,
    data: Tensor,
    schedule: VarianceSchedule,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Denoising score matching over all times, weighted by the variance (GraspGF, Eq. 8).

    In expectation it is least for the score of the noisy data. The squared error of
    deviation(t) times the score, summed over the coordinates.

    Args:
        score: what is trained.
        data: (B, D).
        schedule: of the noise.
        generator: draws times, evenly in [EARLIEST, 1], and noise; None: PyTorch's own.

    Returns:
        (B,) one draw each.
    """
    device = generator.device if generator else data.device
    shares = torch.rand(len(data), generator=generator, device=device).to(data)
    noise = torch.randn(data.shape, generator=generator, device=device).to(data)
    times = EARLIEST + (1 - EARLIEST) * shares
    deviation = schedule.deviation(times)[:, None]
    noisy = schedule.mean(times)[:, None] * data + deviation * noise
    return (deviation * score(noisy, times) + noise).square().sum(dim=-1)


@torch.no_grad()
def probability_flow(
    score: Score, noise: Tensor, schedule: VarianceSchedule, steps: int = 16
) -> Tensor:
    """Data that the probability-flow ODE makes of noise: deterministic, with the model's density.

    Solved by Heun's method in x / mean(t) over deviation(t) / mean(t), in which the path is nearly
    straight (Karras et al., NeurIPS 2022, Algorithm 1 and Eq. 5).

    Args:
        score: of the noisy data.
        noise: (B, D) standard normal, at t = 1.
        schedule: of the noise.
        steps: from t = 1 to `EARLIEST`; twice as many evaluations of the score.

    Returns:
        (B, D), what `EARLIEST` leaves of noise taken off.

    Raises:
        ValueError: there are no steps.
    """
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    ends = torch.tensor([1.0, EARLIEST], dtype=torch.float64)
    most, least = (schedule.deviation(ends) / schedule.mean(ends)).pow(1 / _SPACING).tolist()
    grid = torch.linspace(most, least, steps + 1, dtype=torch.float64) ** _SPACING

    def slope(scaled: Tensor, ratio: float) -> Tensor:
        mean = 1 / math.hypot(1, ratio)
        time = schedule.time_of_ratio(torch.tensor(ratio, dtype=torch.float64))
        times = scaled.new_full((len(scaled),), float(time))
        return -ratio * mean * score(mean * scaled, times)

    ratios = grid.tolist()
    scaled = noise * math.hypot(1, ratios[0])
    for here, there in pairwise(ratios):
        first = slope(scaled, here)
        second = slope(scaled + (there - here) * first, there)
        scaled = scaled + 0.5 * (there - here) * (first + second)
    return scaled - ratios[-1] * slope(scaled, ratios[-1])
