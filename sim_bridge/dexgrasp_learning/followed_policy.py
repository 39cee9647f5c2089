"""A policy whose goals go along with objects that are moved, by what the cameras stream."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_policy import GoalPolicy
from dexgrasp_learning.seen_environments import AsAtFirst, SeenEnvironments
from dexgrasp_learning.streamed_sight import StreamedSight
from dexgrasp_models.control.following import FollowConfig, Following
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_observation import GoalObservation

_STEPS_A_LOOK = 2
"""Ten images a second, at 20 steps."""


class FollowedPolicy:
    """Another policy, which acts where the objects were at first; a `GoalPolicy`.

    What a look tells is known with the next one: images take a while to come and be fused.

    Args:
        environments: where it acts.
        episodes: in which; they have looks.
        make: the other policy, of environments.
        config: of the following.

    Raises:
        ValueError: nobody looked at the objects.
    """

    def __init__(
        self,
        environments: GoalEnvironments,
        episodes: ToldEpisodes,
        make: Callable[[SeenEnvironments], GoalPolicy],
        config: FollowConfig,
    ) -> None:
        if episodes.looks is None:
            raise ValueError("what goes along needs the cameras' first clouds: draw looks")
        self._environments, self._episodes, self._config = environments, episodes, config
        self._at_first = AsAtFirst(environments, np.tile(np.eye(4), (len(episodes), 1, 1)))
        self._policy = make(self._at_first)

    def begin(self, count: int) -> None:
        """N new episodes begin."""
        looks = self._episodes.looks
        assert looks is not None
        pairs = zip(looks, self._episodes.goal_wrists, strict=True)
        self._following = [Following(look, goal, self._config) for look, goal in pairs]
        self._sight = StreamedSight(self._environments)
        self._coming: list[np.ndarray | None] = [None] * count
        self._at_first.motions = np.tile(np.eye(4), (count, 1, 1))
        self._policy.begin(count)

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1]."""
        now = self._environments
        looks = now.steps % _STEPS_A_LOOK == 0
        for index, following in enumerate(self._following):
            if looks and not following.over:
                if (cloud := self._coming[index]) is not None:
                    following.see(cloud)
                self._coming[index] = self._sight.cloud(index)
            self._at_first.motions[index] = following.advance(
                now.config.period, now.state.wrists[index]
            )
        return self._policy.actions(seen)
