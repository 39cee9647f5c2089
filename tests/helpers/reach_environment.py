"""An environment of rsl_rl with the observations of the human-assisting task, easy to solve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from assist_toys import JOINTS, TINY, observed
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.tasks.assist_action import composed
from dexgrasp_models.tasks.assist_observation import AssistObservation, state_vector


class Reach(VecEnv):
    """Three joints are to come to targets that are seen; the reward is how much nearer they are.

    The gradient points to the targets, so a scale of 1 and a residual of 0 is a good policy. Clouds
    are as a network of `TINY` prepares them.
    """

    num_actions = 2 * JOINTS
    max_episode_length = 8
    device = "cpu"
    _STEP = 0.2

    def __init__(self, source: Callable[[np.random.Generator], np.ndarray]) -> None:
        self._source, self.cfg = source, {}
        self._network = AssistNetwork(TINY)
        self._begin()
        self.num_envs = len(self._targets)

    def _begin(self) -> None:
        self._targets = self._source(np.random.default_rng(0))
        self._joints = np.zeros_like(self._targets)
        self.episode_length_buf = torch.zeros(len(self._targets), dtype=torch.long)

    def seen(self) -> AssistObservation:
        return observed(self._joints, self._targets)

    def gradients(self) -> np.ndarray:
        found = np.zeros((len(self._joints), JOINTS))
        found[:, : self._joints.shape[1]] = 7.0 * (self._targets - self._joints)
        return found

    def get_observations(self) -> TensorDict:
        seen = self.seen()
        values = {"state": state_vector(seen), "cloud": seen.cloud, "gradient": self.gradients()}
        tensors = {n: torch.as_tensor(v, dtype=torch.float32) for n, v in values.items()}
        tensors["cloud"] = self._network.prepared(tensors["cloud"])
        return TensorDict(tensors, batch_size=[len(self._joints)])

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        before = self.distances()
        done = composed(self.gradients(), actions.numpy())
        moves = self._STEP * np.clip(done, -1.0, 1.0)[:, : self._joints.shape[1]]
        self._joints = self._joints + moves
        rewards = torch.as_tensor(before - self.distances(), dtype=torch.float32)
        self.episode_length_buf += 1
        ended = bool(self.episode_length_buf[0] == self.max_episode_length)
        extras: dict[str, Any] = {}
        if ended:
            extras["log"] = {"/distance": float(self.distances().mean())}
            self._begin()
        dones = torch.full((len(rewards),), ended)
        return self.get_observations(), rewards, dones, extras

    def distances(self) -> np.ndarray:
        return np.linalg.norm(self._targets - self._joints, axis=1)

    @staticmethod
    def drawn(count: int) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: rng.uniform(-0.8, 0.8, (count, 3))
