"""Episodes of the goal-conditioned task in the simulator."""

from __future__ import annotations

import assist_scenes as scenes
import numpy as np

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes, draw_told_episodes
from dexgrasp_sim.datasets.grasp_trials import library_object

SHORT = GoalConfig(horizon=8, points=64, hold_time=0.3)
"""An episode in which nothing can be lifted, but soon over."""

_CLOUDS = FullClouds(kept=1)


def episodes(grasps: Grasps, config: GoalConfig = SHORT, seed: int = 0) -> ToldEpisodes:
    """Of grasps."""
    return draw_told_episodes(grasps, _CLOUDS, np.random.default_rng(seed), config)


def environments(config: GoalConfig = SHORT, **options) -> GoalEnvironments:
    """With objects of the library."""
    return GoalEnvironments(config, options.pop("scene", scenes.SCENE), library_object, **options)
