"""The human-assisting task as rsl_rl's runners take it (GraspGF, 3.2 and B.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict
from torch import Tensor

from dexgrasp_learning.assist_environments import AssistEnvironments, EpisodeResults
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_action import composed
from dexgrasp_models.tasks.assist_config import AssistRewardConfig
from dexgrasp_models.tasks.assist_episodes import EpisodeSource
from dexgrasp_models.tasks.assist_observation import AssistObservation, state_vector
from dexgrasp_models.tasks.assist_reward import (
    fingertip_reward,
    following_reward,
    hint_reward,
    reward,
    rise_reward,
)
from dexgrasp_models.tasks.wrist_paths import fingertips

Primitive = Callable[[AssistObservation], np.ndarray]
"""(N, 18) gradient for what is seen, 1/rad, as of `primitive_assist.seen_gradients`."""


class ResidualVecEnv(VecEnv):
    """N episodes of the task, new ones from a source whenever they end.

    Observed are `state` (N, 57), `cloud` (N, P, 3) in the wrist's frame, or what `clouds` makes of
    what is seen, and, with a primitive, `gradient` (N, 18). Actions are then 36 numbers a hand,
    scales and residuals (Eq. 2), or 18 of one of them; without a primitive they are the 18 of
    `acted`. The last step of the approach goes on to the end of the lift: its reward has the rise,
    or the success (Eq. 7).

    An end is the task's own and no time limit, so `time_outs` are zero. What is random beside the
    episodes depends on them and on `seed`, so a run that goes on from a checkpoint repeats it.

    Attributes:
        results: of the episodes that ended last.

    Args:
        environments: of the task.
        source: draws the first episodes at once, and others after each end.
        primitive: gives the gradient that is followed; None for a policy by itself.
        config: of the reward.
        outputs: what actions are composed of with a primitive, see `composed`.
        pressing: whether `state` has how far the targets are beyond the joints, 18 numbers more.
        hint: whether the episodes' hints are observed, as the last 18 numbers of `state`.
        clouds: gives what is observed as `cloud`, as `InputMaker.clouds`; None: the points.
        seed: of the source's generator, and of what is random beside it.
        device: of the tensors.

    Raises:
        ValueError: the reward is by hints, and the episodes have none; or as
            `AssistEnvironments.begin`.
        MeshError: likewise.
    """

    def __init__(
        self,
        environments: AssistEnvironments,
        source: EpisodeSource,
        primitive: Primitive | None,
        config: AssistRewardConfig | None = None,
        *,
        outputs: str = "residual",
        pressing: bool = False,
        hint: bool = False,
        clouds: Callable[[AssistObservation], Tensor] | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._environments, self._source, self._primitive = environments, source, primitive
        self._config = config or AssistRewardConfig()
        self._outputs, self._pressing, self._hint = outputs, pressing, hint
        self._clouds = clouds
        self._rng, self._seed = np.random.default_rng(seed), seed
        self._hand = load_hand()
        self.results: EpisodeResults | None = None
        self.device = device
        self.cfg = {"task": asdict(environments.config), "reward": asdict(self._config)}
        self.max_episode_length = environments.config.horizon
        joints = len(self._hand.actuators)
        both = primitive is not None and outputs == "residual"
        self.num_actions = 2 * joints if both else joints
        self._begin()
        self.num_envs = len(environments.episodes)

    @property
    def episode_length_buf(self) -> Tensor:
        """(N,) steps of the present episodes; it can't be set, as all begin together."""
        return torch.full((self.num_envs,), self._environments.steps, device=self.device)

    def get_observations(self) -> TensorDict:
        """What is seen now."""
        state = state_vector(self._seen, pressing=self._pressing, hint=self._hint)
        groups: dict[str, np.ndarray | Tensor] = {"state": state, "cloud": self._cloud}
        if self._primitive is not None:
            groups["gradient"] = self._gradients
        tensors = {name: self._tensor(values) for name, values in groups.items()}
        return TensorDict(tensors, batch_size=[self.num_envs], device=self.device)

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """One step of all; see `VecEnv`.

        Args:
            actions: (N, A).

        Returns:
            What is seen then, of new episodes after the last step; rewards (N,); whether they
            ended (N,); and `time_outs` and, after the last step, figures under `log`.

        Raises:
            ValueError: the shape does not fit, or a number isn't finite.
        """
        environments, gradients = self._environments, self._gradients
        outputs = actions.detach().cpu().numpy().astype(float)
        made, before = self.episode_length_buf.cpu().numpy(), self._angles()
        if self._primitive is not None:
            outputs = composed(gradients, outputs, self._outputs)
        seen = environments.step(outputs)
        following = following_reward(gradients, before, self._angles(), made, self._config)
        following += self._distance_rewards(made)

        rise, success = np.zeros(self.num_envs), np.zeros(self.num_envs, dtype=bool)
        extras: dict[str, Any] = {"time_outs": torch.zeros(self.num_envs, device=self.device)}
        over = environments.steps == self.max_episode_length
        if over:
            self.results = results = environments.finish()
            rise = rise_reward(np.nan_to_num(results.rises), self._config)
            success = results.paper
            extras["log"] = _figures(results)
            self._begin()
        else:
            self._look(seen)
        rewards = reward(following, rise, success, self._config)
        dones = torch.full((self.num_envs,), over, device=self.device)
        return self.get_observations(), self._tensor(rewards), dones, extras

    def _distance_rewards(self, made: np.ndarray) -> np.ndarray:
        """(N,) of the baselines, in the place of r_sim (4.3): by what is, however it is seen."""
        config, joints = self._config, self._environments.joints()
        episodes = self._environments.episodes
        found = np.zeros(self.num_envs)
        if config.fingertips:
            tips = fingertips(self._hand, self._environments.wrists(), joints)
            found += fingertip_reward(tips, episodes.clouds, made, config)
        if config.hint and episodes.hints is not None:
            found += hint_reward(joints, episodes.hints, made, config)
        return found

    def _begin(self) -> None:
        """New episodes."""
        episodes = self._source(self._rng)
        if self._config.hint and episodes.hints is None:
            raise ValueError("the reward is by hints, and these episodes have none")
        # Of them and the seed alone, whatever was before.
        seed = zlib.crc32(episodes.paths.tobytes(), self._seed)
        self._look(self._environments.begin(episodes, seed))

    def _look(self, seen: AssistObservation) -> None:
        self._seen = seen
        self._cloud = seen.cloud if self._clouds is None else self._clouds(seen)
        self._gradients = (
            np.zeros_like(seen.actuated) if self._primitive is None else self._primitive(seen)
        )

    def _angles(self) -> np.ndarray:
        """(N, 18) true ones of the actuators, rad."""
        return self._environments.joints() @ self._hand.reduction.T

    def _tensor(self, values: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)


def _figures(results: EpisodeResults) -> dict[str, float]:
    """Means over the episodes, by names as rsl_rl logs them."""
    figures = {
        "/rise": results.rises,
        "/posture": results.posture,
        "/translation": results.translation,
        "/rotation": results.rotation,
    }
    sound = np.isfinite(results.rises)
    found = {name: float(values[sound].mean()) for name, values in figures.items() if sound.any()}
    return {
        **found,
        "/success": float(results.paper.mean()),
        "/faults": len(results.faults) / len(sound),
    }
