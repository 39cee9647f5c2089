"""Score matching: the schedule in closed form, known scores recovered, known densities sampled."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from dexgrasp_models.nets.score_matching import (
    EARLIEST,
    VarianceSchedule,
    denoising_loss,
    probability_flow,
)

SCHEDULE = VarianceSchedule()
WEIGHTS = torch.tensor([0.3, 0.7])
CENTRES = torch.tensor([[-1.2, 0.4], [0.6, -0.5]])
DEVIATIONS = torch.tensor([0.25, 0.4])


def mixture(count: int, seed: int = 0) -> Tensor:
    """(N, 2) samples of two round Gaussians."""
    generator = torch.Generator().manual_seed(seed)
    which = (torch.rand(count, generator=generator) > WEIGHTS[0]).long()
    noise = torch.randn(count, 2, generator=generator)
    return CENTRES[which] + DEVIATIONS[which, None] * noise


def mixture_score(points: Tensor, times: Tensor) -> Tensor:
    """The exact score of the mixture that the schedule has diffused: again a mixture."""
    mean, deviation = SCHEDULE.mean(times)[:, None], SCHEDULE.deviation(times)[:, None]
    variances = (mean * DEVIATIONS).square() + deviation.square()
    apart = mean[..., None] * CENTRES - points[:, None]
    logs = WEIGHTS.log() - variances.log() - apart.square().sum(-1) / (2 * variances)
    return (logs.softmax(-1)[..., None] * apart / variances[..., None]).sum(1)


def test_schedule_solves_its_equation():
    """d mean / dt = -1/2 beta mean and mean^2 + deviation^2 = 1, from no noise at t = 0."""
    times = torch.linspace(0, 1, 101, dtype=torch.float64, requires_grad=True)
    mean = SCHEDULE.mean(times)
    (slope,) = torch.autograd.grad(mean.sum(), times)
    torch.testing.assert_close(slope, -0.5 * SCHEDULE.rate(times) * mean)
    torch.testing.assert_close(mean**2 + SCHEDULE.deviation(times) ** 2, torch.ones_like(mean))
    assert mean[0] == 1
    # What the paper prints (B.1), a variance.
    t = times.detach()
    printed = 1 - torch.exp(-0.5 * t**2 * (10 - 0.1) - t * 0.1)
    torch.testing.assert_close(SCHEDULE.deviation(t) ** 2, printed)


def test_schedule_is_what_the_diffusion_does():
    """Against the stochastic equation dx = -1/2 beta x dt + sqrt(beta) dW, by Monte Carlo."""
    generator = torch.Generator().manual_seed(0)
    steps, count = 400, 20_000
    x = torch.full((count,), 1.5)
    for step in range(steps // 2):
        beta = SCHEDULE.rate(torch.tensor((step + 0.5) / steps))
        noise = torch.randn(count, generator=generator)
        x = x - 0.5 * beta * x / steps + (beta / steps).sqrt() * noise
    half = torch.tensor(0.5)
    assert float(x.mean()) == pytest.approx(1.5 * float(SCHEDULE.mean(half)), abs=0.03)
    assert float(x.std()) == pytest.approx(float(SCHEDULE.deviation(half)), abs=0.02)


def test_small_noise_keeps_its_digits():
    times = torch.tensor([EARLIEST, 0.005])
    exact = VarianceSchedule().deviation(times.double())
    torch.testing.assert_close(SCHEDULE.deviation(times).double(), exact, rtol=1e-5, atol=0)


def test_times_of_ratios():
    times = torch.tensor([EARLIEST, 0.005, 0.3, 1.0], dtype=torch.float64)
    ratios = SCHEDULE.deviation(times) / SCHEDULE.mean(times)
    torch.testing.assert_close(SCHEDULE.time_of_ratio(ratios), times)


def test_bad_schedule():
    with pytest.raises(ValueError, match="beta_max must be greater than beta_min"):
        VarianceSchedule(beta_min=1.0, beta_max=0.5)


def test_loss_is_least_for_the_true_score():
    data = mixture(20_000)

    def loss(score) -> float:
        generator = torch.Generator().manual_seed(1)
        return float(denoising_loss(score, data, SCHEDULE, generator).mean())

    best = loss(mixture_score)
    for factor in (0.8, 1.2):
        assert best < loss(lambda x, t, by=factor: by * mixture_score(x, t)) - 0.005
    assert best < loss(lambda x, t: mixture_score(x, t) + 0.3) - 0.005


def test_loss_is_reproducible():
    data = mixture(8)
    first, second, other = (
        denoising_loss(mixture_score, data, SCHEDULE, torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    )
    assert first.shape == (8,)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.timeout(120)
def test_training_recovers_the_score_of_a_mixture():
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
    )

    def score(points: Tensor, times: Tensor) -> Tensor:
        deviation = SCHEDULE.deviation(times)[:, None]
        return layers(torch.cat((points, times[:, None], deviation), dim=-1)) / deviation

    steps = 1500
    optimiser = torch.optim.Adam(layers.parameters(), 5e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    data, generator = mixture(20_000), torch.Generator().manual_seed(1)
    for _ in range(steps):
        rows = torch.randint(len(data), (512,), generator=generator)
        optimiser.zero_grad()
        denoising_loss(score, data[rows], SCHEDULE, generator).mean().backward()
        optimiser.step()
        decay.step()
    for time in (0.1, 0.3, 0.7):
        times = torch.full((2000,), time)
        noise = torch.randn(2000, 2, generator=generator)
        mean, deviation = SCHEDULE.mean(times)[:, None], SCHEDULE.deviation(times)[:, None]
        points = mean * mixture(2000, seed=2) + deviation * noise
        true = mixture_score(points, times)
        with torch.no_grad():
            error = score(points, times) - true
        assert float(error.square().mean() / true.square().mean()) < 0.1, time


def test_flow_samples_the_mixture():
    generator = torch.Generator().manual_seed(0)
    found = probability_flow(
        mixture_score, torch.randn(20_000, 2, generator=generator), SCHEDULE, steps=24
    )
    nearest = torch.cdist(found, CENTRES).argmin(dim=1)
    for index in range(2):
        part = found[nearest == index]
        assert len(part) / len(found) == pytest.approx(float(WEIGHTS[index]), abs=0.02)
        torch.testing.assert_close(part.mean(0), CENTRES[index], atol=0.03, rtol=0)
        expected = DEVIATIONS[index].expand(2)
        torch.testing.assert_close(part.std(0), expected, atol=0.03, rtol=0)


def test_flow_is_exact_for_a_gaussian():
    """There the ODE is a known map: it scales noise to the data's deviation."""
    spread = 0.3

    def score(points: Tensor, times: Tensor) -> Tensor:
        mean, deviation = SCHEDULE.mean(times)[:, None], SCHEDULE.deviation(times)[:, None]
        return -points / ((mean * spread) ** 2 + deviation**2)

    noise = torch.randn(64, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    last = torch.ones(1, dtype=torch.float64)
    left = float(SCHEDULE.mean(last))
    scale = spread / math.sqrt((left * spread) ** 2 + float(SCHEDULE.deviation(last)) ** 2)
    found = probability_flow(score, noise, SCHEDULE, steps=64)
    torch.testing.assert_close(found, scale * noise, atol=0.005, rtol=0)


def test_flow_without_steps():
    with pytest.raises(ValueError, match="at least one step, got 0"):
        probability_flow(mixture_score, torch.zeros(1, 2), SCHEDULE, steps=0)
