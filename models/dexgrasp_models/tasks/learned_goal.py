"""Students of the goal-conditioned task that were learned."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.nets.goal_network import GoalNetwork, GoalNetworkConfig
from dexgrasp_models.nets.threads import one_thread
from dexgrasp_models.nets.weights import WEIGHTS, load_network
from dexgrasp_models.tasks.goal_action import action_size
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_student import (
    StudentView,
    clouds_at_goals,
    moves_to_actions,
    state_size,
    student_states,
)

POLICY_WEIGHTS = WEIGHTS / "policy.safetensors"
"""The student that comes with the package, where there is one."""


def new_network(config: GoalNetworkConfig, hand: HandSpec | None = None) -> GoalNetwork:
    """One that has learned nothing."""
    hand = hand or load_hand()
    return GoalNetwork(config, state_size(hand), action_size(hand))


def weights_of(named: str | os.PathLike[str] | None) -> Path:
    """The file that is named, or else the package's.

    Raises:
        ValueError: none is named, and none comes with the package.
    """
    if named:
        return Path(named)
    if not POLICY_WEIGHTS.exists():
        raise ValueError(
            "no trained student comes with this package: name the file that dexgrasp train policy "
            "left, as --weights or in policy.weights"
        )
    return POLICY_WEIGHTS


class NetworkStudent:
    """Moves N hands by a network in memory; one hand on one thread. It remembers nothing.

    Args:
        network: of the student.
        task: the numbers that it was trained with.
    """

    def __init__(self, network: GoalNetwork, task: GoalConfig | None = None) -> None:
        self.network = network.eval()
        self._task, self._hand = task or GoalConfig(), load_hand()

    @torch.no_grad()
    def inputs(self, view: StudentView) -> dict[str, Tensor]:
        """What `GoalNetwork.actions` takes, by its names.

        Raises:
            ValueError: a cloud has no points.
        """
        network = self.network
        return {
            "states": self._tensor(student_states(view, self._hand)),
            "clouds": network.prepared(self._tensor(clouds_at_goals(view))),
        }

    @torch.no_grad()
    def actions(self, view: StudentView) -> np.ndarray:
        """(N, 24) in [-1, 1], see `acted`.

        Raises:
            ValueError: a cloud has no points.
        """
        with one_thread() if len(view) == 1 else nullcontext():
            moves = self.network.actions(**self.inputs(view)).cpu().numpy().astype(float)
        return moves_to_actions(moves, view, self._hand, self._task)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self.network.mean.device)


class LearnedStudent(NetworkStudent):
    """The student in a file of weights.

    Attributes:
        network: in evaluation mode.
        metadata: what was saved with its weights.
    """

    def __init__(self, weights: str | os.PathLike[str], task: GoalConfig | None = None) -> None:
        """
        Args:
            weights: file that `dexgrasp train policy` left.
            task: as of `NetworkStudent`.

        Raises:
            WeightsError: the file is missing, of another hand or kind, or doesn't fit its network.
        """
        network, self.metadata = load_network(weights, GoalNetworkConfig, new_network)
        super().__init__(network, task)
