"""What acts in the goal-conditioned task."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dexgrasp_models.tasks.goal_observation import GoalObservation


class GoalPolicy(Protocol):
    """Moves N hands."""

    def begin(self, count: int) -> None:
        """N new episodes begin: whatever was before is forgotten."""

    def actions(self, seen: GoalObservation) -> np.ndarray:
        """(N, 24) in [-1, 1], see `acted`, for what is seen of all N."""
