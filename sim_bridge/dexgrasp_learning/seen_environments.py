"""What policies ask of the environments that they act in, and the same where objects have moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import inverses
from dexgrasp_models.tasks.goal_observation import GoalState


class SeenEnvironments(Protocol):
    """The present episodes of `GoalEnvironments`, as far as policies look at them."""

    @property
    def config(self) -> GoalConfig:
        """Of the task."""

    @property
    def steps(self) -> int:
        """Made since the episodes began."""

    @property
    def state(self) -> GoalState:
        """What is measured now."""

    @property
    def frames(self) -> np.ndarray:
        """(N, 4, 4) reference frames in `world`."""

    @property
    def wrist_targets(self) -> np.ndarray:
        """(N, 4, 4) present target of `rh_palm` in `world`."""

    @property
    def targets(self) -> np.ndarray:
        """(N, 22) present joint targets, rad."""


class AsAtFirst:
    """Environments seen as if their objects were where they were at first: all that is moved there.

    Actions are the same in them, as they are told along the axes of the reference frame.

    Args:
        environments: as they are.
        motions: (N, 4, 4) in `world`, by which the objects have moved along the table; may be set.
    """

    def __init__(self, environments: SeenEnvironments, motions: np.ndarray) -> None:
        self._environments, self.motions = environments, motions

    @property
    def config(self) -> GoalConfig:
        """Of the task."""
        return self._environments.config

    @property
    def steps(self) -> int:
        """Made since the episodes began."""
        return self._environments.steps

    @property
    def targets(self) -> np.ndarray:
        """(N, 22) present joint targets, rad."""
        return self._environments.targets

    @property
    def frames(self) -> np.ndarray:
        """(N, 4, 4) reference frames."""
        return inverses(self.motions) @ self._environments.frames

    @property
    def wrist_targets(self) -> np.ndarray:
        """(N, 4, 4) present target of `rh_palm`."""
        return inverses(self.motions) @ self._environments.wrist_targets

    @property
    def state(self) -> GoalState:
        """What is measured now."""
        state, back = self._environments.state, inverses(self.motions)

        def turned(velocities: np.ndarray) -> np.ndarray:
            parts = velocities.reshape(-1, 2, 3) @ back[:, :3, :3].swapaxes(1, 2)
            return parts.reshape(-1, 6)

        return replace(
            state,
            wrists=back @ state.wrists,
            wrist_targets=back @ state.wrist_targets,
            wrist_velocities=turned(state.wrist_velocities),
            objects=back @ state.objects,
            object_velocities=turned(state.object_velocities),
        )
