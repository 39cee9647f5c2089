"""What differs from episode to episode, and what is seen wrongly: domain randomisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.parameters import Parameters, parameter
from dexgrasp_sim.interface import BatchPhysics


@dataclass(frozen=True)
class RandomisationConfig(Parameters):
    """How much; by default nothing is random."""

    mass: float = parameter(0.0, 0.0, 0.9, "", "greatest share more or less than the scene's mass")
    friction: float = parameter(0.0, 0.0, 0.9, "", "likewise of its friction")
    gain: float = parameter(0.0, 0.0, 0.9, "", "likewise of the stiffness of the fingers' drives")
    action_delay: int = parameter(0, 0, 20, "", "greatest number of steps that actions are late by")
    joint_noise: float = parameter(0.0, 0.0, 0.5, "rad", "deviation of each joint as it is seen")
    wrist_shift: float = parameter(
        0.0, 0.0, 0.2, "m", "deviation, and bound, along each axis of the wrist as it is seen"
    )
    wrist_turn: float = parameter(
        0.0, 0.0, 0.5, "rad", "likewise of its turn about each (GraspGF, D.4)"
    )
    least_wrist_noise: float = parameter(
        1.0, 0.0, 1.0, "", "share of these two that an episode has at least; each draws its own"
    )
    wrist_delay: int = parameter(0, 0, 20, "", "steps that the wrist is seen late by, always")
    wrist_gap: int = parameter(
        0, 0, 20, "", "steps, once in an approach, in which it is seen where it last was"
    )
    cloud_noise: float = parameter(
        0.0, 0.0, 0.05, "m", "deviation of the points along each axis, the same all episode"
    )


class Randomisation:
    """What is random in N episodes: drawn as they begin, the noise of what is seen as they go on.

    Attributes:
        delays: (N,) steps by which each one's actions are late.

    Args:
        config: how much.
        count: N.
        horizon: steps of an approach.
        seed: of all of it.
    """

    def __init__(self, config: RandomisationConfig, count: int, horizon: int, seed: int) -> None:
        self._config, self._count = config, count
        self._rng = np.random.default_rng(seed)
        self.delays = self._rng.integers(config.action_delay, size=count, endpoint=True)
        latest = max(horizon - config.wrist_gap, 1)
        self._lost = self._rng.integers(1, latest, size=count, endpoint=True)
        self._wrist_noise = np.ones(count)
        if config.least_wrist_noise < 1.0:
            self._wrist_noise = self._rng.uniform(config.least_wrist_noise, 1.0, count)
        self._sent: list[np.ndarray] = []
        self._shown: list[np.ndarray] = []

    def vary(self, physics: BatchPhysics) -> None:
        """Draw masses, frictions and gains of N environments."""
        spreads = (self._config.mass, self._config.friction, self._config.gain)
        masses, frictions, gains = (
            1.0 + spread * self._rng.uniform(-1.0, 1.0, self._count) for spread in spreads
        )
        if any(spreads):
            scene = physics.config
            physics.vary(
                range(self._count),
                masses=scene.object_mass * masses,
                frictions=scene.friction * frictions,
                gains=gains,
            )

    def arriving(self, actions: np.ndarray) -> np.ndarray:
        """(N, 18) actions that take effect in this step, of those sent now and before; zero where
        the first is still on its way."""
        if not self._config.action_delay:
            return actions
        self._sent.append(actions.copy())
        made = len(self._sent) - 1 - self.delays
        sent = np.stack(self._sent)[np.maximum(made, 0), np.arange(self._count)]
        return np.where(made[:, None] >= 0, sent, 0.0)

    def seen_joints(self, joints: np.ndarray) -> np.ndarray:
        """(N, 22) with noise."""
        return self._noisy(joints, self._config.joint_noise)

    def seen_clouds(self, clouds: np.ndarray) -> np.ndarray:
        """(N, P, 3) with noise."""
        return self._noisy(clouds, self._config.cloud_noise)

    def seen_wrists(self, wrists: np.ndarray) -> np.ndarray:
        """(N, 4, 4) as they are seen: with noise, late, or where they were when they got lost.

        To be asked once as the approach begins, and once in each step.
        """
        noisy = self._noisy_wrists(wrists)
        delay, gap = self._config.wrist_delay, self._config.wrist_gap
        if not (delay or gap):
            return noisy
        self._shown.append(noisy.copy())
        now = len(self._shown) - 1
        lost = (self._lost <= now) & (now < self._lost + gap)
        last = np.where(lost, self._lost - 1, now) - delay
        return np.stack(self._shown)[np.maximum(last, 0), np.arange(self._count)]

    def _noisy_wrists(self, wrists: np.ndarray) -> np.ndarray:
        """Moved, and turned about their own axes, by noise cut at its deviation."""
        shift, turn = self._config.wrist_shift, self._config.wrist_turn
        if not (shift or turn):
            return wrists
        noise = np.clip(self._rng.normal(size=(2, self._count, 3)), -1.0, 1.0)
        noise *= self._wrist_noise[:, None]
        seen = wrists.copy()
        seen[:, :3, 3] += shift * noise[0]
        seen[:, :3, :3] @= Rotation.from_rotvec(turn * noise[1]).as_matrix()
        return seen

    def _noisy(self, values: np.ndarray, deviation: float) -> np.ndarray:
        if not deviation:
            return values
        return values + deviation * self._rng.normal(size=values.shape)
