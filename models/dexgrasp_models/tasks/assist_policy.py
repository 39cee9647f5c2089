"""What acts in the human-assisting task, learned or not."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dexgrasp_models.tasks.assist_observation import AssistObservation


class AssistPolicy(Protocol):
    """Closes the fingers of N hands, whose wrists others move."""

    def begin(self, count: int) -> None:
        """N new episodes begin: whatever was before is forgotten."""

    def actions(self, seen: AssistObservation) -> np.ndarray:
        """(N, 18) in [-1, 1], see `acted`, for what is seen of all N."""
