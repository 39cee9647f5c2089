"""The episodes that environments are at, and their physics."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Generic, TypeVar

import numpy as np

from dexgrasp_sim.interface import BatchPhysics

Episodes = TypeVar("Episodes", bound=Sized)


class PresentEpisodes(Generic[Episodes]):
    """What is known of the present episodes; for experts, which may know more than is seen.

    Environments set `_present`, `_steps` and `_targets` as they begin and go on.
    """

    _present: tuple[Episodes, BatchPhysics] | None = None
    _steps: int = 0
    _targets: np.ndarray

    @property
    def episodes(self) -> Episodes:
        """Those that began last.

        Raises:
            ValueError: none have.
        """
        return self._begun()[0]

    @property
    def physics(self) -> BatchPhysics:
        """Their scenes.

        Raises:
            ValueError: none have begun.
        """
        return self._begun()[1]

    @property
    def steps(self) -> int:
        """Steps made since the episodes began."""
        return self._steps

    @property
    def targets(self) -> np.ndarray:
        """(N, 22) present joint targets, rad."""
        return self._targets.copy()

    @property
    def faults(self) -> Mapping[int, str]:
        """What went wrong by now, by the episode."""
        return self.physics.faults

    def _begun(self) -> tuple[Episodes, BatchPhysics]:
        if self._present is None:
            raise ValueError("no episodes have begun: call begin first")
        return self._present

    def _sound(self) -> np.ndarray:
        """(N,) whose physics is stable."""
        sound = np.ones(len(self.episodes), dtype=bool)
        sound[list(self.physics.faults)] = False
        return sound
