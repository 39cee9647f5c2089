"""The goal-conditioned task with an expert, which has a plan or knows the true state, for a student
that has neither."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_rows import CarryingOut, ExpertPolicy, plans_of
from dexgrasp_learning.randomisation import RandomisationConfig
from dexgrasp_learning.student_sight import StudentSight
from dexgrasp_learning.teacher_sight import TeacherPolicy
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.teacher_network import TeacherNetwork
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_jitter import JitterConfig, jittered
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_student import StudentView, moves_of, moves_to_actions
from dexgrasp_models.training.data import derived_seed


@dataclass(frozen=True)
class Teaching:
    """How a student is taught, apart from what it sees."""

    carrying: CarryingOut = field(default_factory=CarryingOut)
    randomisation: RandomisationConfig = field(default_factory=RandomisationConfig)
    jitter: JitterConfig = field(default_factory=JitterConfig)
    """Of the goals as the student is told them."""
    teacher: TeacherNetwork | None = None
    """That is the expert (UniDexGrasp, 3.3.2); None: the planned one is."""


class TaughtGoalEnvironments:
    """`ExpertEnvironments` of the task: acted in by moves (see `moves_to_actions`).

    The expert acts by what is true, whatever the student sees and is told: where a goal is told
    wrongly, the cloud is all that can say so.

    Args:
        environments: of the task; episodes are not finished, as no label comes of it.
        teaching: the expert, and what is random.
        follows: see `StudentSight`.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        teaching: Teaching | None = None,
        *,
        follows: bool = False,
    ) -> None:
        self._environments, self._hand = environments, load_hand()
        self._teaching = teaching or Teaching()
        self._sight = StudentSight(
            environments,
            self._teaching.carrying.telling,
            follows=follows,
            randomisation=self._teaching.randomisation,
        )

    @property
    def horizon(self) -> int:
        """Steps of an episode."""
        return self._environments.config.horizon

    def begin(self, episodes: ToldEpisodes, seed: int = 0) -> StudentView:
        """Plan and begin new episodes.

        Args:
            episodes: with looks.
            seed: of all that is random.

        Raises:
            ValueError, MeshError: as `GoalEnvironments.begin` and `StudentSight.begin`.
        """
        carrying, teacher = self._teaching.carrying, self._teaching.teacher
        self._expert: ExpertPolicy | TeacherPolicy
        if teacher is None:
            plans = plans_of(episodes, self._environments.config, carrying)
            self._expert = ExpertPolicy(self._environments, episodes, plans, carrying.expert)
        else:
            self._expert = TeacherPolicy(self._environments, teacher, carrying.telling)
        rng = np.random.default_rng(derived_seed(seed, "jitter"))
        told = jittered(episodes.goals, self._teaching.jitter, rng, self._hand)
        self._random = self._sight.begin(replace(episodes, goals=told), seed)
        seen = self._environments.begin(episodes, self._random.delays)
        self._random.vary(self._environments.physics)
        self._expert.begin(len(episodes))
        return self._looked_at(seen)

    def step(self, actions: np.ndarray) -> StudentView:
        """Act by moves (N, 24).

        Raises:
            ValueError: as `GoalEnvironments.step`.
        """
        now = self._environments
        seen, _ = now.step(moves_to_actions(actions, self._view, self._hand, now.config))
        return self._looked_at(seen)

    def expert(self) -> np.ndarray:
        """(N, 24) moves that the expert would make."""
        if isinstance(self._expert, TeacherPolicy):
            velocities, postures = self._expert.wanted(self._seen)
        else:
            wanted = self._expert.wanted()
            velocities, postures = wanted.velocities, wanted.postures
        task = self._environments.config
        return moves_of(velocities, postures, self._view, self._hand, task)

    def _looked_at(self, seen: GoalObservation) -> StudentView:
        self._seen, self._view = seen, self._sight.view(seen)
        return self._view
