"""How a teacher of the goal-conditioned task sees the environments, and acts there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.student_sight import StudentSight
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.bisector_encoder import BisectorEncoder
from dexgrasp_models.nets.teacher_network import TeacherNetwork
from dexgrasp_models.tasks.goal_action import WRIST, actions_to, wrist_actions
from dexgrasp_models.tasks.goal_expert import Wanted
from dexgrasp_models.tasks.goal_frame import inverses, moved_into, turned_into
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_plans import TellingConfig
from dexgrasp_models.tasks.goal_student import (
    POSTURE,
    moves_of,
    moves_to_actions,
    student_states,
)
from dexgrasp_models.tasks.goal_teacher import (
    actions_seen,
    teacher_actions,
    teacher_states,
    view_along_world,
)
from dexgrasp_models.tasks.interaction_bisector import HandBisector
from dexgrasp_models.tasks.joint_ranges import angles_of


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
        self._bisector: HandBisector | None = None
        if isinstance(encoder := network.encoder, BisectorEncoder):
            samples, device = encoder.config.samples, network.mean.device
            self._bisector = HandBisector(self._hand, samples, device=device)

    @property
    def clouds_change(self) -> bool:
        """Whether what is made of the objects' points is another in each step."""
        return self._bisector is not None

    @torch.no_grad()
    def begin(self) -> None:
        """The environments have begun new episodes.

        Raises:
            GraspDataError: how the hand presses from a grasp is not known, to who acts by moves.
        """
        network, episodes = self._network, self._environments.episodes
        if self._student is not None:
            self._student.begin(replace(episodes, looks=episodes.clouds))
        if self._bisector is None:
            self._clouds = network.prepared(self._tensor(episodes.object_clouds))

    @torch.no_grad()
    def clouds(self, seen: GoalObservation) -> Tensor:
        """(N, ...) the objects' points, prepared; of who sees their bisector surface with the hand,
        this surface as it is now."""
        if self._bisector is None:
            return self._clouds
        now = self._environments
        held = moved_into(inverses(now.frames) @ now.state.wrists, seen.cloud)
        samples = self._bisector.features(self._tensor(seen.joints), self._tensor(held))
        return self._network.prepared(samples)

    def states(self, seen: GoalObservation) -> Tensor:
        """(N, S) of what is seen now; to be asked once as episodes begin, and once in each step."""
        network, now = self._network, self._environments
        states = teacher_states(seen, now.frames, network.config)
        if self._student is not None:
            view = self._student.view(seen)
            self._view = view if network.config.canonical else view_along_world(view)
            states = np.concatenate((states, student_states(self._view, self._hand)), axis=1)
        return self._tensor(states)

    def acted(self, outputs: np.ndarray) -> np.ndarray:
        """(N, 24) actions of a network's outputs for the states that were asked for last."""
        now = self._environments
        if self._student is not None:
            outputs = moves_to_actions(outputs, self._view, self._hand, now.config)
        return teacher_actions(outputs, now.frames, self._network.config)

    def wanted(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a network's outputs ask for, likewise, however it acts.

        Returns:
            (N, 6) velocities of the wrist in `world`, m/s and rad/s, and (N, 18) actuator angles
            where the fingers are wanted, rad: what `moves_of` takes.
        """
        now, config = self._environments, self._environments.config
        if self._student is None:
            postures = angles_of(outputs[:, WRIST:], self._hand.actuator_limits)
        else:
            closed = now.episodes.goals.joints @ self._hand.reduction.T
            postures = closed + POSTURE * outputs[:, WRIST:]
        actions = teacher_actions(outputs, now.frames, self._network.config)
        speeds = np.array([config.wrist_speed, config.wrist_angular_speed])
        moves = np.stack(wrist_actions(actions), axis=1) * speeds[:, None]
        return turned_into(inverses(now.frames), moves).reshape(-1, WRIST), postures

    def outputs_for(self, wanted: Wanted) -> np.ndarray:
        """(N, 24) outputs that do, or begin to do, what an expert wants, likewise."""
        now = self._environments
        if self._student is None:
            actions = actions_to(
                now.wrist_targets, wanted.wrists, wanted.joints, now.frames, self._hand, now.config
            )
            return actions_seen(actions, now.frames, self._network.config)
        return moves_of(wanted.velocities, wanted.postures, self._view, self._hand, now.config)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self._network.mean.device)


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
        """It looks at the objects once it acts."""
        self._sight.begin()
        self._features: Tensor | None = None

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        return self._sight.acted(self._outputs(seen))

    def wanted(self, seen: GoalObservation) -> tuple[np.ndarray, np.ndarray]:
        """What it wants: see `TeacherSight.wanted`."""
        return self._sight.wanted(self._outputs(seen))

    @torch.no_grad()
    def _outputs(self, seen: GoalObservation) -> np.ndarray:
        if self._features is None or self._sight.clouds_change:
            self._features = self._network.features(self._sight.clouds(seen))
        outputs = self._network.of_features(self._sight.states(seen), self._features)
        return np.clip(outputs.cpu().double().numpy(), -1.0, 1.0)
