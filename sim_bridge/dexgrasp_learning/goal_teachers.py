"""Teachers of the goal-conditioned task in the environments: how they see, act and are taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_rows import CarryingOut, ExpertPolicy, plans_of
from dexgrasp_learning.imitation import ActedEpisodes
from dexgrasp_learning.labelled_states import LabelledStates
from dexgrasp_learning.student_sight import StudentSight
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.teacher_network import TeacherNetwork
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_plans import TellingConfig
from dexgrasp_models.tasks.goal_student import moves_of, moves_to_actions, student_states
from dexgrasp_models.tasks.goal_teacher import (
    actions_seen,
    teacher_actions,
    teacher_states,
    view_along_world,
)

CATEGORY = "categories"
"""Of demonstrated states: (M,) the number of each one's category."""


class TeacherSight:
    """What a network sees of the present episodes, and what its outputs mean there.

    Args:
        environments: where it looks.
        network: whose kind it is.
        telling: how grasps are told, to who acts by moves.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        network: TeacherNetwork,
        telling: TellingConfig | None = None,
    ) -> None:
        self._environments, self._network, self._hand = environments, network, load_hand()
        self._student: StudentSight | None = None
        if network.config.acts == "moves":
            self._student = StudentSight(environments, telling or TellingConfig(), follows=True)

    @torch.no_grad()
    def begin(self) -> Tensor:
        """The environments have begun new episodes: (N, ...) the objects' points, prepared, which
        are the same throughout.

        Raises:
            GraspDataError: how the hand presses from a grasp is not known, to who acts by moves.
        """
        network, episodes = self._network, self._environments.episodes
        if self._student is not None:
            self._student.begin(replace(episodes, looks=episodes.clouds))
        points = episodes.object_clouds
        tensor = torch.as_tensor(points, dtype=torch.float32, device=network.mean.device)
        return network.prepared(tensor)

    def states(self, seen: GoalObservation) -> Tensor:
        """(N, S) of what is seen now; to be asked once as episodes begin, and once in each step."""
        network, now = self._network, self._environments
        states = teacher_states(seen, now.frames, network.config)
        if self._student is not None:
            view = self._student.view(seen)
            self._view = view if network.config.canonical else view_along_world(view)
            states = np.concatenate((states, student_states(self._view, self._hand)), axis=1)
        return torch.as_tensor(states, dtype=torch.float32, device=network.mean.device)

    def acted(self, outputs: np.ndarray) -> np.ndarray:
        """(N, 24) actions of a network's outputs for the states that were asked for last."""
        now = self._environments
        if self._student is not None:
            outputs = moves_to_actions(outputs, self._view, self._hand, now.config)
        return teacher_actions(outputs, now.frames, self._network.config)

    def outputs_for(self, expert: ExpertPolicy) -> np.ndarray:
        """(N, 24) outputs that do, or begin to do, what an expert wants, likewise."""
        wanted, now = expert.wanted(), self._environments
        if self._student is None:
            actions = expert.actions_for(wanted)
            return actions_seen(actions, now.frames, self._network.config)
        return moves_of(wanted.velocities, wanted.postures, self._view, self._hand, now.config)


class TeacherPolicy:
    """A teacher among the rows; a `GoalPolicy`.

    Args:
        environments: where it acts.
        network: by which.
        telling: see `TeacherSight`.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        network: TeacherNetwork,
        telling: TellingConfig | None = None,
    ) -> None:
        self._network = network.eval()
        self._sight = TeacherSight(environments, network, telling)

    @torch.no_grad()
    def begin(self, count: int) -> None:
        """It looks at the objects."""
        self._features = self._network.features(self._sight.begin())

    @torch.no_grad()
    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        outputs = self._network.of_features(self._sight.states(seen), self._features)
        return self._sight.acted(np.clip(outputs.cpu().double().numpy(), -1.0, 1.0))


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
        self._clouds = self._sight.begin()
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
        return self._sight.outputs_for(self._expert)

    def _inputs(self, seen: GoalObservation) -> Mapping[str, Tensor]:
        return {"states": self._sight.states(seen), "clouds": self._clouds}


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
