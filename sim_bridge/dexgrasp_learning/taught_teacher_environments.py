"""A teacher of the goal-conditioned task is taught by the expert that has a plan, and shown it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_rows import CarryingOut, ExpertPolicy, plans_of
from dexgrasp_learning.imitation import ActedEpisodes
from dexgrasp_learning.labelled_states import LabelledStates
from dexgrasp_learning.teacher_sight import TeacherSight
from dexgrasp_models.nets.teacher_network import TeacherNetwork
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_observation import GoalObservation

CATEGORY = "categories"
"""Of demonstrated states: (M,) the number of each one's category."""


class TaughtTeacherEnvironments:
    """`ExpertEnvironments` of the task: the expert that has a plan teaches a teacher that hasn't.

    What is seen are the network's inputs by their names.

    Args:
        environments: of the task; episodes are not finished, as no label comes of it.
        network: whose kind the teacher is.
        carrying: how the expert carries out its plans.
    """

    def __init__(
        self, environments: GoalEnvironments, network: TeacherNetwork, carrying: CarryingOut
    ) -> None:
        self._environments, self._carrying = environments, carrying
        self._sight = TeacherSight(environments, network, carrying.telling)

    @property
    def horizon(self) -> int:
        """Steps of an episode."""
        return self._environments.config.horizon

    def begin(self, episodes: ToldEpisodes, seed: int = 0) -> Mapping[str, Tensor]:
        """Plan and begin new episodes; nothing else is random.

        Raises:
            ValueError, MeshError: as `GoalEnvironments.begin`.
            GraspDataError: how the hand presses from a grasp is not known.
        """
        plans = plans_of(episodes, self._environments.config, self._carrying)
        expert = self._carrying.expert
        self._expert = ExpertPolicy(self._environments, episodes, plans, expert)
        seen = self._environments.begin(episodes)
        self._sight.begin()
        return self._inputs(seen)

    def step(self, actions: np.ndarray) -> Mapping[str, Tensor]:
        """Act by a network's outputs (N, 24).

        Raises:
            ValueError: as `GoalEnvironments.step`.
        """
        seen, _ = self._environments.step(self._sight.acted(actions))
        return self._inputs(seen)

    def expert(self) -> np.ndarray:
        """(N, 24) outputs that would do what the expert does."""
        return self._sight.outputs_for(self._expert.wanted())

    def _inputs(self, seen: GoalObservation) -> Mapping[str, Tensor]:
        return {"states": self._sight.states(seen), "clouds": self._sight.clouds(seen)}


def demonstrated(
    environments: GoalEnvironments, carrying: CarryingOut, categories: Mapping[str, int]
) -> ActedEpisodes:
    """The expert's episodes that succeed, as demonstrations (UniDexGrasp, B.2.2: motion planning).

    Args:
        environments: of the task; their present episodes are given up.
        carrying: how the expert carries out its plans.
        categories: the number of each object's category, by its name.

    Raises:
        ValueError: none of some episodes succeeds.
    """

    def acted(network: TeacherNetwork, episodes: ToldEpisodes, seed: int) -> list[LabelledStates]:
        taught = TaughtTeacherEnvironments(environments, network, carrying)
        numbers = torch.tensor([categories[name] for name in episodes.names])
        seen, parts = taught.begin(episodes, seed), []
        for _ in range(taught.horizon):
            actions = taught.expert()
            tensor = torch.as_tensor(actions, dtype=torch.float32)
            parts.append(LabelledStates.of({**seen, CATEGORY: numbers}, tensor))
            seen = taught.step(actions)
        succeeded = torch.as_tensor(np.flatnonzero(environments.finish().paper))
        if not len(succeeded):
            raise ValueError(
                f"the planned expert lifts none of {len(episodes)} objects: there is nothing to "
                "imitate; take goals that hold (dexgrasp assist goals), or more environments"
            )
        return [part.rows(succeeded) for part in parts]

    return acted
