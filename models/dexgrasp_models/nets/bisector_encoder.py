"""Encoder of samples of the interaction bisector surface, for the baseline IBS (GraspGF, 4.3).

After She et al., SIGGRAPH 2022. What the samples are: `dexgrasp_models.tasks.interaction_bisector`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.pointnet import PointNet, PointNetConfig
from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class BisectorConfig(Parameters):
    """Settings of :class:`BisectorEncoder`."""

    samples: int = parameter(256, 1, 65536, "", "of the surface, one for each point of the hand's")
    widths: tuple[int, ...] = parameter(
        (64, 128, 512), 1, 4096, "", "layers of the MLP that all samples share", any_length=True
    )
    unit_length: float = parameter(0.1, 1e-3, 10, "m", "length that is one to the network")

    @classmethod
    def paper(cls) -> BisectorConfig:
        """As many features as the PointNet of GraspGF's policy has (3.3)."""
        return cls()

    @classmethod
    def small(cls) -> BisectorConfig:
        """As many as basis points have."""
        return cls(widths=(64, 128, 256))


class BisectorEncoder(nn.Module):
    """PointNet of samples with more to them than their place: one MLP for each, then the maximum.

    Attributes:
        numbers: F of a sample: its place and its distance, m, a direction, and one for the palm and
            for each finger.
    """

    def __init__(self, config: BisectorConfig) -> None:
        super().__init__()
        self.config = config
        self.numbers = 3 + 1 + 3 + 1 + len(load_hand().distal_links)
        pointnet = PointNetConfig(config.widths, False, False, config.unit_length)
        self.pointnet = PointNet(pointnet, extra=self.numbers - 3)

    @property
    def features(self) -> int:
        """C: the size of the surface's feature."""
        return self.pointnet.features

    def checked(self, samples: Tensor) -> Tensor:
        """The samples, after a check; raises as `forward`."""
        if samples.dim() != 3 or samples.shape[2] != self.numbers or 0 in samples.shape:
            raise ValueError(
                f"expected samples (B, S, {self.numbers}) of the bisector surface, "
                f"got {tuple(samples.shape)}"
            )
        if not torch.isfinite(samples).all():
            raise ValueError("samples of the bisector surface must be finite")
        return samples

    def forward(self, samples: Tensor) -> Tensor:
        """Features (B, C) of samples (B, S, F), `HandBisector.features`.

        Raises:
            ValueError: samples have another shape, or aren't finite.
        """
        places, distances, others = self.checked(samples).split((3, 1, self.numbers - 4), dim=-1)
        scaled = distances / self.config.unit_length
        return self.pointnet(places, torch.cat((scaled, others), dim=-1))
