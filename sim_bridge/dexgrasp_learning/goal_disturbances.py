"""What in an episode of the goal-conditioned task isn't as it was told, or as it was learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from dexgrasp_learning.task_scenes import task_scene
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.parameters import Parameters, choice, parameter
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_jitter import DEPTHS, jittered_to
from dexgrasp_sim.scene import SceneConfig

AS_TOLD = "none"
_DIVISIONS = (1, 2, 5, 10)
"""Control ticks that a step may have."""


@dataclass(frozen=True)
class Disturbance(Parameters):
    """Nothing by default."""

    jitter: str = choice(
        AS_TOLD, (AS_TOLD, *DEPTHS), "of the goals, so that the hand would reach in so deep"
    )
    moved: float = parameter(0.0, 0.0, 0.2, "m", "by which objects lie elsewhere than was seen")
    pushed: float = parameter(
        0.0, 0.0, 0.2, "m", "by which objects are moved once the hand is half-way down"
    )
    cloud_bias: float = parameter(
        0.0, 0.0, 0.05, "m", "by which what the cameras saw is beside the object"
    )
    mass: float = parameter(0.0, 0.0, 5.0, "kg", "of the objects; 0: the scene's")
    friction: float = parameter(0.0, 0.0, 3.0, "", "of all contacts; 0: the scene's")
    late: float = parameter(0.0, 0.0, 1.0, "s", "by which targets come late to the hand")

    def scene(self, rate: float, backend: str | None = None) -> SceneConfig:
        """The task's, at so many steps a second; see `task_scene`.

        Raises:
            ValueError: as of `late_ticks`, or of `task_scene`.
        """
        scene = task_scene(rate * self._ticks(rate), backend)
        return replace(
            scene,
            object_mass=self.mass or scene.object_mass,
            friction=self.friction or scene.friction,
        )

    def late_ticks(self, rate: float) -> int:
        """Control ticks of that scene by which targets come late.

        Raises:
            ValueError: `late` is no whole number of the shortest ticks that a step may have.
        """
        return round(self.late * rate * self._ticks(rate))

    def _ticks(self, rate: float) -> int:
        """Control ticks a step: the fewest of which targets are late by a whole number."""
        steps = self.late * rate
        for ticks in _DIVISIONS:
            if abs(steps * ticks - round(steps * ticks)) < 1e-6:
                return ticks
        shortest = 1.0 / (rate * _DIVISIONS[-1])
        raise ValueError(f"late={self.late:g}: give a multiple of {shortest:g} s")


class Disturbed(NamedTuple):
    """N episodes."""

    told: ToldEpisodes
    """As policies know them."""
    true: ToldEpisodes
    """As they are."""


def disturbed(
    episodes: ToldEpisodes, disturbance: Disturbance, rng: np.random.Generator
) -> Disturbed:
    """Episodes, disturbed; directions are any.

    Args:
        episodes: as they would be.
        disturbance: of all of them.
        rng: draws.
    """
    told, count = episodes, len(episodes)
    if disturbance.jitter != AS_TOLD:
        depth = DEPTHS[disturbance.jitter]
        goals = jittered_to(told.goals, told.object_clouds, depth, rng, load_hand())
        told = replace(told, goals=goals)
    if told.looks is not None and disturbance.cloud_bias:
        ways = rng.normal(size=(count, 3))
        ways *= disturbance.cloud_bias / np.linalg.norm(ways, axis=1, keepdims=True)
        told = replace(told, looks=told.looks + ways[:, None])
    true = told
    if disturbance.moved:
        ways = disturbance.moved * _directions(rng, count)
        poses = told.object_poses.copy()
        poses[:, :3, 3] += ways
        true = replace(told, object_poses=poses, clouds=told.clouds + ways[:, None])
    return Disturbed(told, true)


def pushes_in(
    episodes: ToldEpisodes, disturbance: Disturbance, rng: np.random.Generator
) -> np.ndarray | None:
    """(N, 3) m in `world`, by which objects are moved once the hand is half-way down, in any
    direction; None where they aren't."""
    return disturbance.pushed * _directions(rng, len(episodes)) if disturbance.pushed else None


def _directions(rng: np.random.Generator, count: int) -> np.ndarray:
    """(N, 3) along the table."""
    angles = rng.uniform(-np.pi, np.pi, count)
    return np.stack((np.cos(angles), np.sin(angles), 0 * angles), axis=1)
