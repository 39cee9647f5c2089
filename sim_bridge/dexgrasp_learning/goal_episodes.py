"""Episodes of the human-assisting task for training, and the judgement of policies on some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes, Clouds, draw_episodes
from dexgrasp_models.tasks.assist_policy import AssistPolicy
from dexgrasp_models.tasks.hints import drawn_hints
from dexgrasp_models.tasks.wrist_patterns import WristPatterns
from dexgrasp_models.training.objectives import LOSS


def rows_by_object(goals: Grasps) -> list[np.ndarray]:
    """The rows of each object.

    Raises:
        ValueError: there are no goals.
    """
    if not len(goals):
        raise ValueError("there are no goals to make episodes of")
    return [np.flatnonzero(goals.objects == one) for one in np.unique(goals.objects)]


def drawn_alike(
    by_object: Sequence[np.ndarray], count: int, rng: np.random.Generator
) -> np.ndarray:
    """(count,) rows: objects alike often, and of an object any of its rows."""
    objects = [rng.permutation(len(by_object)) for _ in range(-(-count // len(by_object)))]
    chosen = np.concatenate(objects)[:count]
    return np.array([rng.choice(by_object[one]) for one in chosen])


class GoalEpisodes:
    """An `EpisodeSource`: objects alike often, and of an object its goals.

    Args:
        goals: to draw from.
        patterns: likewise, all of one share: `WristPatterns.training` or `held_out`.
        clouds: what is seen.
        count: episodes of a draw.
        config: of the task.
        blended: two patterns in each path, for training.
        hints: whether policies are told another posture of the object.

    Raises:
        ValueError: there are no goals.
    """

    def __init__(
        self,
        goals: Grasps,
        patterns: WristPatterns,
        clouds: Clouds,
        count: int,
        config: AssistConfig,
        *,
        blended: bool = True,
        hints: bool = False,
    ) -> None:
        self._goals, self._patterns, self._clouds = goals, patterns, clouds
        self._count, self._config, self._blended = count, config, blended
        self._hints = hints
        self._by_object = rows_by_object(goals)

    def __call__(self, rng: np.random.Generator) -> AssistEpisodes:
        rows = drawn_alike(self._by_object, self._count, rng)
        episodes = draw_episodes(
            self._goals[rows],
            self._patterns,
            self._clouds,
            rng,
            self._config,
            blended=self._blended,
        )
        # Drawn last, so that the episodes are the same with and without.
        return (
            replace(episodes, hints=drawn_hints(self._goals, rows, rng))
            if self._hints
            else episodes
        )


class EpisodeJudge:
    """A `Judge` that runs the same episodes with every policy."""

    def __init__(self, environments: AssistEnvironments, episodes: AssistEpisodes) -> None:
        self._environments, self._episodes = environments, episodes

    def __call__(self, policy: AssistPolicy) -> Mapping[str, float]:
        """Share of failures (`LOSS`) and of successes by the paper's rule, and means of figures."""
        found = run_episodes(self._environments, self._episodes, policy)
        success = float(found.paper.mean())
        figures = ("posture", "translation", "rotation")
        means = {name: float(np.nanmean(getattr(found, name))) for name in figures}
        return {LOSS: 1.0 - success, "success": success, **means}
