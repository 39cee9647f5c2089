"""The goal-conditioned task as rsl_rl's runners take it (UniDexGrasp, 3.3.1, B.2.1 and C.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from dexgrasp_learning.goal_environments import GoalEnvironments, GoalResults
from dexgrasp_learning.rounds import EpisodeSource
from dexgrasp_learning.teacher_sight import TeacherSight
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.teacher_network import TeacherNetwork
from dexgrasp_models.tasks.goal_action import action_size
from dexgrasp_models.tasks.goal_observation import GoalObservation
from dexgrasp_models.tasks.goal_plans import TellingConfig


class GoalVecEnv(VecEnv):
    """N episodes of the task, new ones from a source whenever they end.

    Observed are `state` (N, S) and what `look` makes of the objects' points: when episodes begin,
    or in each step where they are seen together with the hand.
    Actions are a teacher's outputs. Episodes end by their time alone, so `time_outs` are ones then:
    what would have come after is estimated.

    Attributes:
        results: of the episodes that ended last.

    Args:
        environments: of the task.
        source: draws the first episodes at once, and others after each end.
        network: whose kind the teacher is.
        telling: how grasps are told, see `TeacherSight`.
        look: of the prepared clouds, what is observed beside the state, by its names.

    Raises:
        ValueError, MeshError: as `GoalEnvironments.begin`.
        GraspDataError: as `TeacherSight.begin`.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        source: EpisodeSource,
        network: TeacherNetwork,
        telling: TellingConfig,
        look: Callable[[Tensor], Mapping[str, Tensor]],
    ) -> None:
        self._environments, self._source, self._look = environments, source, look
        self._sight = TeacherSight(environments, network, telling)
        self.results: GoalResults | None = None
        self.device = network.mean.device
        self.cfg = {"task": asdict(environments.config)}
        self.max_episode_length = environments.config.horizon
        self.num_actions = action_size(load_hand())
        self._begin()
        self.num_envs = len(environments.episodes)

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) steps of the present episodes; it can't be set, as all begin together."""
        return torch.full((self.num_envs,), self._environments.steps, device=self.device)

    def get_observations(self) -> TensorDict:
        """What is seen now."""
        if self._environments.steps == 0 or self._sight.clouds_change:
            self._look_at_objects()  # by who may have learned since the episodes began
        seen = {"state": self._states, **self._looked}
        return TensorDict(seen, batch_size=[len(seen["state"])], device=self.device)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """One step of all; see `VecEnv`.

        Args:
            actions: (N, 24).

        Returns:
            What is seen then, of new episodes after the last step; rewards (N,); whether they
            ended (N,); and `time_outs` and, after the last step, figures under `log`.

        Raises:
            ValueError: the shape does not fit, or a number isn't finite.
        """
        environments = self._environments
        outputs = actions.detach().cpu().double().numpy()
        seen, rewards = environments.step(self._sight.acted(np.clip(outputs, -1.0, 1.0)))
        over = environments.steps == self.max_episode_length
        dones = torch.full((self.num_envs,), over, device=self.device)
        extras: dict[str, Any] = {"time_outs": dones.float()}
        if over:
            self.results = results = environments.finish()
            extras["log"] = {
                "/objects": len(set(environments.episodes.names)),
                "/success": float(results.paper.mean()),
                "/latched": float(results.latched.mean()),
                "/faults": len(results.faults) / self.num_envs,
            }
            self._begin()
        else:
            self._see(seen)
        tensor = torch.as_tensor(rewards, dtype=torch.float32, device=self.device)
        return self.get_observations(), tensor, dones, extras

    def _begin(self) -> None:
        """New episodes, which are all that is random."""
        seen = self._environments.begin(self._source(np.random.default_rng(0)))
        self._sight.begin()
        self._see(seen)
        self._look_at_objects()

    def _see(self, seen: GoalObservation) -> None:
        self._states, self._clouds = self._sight.states(seen), self._sight.clouds(seen)

    @torch.no_grad()
    def _look_at_objects(self) -> None:
        self._looked = dict(self._look(self._clouds))
