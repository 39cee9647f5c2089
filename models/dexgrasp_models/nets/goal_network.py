"""The student's network in the goal-conditioned task (UniDexGrasp, Xu et al., CVPR 2023: 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dexgrasp_models.nets.basis_points import BasisPoints, BasisPointsConfig
from dexgrasp_models.parameters import Parameters, parameter

_LEAST_DEVIATION = 1e-3  # of a number of the state that hardly changes
_FARTHEST = 5.0  # deviations; beyond, a state is as strange as it gets
_FIRST_OUTPUTS = 0.01  # of the last layer's usual weights, so that the hand is still at first


@dataclass(frozen=True)
class GoalNetworkConfig(Parameters):
    """Settings of :class:`GoalNetwork`."""

    basis_points: BasisPointsConfig = field(default_factory=BasisPointsConfig)
    widths: tuple[int, ...] = parameter(
        (1024, 1024, 512, 512), 1, 65536, "", "hidden layers on state and cloud", any_length=True
    )

    @classmethod
    def paper(cls) -> GoalNetworkConfig:
        """The widths of UniDexGrasp's code."""
        return cls()

    @classmethod
    def small(cls) -> GoalNetworkConfig:
        """For training in hours on a few CPU cores."""
        return cls(basis_points=BasisPointsConfig(widths=(256, 128)), widths=(512, 256))


class GoalNetwork(nn.Module):
    """From states and clouds to moves, not bounded.

    States are `dexgrasp_models.tasks.goal_student.student_states`; they are standardised by means
    and deviations that `fit_standardisation` takes before training.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: GoalNetworkConfig, states: int, outputs: int) -> None:
        """
        Args:
            config: settings.
            states: numbers of a state.
            outputs: numbers of a move.
        """
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(states))
        self.register_buffer("deviation", torch.ones(states))
        self.encoder = BasisPoints(config.basis_points)
        width = states + self.encoder.features
        layers: list[nn.Module] = []
        for after in config.widths:
            layers += [nn.Linear(width, after), nn.ELU()]
            width = after
        last = nn.Linear(width, outputs)
        with torch.no_grad():
            for values in last.parameters():
                values.mul_(_FIRST_OUTPUTS)
        self.head = nn.Sequential(*layers, last)

    @torch.no_grad()
    def fit_standardisation(self, states: Tensor) -> None:
        """Take means and deviations from states (M, S), before training.

        Raises:
            ValueError: they have another shape, aren't finite, or are fewer than two.
        """
        states = self._checked(states)
        if len(states) < 2:
            raise ValueError(f"expected two or more states, got {len(states)}")
        self.mean.copy_(states.mean(dim=0))
        self.deviation.copy_(states.std(dim=0).clamp_min(_LEAST_DEVIATION))

    def prepared(self, clouds: Tensor) -> Tensor:
        """(B, K) nearness of the basis points to clouds (B, P, 3) in the frames of the palms at the
        grasps, m: what of the encoder doesn't learn.

        Raises:
            ValueError: clouds have another shape, or aren't finite.
        """
        return self.encoder.nearness(clouds)

    def actions(self, states: Tensor, clouds: Tensor) -> Tensor:
        """(B, A) moves, of states (B, S) and clouds that went through `prepared`.

        Raises:
            ValueError: shapes don't fit, or something isn't finite.
        """
        inputs = (self._checked(states) - self.mean) / self.deviation
        features = self.encoder.mlp(clouds)
        return self.head(torch.cat((inputs.clamp(-_FARTHEST, _FARTHEST), features), dim=-1))

    def forward(self, states: Tensor, clouds: Tensor) -> Tensor:
        """As `actions`, of clouds (B, P, 3)."""
        return self.actions(states, self.prepared(clouds))

    def _checked(self, states: Tensor) -> Tensor:
        if states.dim() != 2 or states.shape[1] != len(self.mean):
            raise ValueError(
                f"these weights see states (B, {len(self.mean)}), and not {tuple(states.shape)}"
            )
        if not torch.isfinite(states).all():
            raise ValueError("states must be finite")
        return states
