"""The human-assisting task with the expert that knows the grasp that is meant."""

from __future__ import annotations

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig, oracle_actions


class TaughtEnvironments:
    """`ExpertEnvironments` of the task; its episodes are not finished, as no label comes of it."""

    def __init__(self, environments: AssistEnvironments, oracle: OracleConfig) -> None:
        self._environments, self._oracle, self._hand = environments, oracle, load_hand()

    @property
    def horizon(self) -> int:
        """Steps of the approach."""
        return self._environments.config.horizon

    def begin(self, episodes: AssistEpisodes, seed: int = 0) -> AssistObservation:
        """See `AssistEnvironments.begin`.

        Raises:
            ValueError: of a goal it is not known how the hand presses.
        """
        self._joints = episodes.goals.joints.astype(float)
        self._squeezes = episodes.goals.squeezes.astype(float)
        if not np.isfinite(self._squeezes).all():
            raise ValueError(
                "the expert has to know how the hand presses: dexgrasp data squeeze fills it in"
            )
        return self._environments.begin(episodes, seed)

    def step(self, actions: np.ndarray) -> AssistObservation:
        """See `AssistEnvironments.step`."""
        return self._environments.step(actions)

    def expert(self) -> np.ndarray:
        """(N, 18) see `oracle_actions`."""
        environments = self._environments
        return oracle_actions(
            np.full(len(self._joints), environments.steps),
            environments.targets,
            self._joints,
            self._squeezes,
            self._hand,
            environments.config,
            self._oracle,
        )

    # As an `AssistPolicy`, for how far the expert itself comes.

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """What the expert does, whatever is seen."""
        return self.expert()
