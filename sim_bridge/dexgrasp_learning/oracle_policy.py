"""The expert of the human-assisting task among policies: it looks into the environments."""

from __future__ import annotations

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig, oracle_actions


class OraclePolicy:
    """Closes the fingers as `oracle_actions` does; an `AssistPolicy`.

    Args:
        environments: whose episodes it acts in; their goals need squeezes.
        config: of the expert.
    """

    def __init__(
        self, environments: AssistEnvironments, config: OracleConfig | None = None
    ) -> None:
        self._environments = environments
        self._config = config or OracleConfig()
        self._hand = load_hand()

    def begin(self, count: int) -> None:
        """It remembers nothing."""

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1].

        Raises:
            ValueError: a goal's squeeze is not known.
        """
        environments = self._environments
        goals = environments.episodes.goals
        return oracle_actions(
            np.full(len(goals), environments.steps),
            environments.targets,
            goals.joints,
            goals.squeezes,
            self._hand,
            environments.config,
            self._config,
        )
