"""The student's network in the goal-conditioned task (UniDexGrasp, Xu et al., CVPR 2023: 3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from dexgrasp_models.nets.basis_points import BasisPoints, BasisPointsConfig
from dexgrasp_models.nets.standardised_states import StandardisedStates, policy_head
from dexgrasp_models.parameters import Parameters, parameter


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


class GoalNetwork(StandardisedStates):
    """From states and clouds to moves, not bounded.

    States are `dexgrasp_models.tasks.goal_student.student_states`; they are standardised by means
    and deviations that `fit_standardisation` takes before training.
    """

    def __init__(self, config: GoalNetworkConfig, states: int, outputs: int) -> None:
        """
        Args:
            config: settings.
            states: numbers of a state.
            outputs: numbers of a move.
        """
        super().__init__(states)
        self.config = config
        self.encoder = BasisPoints(config.basis_points)
        self.head = policy_head(states + self.encoder.features, config.widths, outputs)

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
        inputs, features = self.standardised(states), self.encoder.mlp(clouds)
        return self.head(torch.cat((inputs, features), dim=-1))

    def forward(self, states: Tensor, clouds: Tensor) -> Tensor:
        """As `actions`, of clouds (B, P, 3)."""
        return self.actions(states, self.prepared(clouds))
