"""A small network, and a small task with the observations of the human-assisting task."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dexgrasp_models.nets.assist_network import AssistNetworkConfig
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.tasks.assist_observation import AssistObservation
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
