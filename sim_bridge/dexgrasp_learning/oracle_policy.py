"""The expert of the human-assisting task among policies: it looks into the environments."""

from __future__ import annotations

import numpy as np

from dexgrasp_learning.assist_environments import AssistEnvironments
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.assist_observation import AssistObservation
from dexgrasp_models.tasks.assist_oracle import OracleConfig, steps_ahead, wanted_actions


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
        """It looks when the wrists of the episodes arrive."""
        self._ahead = steps_ahead(self._environments.episodes.paths, self._config)

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1].

        Raises:
            ValueError: a goal's squeeze is not known.
        """
        return np.clip(self.wanted(), -1.0, 1.0)

    def wanted(self) -> np.ndarray:
        """(N, 18) of `wanted_actions`, not clipped; the errors are those of `actions`."""
        environments = self._environments
        goals = environments.episodes.goals
        return wanted_actions(
            environments.steps + self._ahead,
            environments.targets,
            goals.joints,
            goals.squeezes,
            self._hand,
            environments.config,
            self._config,
        )
