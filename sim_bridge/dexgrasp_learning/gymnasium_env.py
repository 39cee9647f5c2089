"""The human-assisting task as Gymnasium has it, one hand or many: `dexgrasp/Assist-v0`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

import dexgrasp_models
from dexgrasp_learning.assist_environments import AssistEnvironments, EpisodeResults
from dexgrasp_learning.goal_episodes import GoalEpisodes
from dexgrasp_learning.partial_clouds import PartialClouds
from dexgrasp_learning.randomisation import RandomisationConfig
from dexgrasp_learning.task_scenes import task_scene
from dexgrasp_models.data.grasp_set import GraspSet
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_config import AssistConfig, AssistRewardConfig
from dexgrasp_models.tasks.assist_observation import AssistObservation, state_vector
from dexgrasp_models.tasks.assist_reward import reward, rise_reward
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_sim.datasets.grasp_trials import library_object

SHIPPED = Path(dexgrasp_models.__file__).resolve().parents[2] / "datasets" / "table_top"
"""The set of grasps that comes with the repository."""

Observation = dict[str, np.ndarray]


class _Episodes:
    """Episodes of N hands as arrays; what both environments are made of.

    Args:
        count: N.
        config: of the task; a different horizon makes other episodes.
        goals: grasps of the library's objects on a table, or the folder of a set of them, of which
            those are taken that lift their object; by default the set of the repository.
        objects: names of those that are used, as `mug/3` or `mug`; all by default.
        clouds: `full` ones of the surface, or `partial` ones as the cameras see them.
        held_out: whether wrists follow the patterns that are held out, and not blends of others.
        randomisation: nothing is random by default but the episodes.
        rewards: those of the end, Eq. 7; there is no primitive to follow here.

    Raises:
        GraspDataError: the set can't be read.
        ValueError: it has no such object on a table.
    """

    def __init__(
        self,
        count: int,
        *,
        config: AssistConfig | None = None,
        goals: Grasps | str | os.PathLike[str] | None = None,
        objects: Sequence[str] | None = None,
        clouds: Literal["full", "partial"] = "full",
        held_out: bool = False,
        randomisation: RandomisationConfig | None = None,
        rewards: AssistRewardConfig | None = None,
    ) -> None:
        self.count, self.config = count, config or AssistConfig()
        self._rewards = rewards or AssistRewardConfig()
        patterns = generate(np.random.default_rng(0))
        self._source = GoalEpisodes(
            _usable(SHIPPED if goals is None else goals, objects),
            patterns.held_out if held_out else patterns.training,
            FullClouds() if clouds == "full" else PartialClouds(),
            count,
            self.config,
            blended=not held_out,
        )
        self._environments = AssistEnvironments(
            self.config,
            task_scene(self.config.rate),
            library_object,
            randomisation=randomisation,
        )
        joints, limit = len(load_hand().actuators), np.inf
        state = joints + len(load_hand().tendons) + 7 * self.config.history
        self.observation_space: gymnasium.Space[Any] = Dict(
            {
                "state": Box(-limit, limit, (state,), np.float32),
                "cloud": Box(-limit, limit, (self.config.points, 3), np.float32),
            }
        )
        self.action_space = Box(-1.0, 1.0, (joints,), np.float32)

    def begin(self, rng: np.random.Generator) -> Observation:
        """Draw new ones; gives what is seen of them."""
        episodes = self._source(rng)
        return _observed(self._environments.begin(episodes, int(rng.integers(2**31))))

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, EpisodeResults | None]:
        """What is seen after actions (N, 18), rewards (N,), and after the last step the results."""
        seen = self._environments.step(actions)
        if self._environments.steps < self.config.horizon:
            return _observed(seen), np.zeros(self.count), None
        results = self._environments.finish()
        rise = rise_reward(np.nan_to_num(results.rises), self._rewards)
        rewards = reward(np.zeros(self.count), rise, results.paper, self._rewards)
        return _observed(seen), rewards, results


class AssistEnv(gymnasium.Env[Observation, np.ndarray]):
    """One hand.

    Observed are `state` (57,), see `state_vector`, and `cloud` (P, 3), m, in the wrist's frame.
    Actions (18,) are those of `acted`. After the task's horizon the episode has ended
    (`terminated`); its reward is 1 for a success, or half of the object's rise in m (Eq. 7), and
    `info` has `success` and `rise`. Keyword arguments are those of `_Episodes`.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  # as Gymnasium has it

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = render_mode
        self._episodes = _Episodes(1, **options)
        self.observation_space = self._episodes.observation_space
        self.action_space = self._episodes.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """A new episode; the same for the same seed."""
        super().reset(seed=seed)
        return _first(self._episodes.begin(self.np_random)), {}

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step; see the class."""
        seen, rewards, results = self._episodes.step(np.asarray(action)[None])
        info: dict[str, Any] = {}
        if results is not None:
            info = {"success": bool(results.paper[0]), "rise": float(results.rises[0])}
        return _first(seen), float(rewards[0]), results is not None, False, info


class AssistVectorEnv(VectorEnv[Observation, np.ndarray, np.ndarray]):
    """N hands side by side, as `AssistEnv`; all begin and end together.

    The step after the end begins new episodes, whatever its actions (`AutoresetMode.NEXT_STEP`).
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  # as Gymnasium has it
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(self, num_envs: int = 1, render_mode: str | None = None, **options: Any) -> None:
        self.num_envs, self.render_mode = num_envs, render_mode
        self._episodes = _Episodes(num_envs, **options)
        self.single_observation_space = self._episodes.observation_space
        self.single_action_space = self._episodes.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """New episodes; the same for the same seed."""
        super().reset(seed=seed)
        self._over = False
        return self._episodes.begin(self.np_random), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step of all; see the class."""
        ended = np.zeros(self.num_envs, dtype=bool)
        if self._over:
            seen, info = self.reset()
            return seen, np.zeros(self.num_envs), ended, ended.copy(), info
        seen, rewards, results = self._episodes.step(actions)
        info = {}
        if results is not None:
            self._over = True
            there = np.ones(self.num_envs, dtype=bool)
            info = {"success": results.paper, "rise": results.rises}
            info |= {f"_{name}": there for name in info}
        return seen, rewards, ended | self._over, ended, info


def _usable(goals: Grasps | str | os.PathLike[str], objects: Sequence[str] | None) -> Grasps:
    """Goals on a table, of some objects or categories."""
    if not isinstance(goals, Grasps):
        grasps = GraspSet.open(goals)
        goals = grasps[grasps.select({"lifted": (1.0, 1.0)})]
    wanted = goals.has_table
    if objects is not None:
        named = [name in objects or name.split("/")[0] in objects for name in goals.names]
        wanted = wanted & np.array(named, dtype=bool)[goals.objects]
    if not wanted.any():
        raise ValueError(f"there are no goals on a table of {objects or 'any object'}")
    return goals[wanted]


def _observed(seen: AssistObservation) -> Observation:
    return {"state": state_vector(seen).astype(np.float32), "cloud": seen.cloud.astype(np.float32)}


def _first(seen: Observation) -> Observation:
    return {name: values[0] for name, values in seen.items()}
