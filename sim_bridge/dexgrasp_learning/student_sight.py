"""What a student of the goal-conditioned task sees in the environments, and how it acts there."""

from __future__ import annotations

import numpy as np

from dexgrasp_learning.randomisation import Randomisation, RandomisationConfig
from dexgrasp_learning.seen_environments import SeenEnvironments
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_frame import inverses
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_plans import TellingConfig, told_grasps
from dexgrasp_models.tasks.goal_student import StudentView
from dexgrasp_models.tasks.learned_goal import NetworkStudent


class StudentSight:
    """The student's view of the present episodes.

    Args:
        environments: where it looks.
        telling: how the grasps are told.
        follows: whether the cloud goes where the object truly goes; else it stays where the cameras
            saw it, as on the robot.
        randomisation: of what is seen; of the physics nothing is varied here.
    """

    def __init__(
        self,
        environments: SeenEnvironments,
        telling: TellingConfig,
        *,
        follows: bool = False,
        randomisation: RandomisationConfig | None = None,
    ) -> None:
        self._environments, self._telling, self._follows = environments, telling, follows
        self._config, self._hand = randomisation or RandomisationConfig(), load_hand()

    def begin(self, episodes: ToldEpisodes, seed: int = 0) -> Randomisation:
        """New episodes, which begin in the environments, too.

        Gives what is random in them, for the physics and for what comes late.

        Raises:
            ValueError: nobody looked at the objects.
            GraspDataError: how the hand presses from a grasp is not known.
        """
        if episodes.looks is None:
            raise ValueError("a student sees what the cameras saw: draw episodes with looks")
        self._episodes = episodes
        horizon = self._environments.config.horizon
        self._random = Randomisation(self._config, len(episodes), horizon, seed)
        self._clouds = self._random.seen_clouds(episodes.looks)
        grasps = told_grasps(episodes, self._hand, self._telling)
        self._pressed = np.array([grasp.squeeze_joints for grasp in grasps])
        return self._random

    def view(self, seen: GoalObservation) -> StudentView:
        """Of what is seen now; to be asked once as the episodes begin, and once in each step."""
        now, episodes = self._environments, self._episodes
        state, clouds = now.state, self._clouds
        if self._follows:
            moved = state.objects @ inverses(episodes.object_poses)
            clouds = clouds @ moved[:, :3, :3].swapaxes(1, 2) + moved[:, None, :3, 3]
        return StudentView(
            joints=self._random.seen_joints(state.joints),
            joint_velocities=state.joint_velocities,
            targets=now.targets,
            wrists=self._random.seen_wrists(state.wrists),
            wrist_targets=now.wrist_targets,
            actions=seen.action,
            frames=now.frames,
            goals=episodes.goal_wrists,
            goal_joints=episodes.goals.joints,
            pressed=self._pressed,
            clouds=clouds,
        )


class StudentPolicy:
    """A student among the rows; a `GoalPolicy`.

    Args:
        environments: where it acts.
        episodes: in which.
        student: that acts.
        sight: through which it sees.
    """

    def __init__(
        self,
        environments: SeenEnvironments,
        episodes: ToldEpisodes,
        student: NetworkStudent,
        sight: StudentSight,
    ) -> None:
        self._environments, self._episodes = environments, episodes
        self._student, self._sight = student, sight

    def begin(self, count: int) -> None:
        """It looks, and remembers nothing else."""
        self._sight.begin(self._episodes)

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        return self._student.actions(self._sight.view(seen))
