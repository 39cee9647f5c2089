"""Small tasks with the observations of the human-assisting task, whose best actions are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from tensordict import TensorDict

from dexgrasp_models.nets.assist_network import AssistNetworkConfig
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.tasks.assist_action import composed
from dexgrasp_models.tasks.assist_observation import AssistObservation, state_vector
from dexgrasp_models.tasks.assist_policy import AssistPolicy

JOINTS = 18
TINY_BASIS = BasisPointsConfig(points=16, widths=(8,))
TINY = AssistNetworkConfig(
    encoder="basis_points", basis_points=TINY_BASIS, state_features=32, widths=(32,)
)


def observed(
    joints: np.ndarray, targets: np.ndarray | None = None, points: int = 8
) -> AssistObservation:
    """Of joints (N, J), the first of the 18; the oldest wrist's place tells targets (N, 3)."""
    count = len(joints)
    wrists = np.zeros((count, 5, 7))
    wrists[..., 6] = 1.0
    if targets is not None:
        wrists[:, 0, :3] = targets
    actuated = np.zeros((count, JOINTS))
    actuated[:, : joints.shape[1]] = joints
    cloud = np.random.default_rng(0).uniform(-0.05, 0.05, (points, 3))
    return AssistObservation(
        actuated, np.zeros((count, 4)), wrists, np.repeat(cloud[None], count, axis=0)
    )


class Ridge:
    """Three joints on a ridge, which fall to either side; the expert holds them in one step.

    An action pushes towards the ridge's other side where the joint is positive, and away from the
    ridge where it is negative, so that what is right on one side is wrong on the other. Episodes
    begin on the positive side, and the expert never leaves it: who only saw the expert doesn't know
    the other one.
    """

    horizon = 8
    _FALL, _PUSH, _JOINTS = 1.3, 0.5, 3

    def begin(self, episodes: np.ndarray, seed: int = 0) -> AssistObservation:
        """Episodes are first joints (N, 3)."""
        self.joints = np.array(episodes, dtype=float)
        return observed(self.joints)

    def step(self, actions: np.ndarray) -> AssistObservation:
        pushes = self._PUSH * np.clip(actions[:, : self._JOINTS], -1.0, 1.0)
        side = np.where(self.joints < 0.0, -1.0, 1.0)
        self.joints = np.clip(self._FALL * self.joints + side * pushes, -1.0, 1.0)
        return observed(self.joints)

    def expert(self) -> np.ndarray:
        actions = np.zeros((len(self.joints), JOINTS))
        actions[:, : self._JOINTS] = -self._FALL / self._PUSH * np.abs(self.joints)
        return np.clip(actions, -1.0, 1.0)

    @classmethod
    def drawn(cls, count: int) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: rng.uniform(0.0, 0.3, (count, cls._JOINTS))

    def fallen(self, policy: AssistPolicy, count: int = 64) -> float:
        """Mean distance from the ridge at the end of new episodes."""
        policy.begin(count)
        seen = self.begin(self.drawn(count)(np.random.default_rng(99)))
        for _ in range(self.horizon):
            seen = self.step(policy.actions(seen))
        return float(np.abs(self.joints).mean())


class Reach(VecEnv):
    """Three joints are to come to targets that are seen; the reward is how much nearer they are.

    The gradient points to the targets, so a scale of 1 and a residual of 0 is a good policy.
    """

    num_actions = 2 * JOINTS
    max_episode_length = 8
    device = "cpu"
    _STEP = 0.2

    def __init__(self, source: Callable[[np.random.Generator], np.ndarray]) -> None:
        self._source, self.cfg = source, {}
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
