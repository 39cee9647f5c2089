"""The human-assisting task with the expert that knows the grasp that is meant."""

from __future__ import annotations

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_learning.oracle_policy import OraclePolicy
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig


class TaughtEnvironments:
    """`ExpertEnvironments` of the task; its episodes are not finished, as no label comes of it."""

    def __init__(
        self, environments: AssistEnvironments, oracle: OracleConfig | None = None
    ) -> None:
        self._environments, self._oracle = environments, OraclePolicy(environments, oracle)

    @property
    def horizon(self) -> int:
        """Steps of the approach."""
        return self._environments.config.horizon

    def begin(self, episodes: AssistEpisodes, seed: int = 0) -> AssistObservation:
        """See `AssistEnvironments.begin`.

        Raises:
            ValueError: of a goal it is not known how the hand presses.
        """
        if not episodes.goals.has_squeeze.all():
            raise ValueError(
                "the expert has to know how the hand presses: dexgrasp data squeeze fills it in"
            )
        seen = self._environments.begin(episodes, seed)
        self._oracle.begin(len(episodes))
        return seen

    def step(self, actions: np.ndarray) -> AssistObservation:
        """See `AssistEnvironments.step`."""
        return self._environments.step(actions)

    def expert(self) -> np.ndarray:
        """(N, 18) of `wanted_actions`, not clipped.

        Where a student can't know the grasp, the mean of these leads to the mean of the grasps that
        may be meant; the mean of clipped ones, which are 1 or -1 nearly everywhere, does not.
        """
        return self._oracle.wanted()
