"""Which posture a hand would take for a cloud that it sees from the wrist of a grasp.

A regression: of the many postures that a data set has for much the same wrist and cloud it gives
the mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.parameters import Parameters, parameter

_LEAST_DEVIATION = 1e-3  # rad, of a label that hardly changes
_PRECISION = 0.1  # rad: the loss of an error of this is 1


@dataclass(frozen=True)
class PostureNetConfig(Parameters):
    """The network, and how it learns."""

    basis_points: BasisPointsConfig = field(default_factory=BasisPointsConfig)
    width: int = parameter(512, 1, 65_536, "", "of both hidden layers")
    dropout: float = parameter(0.1, 0.0, 0.9, "", "share of them that is left out in a step")
    noise: float = parameter(0.02, 0.0, 1.0, "", "on what is seen")
    steps: int = parameter(3000, 1, 10_000_000, "", "of learning")
    batch: int = parameter(256, 1, 1_000_000, "", "grasps of a step")
    learning_rate: float = parameter(
        1e-3, 0.0, 1.0, "", "of AdamW at first; falls to 0 as a cosine"
    )
    weight_decay: float = parameter(0.01, 0.0, 10.0, "", "of AdamW")


class PostureNet(nn.Module):
    """From the nearness of basis points (B, K), and what else is known (B, X), to labels (B, D).

    Args:
        config: settings.
        outputs: D.
        more: X, numbers beside the nearness.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: PostureNetConfig, outputs: int, more: int = 0) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.Sequential(
            nn.Linear(config.basis_points.points + more, width),
            nn.ELU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, width),
            nn.ELU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, outputs),
        )
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("deviation", torch.ones(outputs))

    def forward(self, seen: Tensor) -> Tensor:
        """(B, D) of (B, K + X)."""
        return self.mean + self.deviation * self.layers(seen)


def fitted(
    seen: Tensor,
    labels: Tensor,
    config: PostureNetConfig,
    seed: int,
    weights: Tensor | None = None,
) -> PostureNet:
    """A network that has learned labels, in evaluation mode.

    Args:
        seen: (V, N, K + X) of V views of each of N grasps; see `BasisPoints.nearness`.
        labels: (N, D), rad.
        config: how.
        seed: of the first weights and all that is drawn; the caller's generator isn't touched.
        weights: (N,) how often each is learned from, as a share of all; alike by default.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        more = seen.shape[2] - config.basis_points.points
        net = PostureNet(config, labels.shape[1], more)
        net.mean.copy_(labels.mean(dim=0))
        net.deviation.copy_(labels.std(dim=0).clamp_min(_LEAST_DEVIATION))
        optimiser = torch.optim.AdamW(
            net.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
        for _ in range(config.steps):
            if weights is None:
                rows = torch.randint(len(labels), (config.batch,))
            else:
                rows = torch.multinomial(weights, config.batch, replacement=True)
            noisy = seen[torch.randint(len(seen), (config.batch,)), rows]
            noisy = noisy + config.noise * torch.randn_like(noisy)
            loss = ((net(noisy) - labels[rows]) / _PRECISION).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()
